//! What the API server refuses of whom a Pod runs as, and what it may.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::values::{downward_path, shown};
use super::words::subdomain;
use crate::field::Errors;
use crate::place::Place;

/// What a container's security context is kept as.
const CONTEXT: &[(&str, &str)] = &[
    ("Capabilities", "capabilities"),
    ("Privileged", "privileged"),
    ("SELinuxOptions", "seLinuxOptions"),
    ("WindowsOptions", "windowsOptions"),
    ("RunAsUser", "runAsUser"),
    ("RunAsGroup", "runAsGroup"),
    ("RunAsNonRoot", "runAsNonRoot"),
    ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
    ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
    ("ProcMount", "procMount"),
    ("SeccompProfile", "seccompProfile"),
    ("AppArmorProfile", "appArmorProfile"),
];

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

const SYSCTL: &str = "must have at most 253 characters and match regex \
    ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// A user's, or a group's, number.
fn user(user: &Place<'_>, errors: &mut Errors) {
    errors.between(user, 0, i32::MAX.into());
}

/// Older words of the same, in annotations.
pub(super) fn annotations(annotations: &Place<'_>, errors: &mut Errors) {
    for (key, value) in annotations.entries() {
        let of_pod = key == "seccomp.security.alpha.kubernetes.io/pod";
        if !of_pod && !key.starts_with("container.seccomp.security.alpha.kubernetes.io/") {
            continue;
        }
        let value = value.called(annotations.of(key).path);
        if let Some(path) = value.text().strip_prefix("localhost/") {
            let path = Value::from(path);
            downward_path(&Place::new(&path, &value.path), errors);
        } else if !["runtime/default", "docker/default", "unconfined"].contains(&value.text()) {
            errors.bad(&value, "must be a valid seccomp profile");
        }
    }
}

