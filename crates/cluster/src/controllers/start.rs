//! All that a runtime needs to start a container, from the objects there are.

use std::net::IpAddr;

use headless_objects::object::array;
use serde_json::Value;

use super::checks;
use super::environment;
use super::mounts::{self, Given};
use super::resolver;
use crate::runtime::{PodPlace, Run, Start};

/// The order to start a run of the Pod's container.
pub(super) fn of(given: &Given<'_>, container: &Value, run: Run) -> Start {
    let pod = given.pod;
    let env = environment::of(given.objects, pod, container);
    let strings = |field: &str| -> Vec<String> {
        let all = array(&container[field]);
        let all = all.filter_map(Value::as_str);
        all.map(|text| environment::expanded(text, &env)).collect()
    };
    let flag = |field: &str| container[field] == true;
    let hook = |name: &str| checks::of(pod, container, &container["lifecycle"][name]);
    let (command, args) = (strings("command"), strings("args"));
    let (volumes, mounts) = mounts::of(given, container, &env);
    Start {
        run,
        pod: place(pod),
        image: text(&container["image"]),
        command,
        args,
        workdir: text(&container["workingDir"]),
        user: user(pod, container),
        volumes,
        mounts,
        stdin: flag("stdin"),
        stdin_once: flag("stdinOnce"),
        tty: flag("tty"),
        post_start: hook("postStart"),
        pre_stop: hook("preStop"),
        env,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn place(pod: &Value) -> PodPlace {
    let (meta, spec) = (&pod["metadata"], &pod["spec"]);
    let hostname = spec["hostname"].as_str().or_else(|| meta["name"].as_str());
    let addresses = array(&pod["status"]["podIPs"]);
    let address = |ip: &Value| ip["ip"].as_str()?.parse::<IpAddr>().ok();
    let aliases = array(&spec["hostAliases"]);
    let alias = |alias: &Value| {
        let names = array(&alias["hostnames"]);
        (text(&alias["ip"]), names.map(text).collect())
    };
    PodPlace {
        ns: text(&meta["namespace"]),
        hostname: hostname.unwrap_or_default().to_owned(),
        subdomain: text(&spec["subdomain"]),
        addresses: addresses.filter_map(address).collect(),
        aliases: aliases.map(alias).collect(),
        resolver: resolver::of(pod),
    }
}

/// The user that the container's security context, or the Pod's, asks for; a group follows the user.
fn user(pod: &Value, container: &Value) -> Option<(u32, u32)> {
    let of = |field: &str| {
        let own = &container["securityContext"][field];
        let value = if own.is_null() {
            &pod["spec"]["securityContext"][field]
        } else {
            own
        };
        value.as_u64().and_then(|id| u32::try_from(id).ok())
    };
    let user = of("runAsUser")?;
    Some((user, of("runAsGroup").unwrap_or(0)))
}
