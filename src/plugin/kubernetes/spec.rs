//! The stanza `kubernetes [ZONES...] { ... }`, with CoreDNS's properties.

use std::sync::Arc;
use std::time::Duration;

use crate::apiserver::{ApiServer, server_url};
use crate::corefile::{CorefileError, Directive, Token, go_duration, origins_of};
use crate::name::{Name, Origins, is_reverse};
use crate::plugin::Plugin;
use crate::plugin::block::{Block, Cluster, Link, Parts, Stanza};
use crate::plugin::denials::Denials;
use crate::plugin::kit::{Directives, Registration, fallthrough, origins, ttl};
use crate::plugin::kubernetes::Kubernetes;
use crate::zone::{PodMode, Shown, View};
use headless_objects::selector::Selector;

const PROPERTIES: &str = "endpoint, tls, kubeconfig, apiserver_qps, apiserver_burst, apiserver_max_inflight, namespaces, \
    namespace_labels, labels, pods, endpoint_pod_names, noendpoints, zonal, ttl, fallthrough, ignore, multicluster or startup_timeout";

/// CoreDNS's: a cluster whose API is slower than this is served as far as it is known.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);

pub(in crate::plugin) const PLUGIN: Registration = Registration {
    name: "kubernetes",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = parse(directives)?;
    let link = Handler {
        token: directives.first.name.clone(),
        fallthrough: spec.fallthrough.clone(),
    };
    block.kubernetes = Some(spec);
    block.links.push((PLUGIN.name, Box::new(link)));
    Ok(())
}

/// The link of the chain; the rest of the stanza is kept in the block.
#[derive(Debug)]
struct Handler {
    token: Token,
    fallthrough: Origins,
}

impl Link for Handler {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let Cluster { zone, view } = parts.cluster(&self.token)?.clone();
        Ok(Arc::new(Kubernetes {
            name: PLUGIN.name,
            shown: Shown::Kubernetes(view),
            fallthrough: self.fallthrough.clone(),
            zone,
            holds: parts.holds,
            denials: Denials::new(&parts.metrics.denied),
        }))
    }
}

fn parse(directives: &Directives<'_>) -> Result<Stanza, CorefileError> {
    let directive = directives.only()?;
    let origins = directives.origins(&directive.args)?;
    let origins: Vec<_> = origins.iter().map(Name::to_lowercase).collect();
    if origins
        .iter()
        .all(|zone| is_reverse(zone) && zone.num_labels() > 2)
    {
        return Err(directive.name.error(
            "every zone is a reverse zone",
            "the cluster's domain among the zones",
        ));
    }
    let mut spec = Stanza {
        view: View {
            origins: origins.into(),
            ..View::default()
        },
        fallthrough: Origins::default(),
        api: ApiServer::default(),
        api_token: directive.name.clone(),
        labels: Selector::default(),
        namespace_labels: Selector::default(),
        endpoint_pod_names: false,
        noendpoints: false,
        startup_timeout: STARTUP_TIMEOUT,
    };
    let mut tls = None;
    for property in &directive.body {
        match property.name.text.as_str() {
            "tls" => tls = Some(parse_tls(property)?),
            "endpoint" | "kubeconfig" => parse_api(&mut spec, property)?,
            "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight" => {
                check_limit(property)?
            }
            "labels" => spec.labels = parse_selector(property)?,
            "namespace_labels" => spec.namespace_labels = parse_selector(property)?,
            "startup_timeout" => spec.startup_timeout = parse_timeout(property)?,
            _ => parse_answers(&mut spec, directive, property)?,
        }
    }
    check(&spec, directive)?;
    if let (ApiServer::Endpoint { tls: slot, .. }, tls) = (&mut spec.api, tls) {
        *slot = tls;
    }
    Ok(spec)
}

