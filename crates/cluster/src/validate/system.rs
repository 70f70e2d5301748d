//! What the API server refuses of a Pod's operating system, and of the host's parts that it sees.

use crate::field::Errors;
use crate::place::Place;

/// What Pods of Windows have not, in their security context and in that of their containers.
const NOT_OF_WINDOWS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
const NOT_OF_ITS_CONTAINERS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// The security contexts of a Pod's containers.
fn contexts<'a>(spec: &Place<'a>) -> Vec<Place<'a>> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let contexts = lists.iter().flat_map(|list| {
        let all: Vec<_> = spec.of(list).items().collect();
        all.into_iter().map(|c| c.of("securityContext"))
    });
    contexts.collect()
}

/// A Pod with users of its own is in no namespace of the host.
pub(super) fn host_users(spec: &Place<'_>, errors: &mut Errors) {
    host_process(spec, errors);
    if *spec.of("hostUsers").value != false {
        return;
    }
    for (field, called) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if spec.of(field).holds() {
            errors.forbidden(spec.of(called), "when `hostUsers` is false");
        }
    }
    for list in ["initContainers", "containers"] {
        for container in spec.of(list).items() {
            let devices = container.of("volumeDevices");
            if !devices.is_empty() {
                errors.forbidden(devices, "when `hostUsers` is false");
            }
        }
    }
}

/// Containers of Windows that are processes of the host.
fn host_process(spec: &Place<'_>, errors: &mut Errors) {
    let of = |context: &Place<'_>| {
        context
            .of("windowsOptions")
            .of("hostProcess")
            .value
            .as_bool()
    };
    let pod = of(&spec.of("securityContext"));
    let (mut count, contexts) = (0, contexts(spec));
    for context in &contexts {
        let own = of(context);
        if let (Some(pod), Some(own)) = (pod, own)
            && pod != own
        {
            let at = context.of("windowsOptions").of("hostProcess");
            let what = "pod hostProcess value must be identical if both are specified, was";
            errors.bad(&at, &format!("{what} {pod}"));
        }
        count += usize::from(own.or(pod) == Some(true));
    }
    if count == 0 {
        return;
    }
    if count != contexts.len() {
        let what = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(spec, &"".into(), what);
    }
    let network = spec.of("hostNetwork");
    if !network.holds() {
        let what = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(network, &false.into(), what);
    }
}

/// `os`, and what goes with it.
pub(super) fn operating_system(spec: &Place<'_>, errors: &mut Errors) {
    let (os, context) = (spec.of("os"), spec.of("securityContext"));
    if !os.is_given() {
        return;
    }
    let name = os.of("name");
    let windows = "cannot be set for a windows pod";
    let mut none = |place: Place<'_>, what: &str| {
        if place.is_given() {
            errors.forbidden(place, what);
        }
    };
    match name.text() {
        "linux" => {
            let contexts = contexts(spec);
            for context in contexts.iter().chain([&context]) {
                let what = "windows options cannot be set for a linux pod";
                none(context.of("windowsOptions"), what);
            }
        }
        "windows" => {
            for field in NOT_OF_WINDOWS {
                none(context.of(field), windows);
            }
            for field in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] {
                none(spec.of(field), windows);
            }
            for context in contexts(spec) {
                for field in NOT_OF_ITS_CONTAINERS {
                    none(context.of(field), windows);
                }
            }
        }
        "" => errors.required(name, ""),
        other => errors.not_supported(&os, &other.into(), &["linux", "windows"]),
    }
}
