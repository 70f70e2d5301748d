//! What probes and hooks of a container do, as a runtime is told. No clock and no process.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use headless_objects::object::array;
use serde_json::Value;

use crate::runtime::{Check, Http};

/// What a probe or a hook does; none where there is no such handler.
pub(super) fn of(pod: &Value, container: &Value, handler: &Value) -> Option<Check> {
    if !handler.is_object() {
        return None;
    }
    let strings = |list: &Value| array(list).map(text).collect();
    let address = |of: &Value| {
        let host = of["host"]
            .as_str()
            .or_else(|| pod["status"]["podIP"].as_str())?;
        let ip: IpAddr = host.parse().ok()?;
        Some(SocketAddr::new(ip, port(container, &of["port"])?))
    };
    let given = |field: &str| Some(&handler[field]).filter(|given| given.is_object());
    let check = if let Some(exec) = given("exec") {
        Some(Check::Exec(strings(&exec["command"])))
    } else if let Some(tcp) = given("tcpSocket") {
        address(tcp).map(Check::Tcp)
    } else if let Some(grpc) = given("grpc") {
        let service = text(&grpc["service"]);
        address(grpc).map(|address| Check::Grpc { address, service })
    } else if let Some(sleep) = given("sleep") {
        let seconds = sleep["seconds"].as_u64().unwrap_or_default();
        Some(Check::Sleep(Duration::from_secs(seconds)))
    } else if let Some(http) = given("httpGet") {
        let headers = array(&http["httpHeaders"]);
        let headers = headers.map(|header| (text(&header["name"]), text(&header["value"])));
        address(http).map(|address| {
            Check::Http(Http {
                address,
                tls: http["scheme"] == "HTTPS",
                path: text(&http["path"]),
                headers: headers.collect(),
            })
        })
    } else {
        None
    };
    Some(check.unwrap_or(Check::Impossible))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A port by its number, or by its name in the container.
fn port(container: &Value, port: &Value) -> Option<u16> {
    let number = port.as_u64().or_else(|| {
        let name = port.as_str()?;
        let mut ports = array(&container["ports"]);
        let named = ports.find(|port| port["name"] == name);
        named.map_or_else(|| name.parse().ok(), |port| port["containerPort"].as_u64())
    })?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_handler_says_what_is_done_and_what_cannot_be_done_fails() {
        let pod = json!({"status": {"podIP": "10.244.0.2"}});
        let container = json!({"ports": [{"name": "web", "containerPort": 80}]});
        let check = |handler: Value| of(&pod, &container, &handler);
        let web: SocketAddr = "10.244.0.2:80".parse().unwrap();
        assert_eq!(check(Value::Null), None);
        assert_eq!(
            check(json!({"httpGet": {"port": "no"}})),
            Some(Check::Impossible)
        );
        assert_eq!(
            check(json!({"tcpSocket": {"port": "web"}})),
            Some(Check::Tcp(web))
        );
        let exec = check(json!({"exec": {"command": ["a", "b"]}}));
        assert_eq!(exec, Some(Check::Exec(vec!["a".into(), "b".into()])));
        let sleep = check(json!({"sleep": {"seconds": 3}}));
        assert_eq!(sleep, Some(Check::Sleep(Duration::from_secs(3))));
        let (address, service) = (web, "up".to_owned());
        let grpc = check(json!({"grpc": {"port": 80, "service": "up"}}));
        assert_eq!(grpc, Some(Check::Grpc { address, service }));
        let headers = vec![("A".into(), "b".into())];
        for (scheme, tls) in [("HTTP", false), ("HTTPS", true)] {
            let http = json!({"path": "/up", "port": "web", "scheme": scheme, "httpHeaders": [{"name": "A", "value": "b"}]});
            let wanted = Check::Http(Http {
                address,
                tls,
                path: "/up".into(),
                headers: Vec::clone(&headers),
            });
            assert_eq!(check(json!({"httpGet": http})), Some(wanted));
        }
    }
}