/// The properties that change answers.
fn parse_answers(
    spec: &mut Stanza,
    directive: &Directive,
    property: &Directive,
) -> Result<(), CorefileError> {
    match property.name.text.as_str() {
        "namespaces" => {
            let names = property.some_args("names of namespaces")?;
            spec.view
                .namespaces
                .extend(names.iter().map(|t| Box::from(t.text.to_ascii_lowercase())));
        }
        "pods" => {
            const EXPECTED: &str = "disabled, insecure or verified";
            let arg = property.one_arg(EXPECTED)?;
            spec.view.pods = match arg.text.as_str() {
                "disabled" => PodMode::Disabled,
                "insecure" => PodMode::Insecure,
                "verified" => PodMode::Verified,
                other => return Err(arg.error(format!("unknown mode '{other}'"), EXPECTED)),
            };
        }
        flag @ ("endpoint_pod_names" | "noendpoints" | "zonal") => {
            property.no_args()?;
            spec.endpoint_pod_names |= flag == "endpoint_pod_names";
            spec.noendpoints |= flag == "noendpoints";
            spec.view.zonal |= flag == "zonal";
        }
        "ttl" => spec.view.ttl = ttl(property)?,
        "fallthrough" => spec.fallthrough = fallthrough(property)?,
        "ignore" => {
            if let Some(arg) = property.args.first() {
                if arg.text != "empty_service" {
                    return Err(
                        arg.error(format!("'{}' cannot be ignored", arg.text), "empty_service")
                    );
                }
                spec.view.ignore_empty_service = true;
            }
        }
        "multicluster" => {
            spec.view.multicluster = origins(&property.args)?;
            let is_ours = |name: &Name| spec.view.origins.iter().any(|own| own.name == *name);
            let ours = |origins: Vec<Name>| origins.iter().all(is_ours);
            if let Some(arg) = property
                .args
                .iter()
                .find(|arg| !origins_of(&arg.text).is_ok_and(ours))
            {
                let problem = format!("{} is no zone of this stanza", arg.text);
                return Err(arg.error(problem, "one of the stanza's zones"));
            }
        }
        _ => return Err(directive.unknown_property(property, PROPERTIES)),
    }
    Ok(())
}

fn parse_api(spec: &mut Stanza, property: &Directive) -> Result<(), CorefileError> {
    let first = |expected| property.some_args(expected).map(|args| args[0].clone());
    match (property.name.text.as_str(), &spec.api) {
        ("kubeconfig", _) => {
            let file = first("a file, and a context if it is not the current one")?.text;
            if let Some(extra) = property.args.get(2) {
                return Err(extra.error(
                    "`kubeconfig` takes a file and a context",
                    "the end of the line",
                ));
            }
            spec.api_token = property.name.clone();
            spec.api = ApiServer::Kubeconfig {
                file: file.into(),
                context: property.args.get(1).map(|t| t.text.clone()),
            };
        }
        // As in CoreDNS a kubeconfig wins over an endpoint.
        ("endpoint", ApiServer::Kubeconfig { .. }) => drop(first("a URL")?),
        _ => {
            let url = first("a URL")?;
            server_url(&url.text, false).map_err(|problem| {
                url.error(problem, "a URL such as https://10.96.0.1:443, or host:port")
            })?;
            spec.api_token = property.name.clone();
            spec.api = ApiServer::Endpoint {
                url: url.text,
                tls: None,
            };
        }
    }
    Ok(())
}

fn parse_tls(property: &Directive) -> Result<[String; 3], CorefileError> {
    let files: Vec<_> = property.args.iter().map(|t| t.text.clone()).collect();
    files.try_into().map_err(|_| {
        property
            .name
            .error("`tls` takes three files", "CERT KEY CA")
    })
}

/// `apiserver_*`: checked and without effect, as a few watches need no limit.
fn check_limit(property: &Directive) -> Result<(), CorefileError> {
    let arg = property.one_arg("a number, 0 or more")?;
    let whole = property.name.text != "apiserver_qps";
    let good = if whole {
        arg.text.parse::<u32>().is_ok()
    } else {
        arg.text.parse().is_ok_and(|n: f64| n >= 0.0)
    };
    if good {
        Ok(())
    } else {
        Err(arg.error(
            format!("'{}' is no number", arg.text),
            "a number, 0 or more",
        ))
    }
}