/// A container's; `own`: its Pod has users of its own.
pub(super) fn of_container(context: &Place<'_>, own: bool, errors: &mut Errors) {
    user(&context.of("runAsUser"), errors);
    user(&context.of("runAsGroup"), errors);
    let mount = context.of("procMount");
    errors.one_of(&mount, &["Default", "Unmasked"]);
    if !own && mount.text() == "Unmasked" {
        errors.bad(&mount, "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp(&context.of("seccompProfile"), errors);
    let capabilities = context.of("capabilities");
    let mut contradicts = |is_so: bool, what: &str| {
        if is_so && context.of("allowPrivilegeEscalation").value == &Value::Bool(false) {
            let mut kept = shown(context.value, CONTEXT);
            if capabilities.is_given() {
                kept["Capabilities"] =
                    shown(capabilities.value, &[("Add", "add"), ("Drop", "drop")]);
            }
            let what = format!("cannot set `allowPrivilegeEscalation` to false and {what}");
            errors.invalid(context, &kept, &what);
        }
    };
    contradicts(context.of("privileged").holds(), "`privileged` to true");
    let admin = capabilities
        .of("add")
        .items()
        .any(|c| c.text() == "CAP_SYS_ADMIN");
    contradicts(admin, "`capabilities.Add` CAP_SYS_ADMIN");
    windows(&context.of("windowsOptions"), errors);
    app_armor(&context.of("appArmorProfile"), errors);
}

/// A Pod's.
pub(super) fn of_pod(spec: &Place<'_>, errors: &mut Errors) {
    let context = spec.of("securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        user(&context.of(field), errors);
    }
    context
        .of("supplementalGroups")
        .items()
        .for_each(|group| user(&group, errors));
    sysctls(spec, &context.of("sysctls"), errors);
    errors.one_of(
        &context.of("fsGroupChangePolicy"),
        &["Always", "OnRootMismatch"],
    );
    seccomp(&context.of("seccompProfile"), errors);
    windows(&context.of("windowsOptions"), errors);
    app_armor(&context.of("appArmorProfile"), errors);
    errors.one_of(
        &context.of("supplementalGroupsPolicy"),
        &["Merge", "Strict"],
    );
    errors.one_of(
        &context.of("seLinuxChangePolicy"),
        &["MountOption", "Recursive"],
    );
}

fn seccomp(profile: &Place<'_>, errors: &mut Errors) {
    if !profile.is_given() {
        return;
    }
    let (kind, local) = (profile.of("type"), profile.of("localhostProfile"));
    if kind.is_empty() {
        errors.required(&kind, "type is required when seccompProfile is set");
    } else {
        errors.must_be(&kind, PROFILES);
    }
    if kind.text() == "Localhost" {
        if local.is_given() {
            downward_path(&local, errors);
        } else {
            errors.required(local, "must be set when seccomp type is Localhost");
        }
    } else if local.is_given() {
        let kept = json!({"Type": kind.text(), "LocalhostProfile": local.value});
        errors.invalid(
            local,
            &kept,
            "can only be set when seccomp type is Localhost",
        );
    }
}

fn app_armor(profile: &Place<'_>, errors: &mut Errors) {
    if !profile.is_given() {
        return;
    }
    let (kind, local) = (profile.of("type"), profile.of("localhostProfile"));
    match kind.text() {
        "Localhost" if local.text().trim() != local.text() => {
            errors.bad(&local, "must not be padded with whitespace");
        }
        "Localhost" if local.is_empty() => {
            errors.required(local, "must be set when AppArmor type is Localhost");
        }
        "RuntimeDefault" | "Unconfined" if local.is_given() => {
            errors.bad(&local, "can only be set when AppArmor type is Localhost");
        }
        "" => errors.required(kind, "type is required when appArmorProfile is set"),
        _ => errors.must_be(&kind, PROFILES),
    }
}

/// Whether each segment begins and ends with a letter or digit.
fn is_sysctl(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inside = |c: char| edge(c) || c == '-' || c == '_';
    let segment = |s: &str| s.chars().all(inside) && s.starts_with(edge) && s.ends_with(edge);
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

fn sysctls(spec: &Place<'_>, sysctls: &Place<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.of("name");
        if name.is_empty() {
            errors.required(&name, "");
        } else if !is_sysctl(name.text()) {
            errors.bad(&name, SYSCTL);
        } else if !names.insert(name.text()) {
            errors.duplicate(&name);
        }
        let dotted = name.text().replace('/', ".");
        let of_net = dotted.starts_with("net.");
        let of_ipc = ["kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue."]
            .iter()
            .any(|begin| dotted.starts_with(begin));
        for (host, is_of) in [("hostNetwork", of_net), ("hostIPC", of_ipc)] {
            if is_of && spec.of(host).holds() {
                errors.bad(
                    &name,
                    &format!("may not be specified when '{host}' is true"),
                );
            }
        }
    }
}

fn windows(options: &Place<'_>, errors: &mut Errors) {
    let name = options.of("gmsaCredentialSpecName");
    if name.is_given() {
        errors.each(&name, subdomain(name.text()));
    }
    let credentials = options.of("gmsaCredentialSpec");
    if credentials.is_given() && credentials.is_empty() {
        errors.bad(&credentials, "gmsaCredentialSpec cannot be an empty string");
    }
    let name = options.of("runAsUserName");
    if name.is_given() {
        windows_user(&name, errors);
    }
}

/// A user of Windows, with or without a domain.
fn windows_user(name: &Place<'_>, errors: &mut Errors) {
    const NOT: &str = "\"/\\:;|=,+*?<>@[]";
    let parts = name.text().split_once('\\');
    let (domain, user) = parts.unwrap_or_else(|| ("", name.text()));
    let dots = !user.is_empty() && user.chars().all(|c| c == '.' || c == ' ');
    let wrong = if name.is_empty() {
        "runAsUserName cannot be an empty string"
    } else if name.text().chars().any(|c| c.is_ascii_control()) {
        "runAsUserName cannot contain control characters"
    } else if user.contains('\\') {
        "runAsUserName cannot contain more than one backslash"
    } else if domain.len() >= 256 {
        "runAsUserName's Domain length must be under 256 characters"
    } else if user.is_empty() {
        "runAsUserName's User cannot be empty"
    } else if user.len() > 104 {
        "runAsUserName's User length must not be longer than 104 characters"
    } else if dots {
        "runAsUserName's User cannot contain only periods or spaces"
    } else if user.chars().any(|c| NOT.contains(c)) {
        "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
    } else {
        return;
    };
    errors.bad(name, wrong);
}
