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
        groups: groups(pod),
        volume_group: volume_group(pod),
        volumes,
        mounts,
        target: container["targetContainerName"].as_str().map(str::to_owned),
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

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// The group that the Pod's security context gives its volumes.
fn volume_group(pod: &Value) -> Option<u32> {
    id(&pod["spec"]["securityContext"]["fsGroup"])
}

/// The groups that its programs have besides: that of the volumes, and those that are named.
fn groups(pod: &Value) -> Vec<u32> {
    let named = array(&pod["spec"]["securityContext"]["supplementalGroups"]).filter_map(id);
    volume_group(pod).into_iter().chain(named).collect()
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
        id(value)
    };
    let user = of("runAsUser")?;
    Some((user, of("runAsGroup").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_s_groups_are_those_of_its_volumes_and_those_that_it_names() {
        let pod = |context: Value| json!({"spec": {"securityContext": context}});
        let both = pod(json!({"fsGroup": 2000, "supplementalGroups": [3000, 4000]}));
        assert_eq!(
            (groups(&both), volume_group(&both)),
            (vec![2000, 3000, 4000], Some(2000))
        );
        let none = pod(json!({}));
        assert_eq!((groups(&none), volume_group(&none)), (vec![], None));
    }
}