fn parse_selector(property: &Directive) -> Result<Selector, CorefileError> {
    let args = property.some_args("a label selector such as `app in (a, b)`")?;
    let text = args
        .iter()
        .map(|t| t.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    Selector::parse(&text).map_err(|error| {
        args[0].error(
            error.to_string(),
            "a label selector such as `app in (a, b)`",
        )
    })
}

fn parse_timeout(property: &Directive) -> Result<Duration, CorefileError> {
    const EXPECTED: &str = "a duration above zero, such as `5s`";
    let arg = &property.some_args(EXPECTED)?[0];
    let timeout = go_duration(&arg.text).filter(|d| !d.is_zero());
    timeout.ok_or_else(|| arg.error(format!("'{}' is no time to wait", arg.text), EXPECTED))
}

/// Properties that exclude each other.
fn check(spec: &Stanza, directive: &Directive) -> Result<(), CorefileError> {
    let at = |name: &str| {
        directive
            .body
            .iter()
            .find(|p| p.name.text == name)
            .map_or(&directive.name, |p| &p.name)
    };
    if !spec.view.namespaces.is_empty() && !spec.namespace_labels.is_empty() {
        return Err(at("namespace_labels").error(
            "`namespaces` and `namespace_labels` exclude each other",
            "one of them",
        ));
    }
    if spec.noendpoints && spec.view.zonal {
        return Err(at("zonal").error(
            "`zonal` needs the endpoints that `noendpoints` leaves out",
            "one of them",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;
    use crate::plugin::tests::{block, error};

    fn spec(text: &str) -> Stanza {
        block(text).kubernetes.unwrap()
    }

    #[test]
    fn every_property_is_read() {
        let spec = spec(
            "kubernetes Cluster.local 10.0.0.0/8 {\n endpoint https://10.0.0.1\n tls c k ca\n namespaces a\n namespaces B c\n labels app in (x, y)\n pods verified\n \
             endpoint_pod_names\n zonal\n ttl 60\n fallthrough\n ignore empty_service\n multicluster cluster.local\n startup_timeout 1s\n apiserver_qps 1.5\n}",
        );
        let origins: Vec<_> = spec
            .view
            .origins
            .iter()
            .map(|origin| origin.name.to_string())
            .collect();
        assert_eq!(origins, ["cluster.local.", "10.in-addr.arpa."]);
        assert_eq!(spec.view.namespaces, ["a", "b", "c"].map(Box::from));
        assert_eq!(
            (
                spec.view.pods,
                spec.view.ttl,
                spec.labels.to_string().as_str()
            ),
            (PodMode::Verified, 60, "app in (x,y)")
        );
        assert!(
            spec.endpoint_pod_names
                && spec.view.zonal
                && spec.view.ignore_empty_service
                && !spec.noendpoints
        );
        assert_eq!(
            (spec.fallthrough, spec.view.multicluster),
            (
                vec![Name::root()].into(),
                vec![absolute("cluster.local").unwrap()]
            )
        );
        let tls = Some(["c", "k", "ca"].map(str::to_owned));
        assert_eq!(
            spec.api,
            ApiServer::Endpoint {
                url: "https://10.0.0.1".into(),
                tls
            }
        );
        assert_eq!(spec.startup_timeout, Duration::from_secs(1));
    }

    #[test]
    fn without_origins_those_of_the_block_are_served_and_a_kubeconfig_wins() {
        let spec = spec("kubernetes {\n kubeconfig f ctx\n endpoint http://x\n}");
        assert_eq!(
            spec.view.origins,
            vec![absolute("cluster.local").unwrap()].into()
        );
        assert_eq!(
            spec.api,
            ApiServer::Kubeconfig {
                file: "f".into(),
                context: Some("ctx".into())
            }
        );
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for (body, problem) in [
            ("pods on", "unknown mode 'on'"),
            ("ttl 3601", "'3601' is no TTL"),
            ("zonal x", "`zonal` takes no argument"),
            ("tls a b", "`tls` takes three files"),
            ("ignore all", "'all' cannot be ignored"),
            ("startup_timeout 0s", "'0s' is no time to wait"),
            (
                "multicluster example.org",
                "example.org is no zone of this stanza",
            ),
            ("upstream", "unknown property 'upstream' of `kubernetes`"),
            ("apiserver_burst -1", "'-1' is no number"),
            ("endpoint /api", "'/api' names no host"),
            (
                "endpoint tcp://10.0.0.1",
                "tcp:// is no way to reach an API server",
            ),
            (
                "namespaces a\n namespace_labels b",
                "`namespaces` and `namespace_labels` exclude each other",
            ),
            (
                "zonal\n noendpoints",
                "`zonal` needs the endpoints that `noendpoints` leaves out",
            ),
        ] {
            assert_eq!(error(&format!("kubernetes {{\n {body}\n}}")), problem);
        }
        assert_eq!(
            error("kubernetes 10.0.0.0/8"),
            "every zone is a reverse zone"
        );
    }
}
