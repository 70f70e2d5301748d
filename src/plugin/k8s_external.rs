//! `k8s_external`: external addresses of Services, in origins of their own. Its handler is that of `kubernetes`.

use std::sync::Arc;

use super::Plugin;
use super::block::{Block, Cluster, Link, Parts};
use super::denials::Denials;
use super::kit::{Directives, Registration, fallthrough, flag, ttl};
use super::kubernetes::Kubernetes;
use crate::corefile::{CorefileError, Token};
use crate::name::{Name, Origins};
use crate::zone::ExternalView;

/// `k8s_external [ZONES...] { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec {
    token: Token,
    /// The origins, lower case.
    origins: Origins,
    /// The label of the zone's own names.
    apex: String,
    /// TTL, in seconds.
    ttl: u32,
    /// Headless Services show their endpoints.
    headless: bool,
    /// Of these names, those that do not exist go to the next plugin.
    fallthrough: Origins,
}

/// CoreDNS's.
const DEFAULT_TTL: u32 = 5;

pub(super) const PLUGIN: Registration = Registration {
    name: "k8s_external",
    setup,
};

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = parse(directives)?;
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let Cluster { zone, view } = parts.cluster(&self.token)?.clone();
        let view = ExternalView {
            origins: self.origins.clone(),
            apex: self.apex.clone(),
            ttl: self.ttl,
            headless: self.headless,
            kubernetes: view,
        };
        Ok(Arc::new(Kubernetes {
            name: PLUGIN.name,
            shown: view.into(),
            fallthrough: self.fallthrough.clone(),
            zone,
            holds: parts.holds,
            denials: Denials::new(&parts.metrics.denied),
        }))
    }
}

fn parse(directives: &Directives<'_>) -> Result<Spec, CorefileError> {
    let directive = directives.only()?;
    let origins = directives.origins(&directive.args)?;
    let origins: Vec<_> = origins.iter().map(Name::to_lowercase).collect();
    let mut spec = Spec {
        token: directive.name.clone(),
        origins: origins.into(),
        apex: "dns".into(),
        ttl: DEFAULT_TTL,
        headless: false,
        fallthrough: Origins::default(),
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "apex" => spec.apex = property.one_arg("a label")?.text.to_ascii_lowercase(),
            "ttl" => spec.ttl = ttl(property)?,
            "headless" => spec.headless = flag(property)?,
            "fallthrough" => spec.fallthrough = fallthrough(property)?,
            _ => {
                return Err(
                    directive.unknown_property(property, "apex, ttl, headless or fallthrough")
                );
            }
        }
    }
    Ok(spec)
}
