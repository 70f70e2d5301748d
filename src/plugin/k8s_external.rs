//! `k8s_external`: external addresses of Services, in zones of their own. Its handler is that of `kubernetes`.

use super::registry::Setup;
use crate::corefile::{CorefileError, zones_of};
use crate::name::{Name, Origins};

/// `k8s_external [ZONES...] { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The zones, lower case.
    pub zones: Origins,
    /// The label of the zone's own names.
    pub apex: String,
    /// TTL, in seconds.
    pub ttl: u32,
    /// Headless Services show their endpoints.
    pub headless: bool,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Origins,
}

/// CoreDNS's.
const DEFAULT_TTL: u32 = 5;

/// The longest TTL the directive takes, in seconds: CoreDNS's.
const MAX_TTL: u32 = 3600;

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    let zones = setup.zones(&directive.args)?;
    let zones: Vec<_> = zones.iter().map(Name::to_lowercase).collect();
    let mut spec = Spec {
        zones: zones.into(),
        apex: "dns".into(),
        ttl: DEFAULT_TTL,
        headless: false,
        fallthrough: Origins::default(),
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "apex" => spec.apex = property.one_arg("a label")?.text.to_ascii_lowercase(),
            "ttl" => {
                let arg = property.one_arg("seconds")?;
                let ttl = arg.text.parse().ok().filter(|ttl| *ttl <= MAX_TTL);
                spec.ttl = ttl.ok_or_else(|| {
                    arg.error(
                        format!("'{}' is no TTL", arg.text),
                        "seconds from 0 to 3600",
                    )
                })?;
            }
            "headless" => {
                property.no_args()?;
                spec.headless = true;
            }
            "fallthrough" if property.args.is_empty() => {
                spec.fallthrough = vec![Name::root()].into()
            }
            "fallthrough" => {
                for arg in &property.args {
                    spec.fallthrough.extend(
                        zones_of(&arg.text).map_err(|problem| arg.error(problem, "a zone"))?,
                    );
                }
            }
            _ => {
                return Err(
                    directive.unknown_property(property, "apex, ttl, headless or fallthrough")
                );
            }
        }
    }
    Ok(spec)
}
