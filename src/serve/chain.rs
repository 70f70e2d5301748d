//! From a block's specs to its handlers, in order, and the watches they need.

use std::sync::Arc;

use super::Ambient;
use super::sockets::Listeners;
use crate::admin::Readiness;
use crate::api::{self, Server};
use crate::plugin::autopath::Autopath;
use crate::plugin::errors::Errors;
use crate::plugin::forward::Forward;
use crate::plugin::k8s_external;
use crate::plugin::kubernetes::{self, Kubernetes};
use crate::plugin::loadbalance::Loadbalance;
use crate::plugin::log::Log;
use crate::plugin::transfer::Transfer;
use crate::plugin::{Block, Chain, Plugin, Spec};
use crate::serve::Stanza;
use crate::watch::{self, Watches};
use crate::zone::{ExternalView, PodMode, Shown, View, Zone};

/// What a block's `kubernetes` keeps and shows, for the plugins that ask it.
type OfBlock = Option<(Arc<Zone>, Arc<View>)>;

/// A block's handlers, in order; its watches, where it has a `kubernetes` stanza.
pub(super) async fn chain(
    block: &Block,
    api: &Ambient,
    listeners: &Listeners<'_>,
    readiness: &Readiness,
) -> anyhow::Result<(Chain, Option<Stanza>)> {
    let stanza = match block.specs.iter().find_map(as_kubernetes) {
        Some(spec) => Some(stanza(spec, api, readiness).await?),
        None => None,
    };
    let local_addresses = listeners.local_addresses(block)?;
    let shown: OfBlock = block
        .specs
        .iter()
        .find_map(as_kubernetes)
        .zip(stanza.as_ref())
        .map(|(spec, stanza)| {
            let view = View {
                local_addresses,
                ..spec.view.clone()
            };
            (Arc::clone(&stanza.watches.zone), view.into())
        });
    let mut plugins: Vec<Arc<dyn Plugin>> = Vec::new();
    for (i, spec) in block.specs.iter().enumerate() {
        // Directives that add up stand side by side, and are one handler.
        let first =
            i == 0 || std::mem::discriminant(&block.specs[i - 1]) != std::mem::discriminant(spec);
        plugins.extend(plugin(block, spec, first, &shown)?);
    }
    Ok((plugins.into(), stanza))
}

/// The handler of a spec; `None` where it has none, or an earlier one holds it.
fn plugin(
    block: &Block,
    spec: &Spec,
    first: bool,
    shown: &OfBlock,
) -> anyhow::Result<Option<Arc<dyn Plugin>>> {
    Ok(match spec {
        Spec::Autopath(spec) => Some(Arc::new(Autopath {
            spec: spec.clone(),
            kubernetes: of_kubernetes(shown),
        })),
        Spec::Errors => Some(Arc::new(Errors::default())),
        Spec::Forward(spec) => Some(Arc::new(Forward::new(spec.clone()))),
        Spec::K8sExternal(spec) => Some(Arc::new(external(spec, shown)?)),
        Spec::Kubernetes(spec) => of_kubernetes(shown).map(|(zone, shown)| {
            Arc::new(Kubernetes {
                name: "kubernetes",
                shown,
                fallthrough: spec.fallthrough.clone(),
                zone,
            }) as Arc<dyn Plugin>
        }),
        Spec::Loadbalance => Some(Arc::new(Loadbalance)),
        Spec::Log(_) if first => {
            let rules = block.specs.iter().filter_map(|spec| {
                if let Spec::Log(rule) = spec {
                    Some(rule.clone())
                } else {
                    None
                }
            });
            Some(Arc::new(Log {
                rules: rules.collect(),
            }))
        }
        Spec::Transfer(_) if first => {
            let specs = block.specs.iter().filter_map(|spec| {
                if let Spec::Transfer(spec) = spec {
                    Some(spec.clone())
                } else {
                    None
                }
            });
            Some(Arc::new(Transfer {
                specs: specs.collect(),
                kubernetes: of_kubernetes(shown),
            }))
        }
        Spec::Bind(_)
        | Spec::Health(_)
        | Spec::Log(_)
        | Spec::Ready(_)
        | Spec::Tls(_)
        | Spec::Transfer(_) => None,
    })
}

fn as_kubernetes(spec: &Spec) -> Option<&kubernetes::Spec> {
    if let Spec::Kubernetes(spec) = spec {
        Some(spec)
    } else {
        None
    }
}

fn of_kubernetes(shown: &OfBlock) -> Option<(Arc<Zone>, Shown)> {
    let (zone, view) = shown.clone()?;
    Some((zone, Shown::Kubernetes(view)))
}

fn external(spec: &k8s_external::Spec, shown: &OfBlock) -> anyhow::Result<Kubernetes> {
    let Some((zone, kubernetes)) = shown.clone() else {
        anyhow::bail!("`k8s_external` needs `kubernetes` in the same server block");
    };
    let view = ExternalView {
        origins: spec.zones.clone(),
        apex: spec.apex.clone(),
        ttl: spec.ttl,
        headless: spec.headless,
        kubernetes,
    };
    Ok(Kubernetes {
        name: "k8s_external",
        shown: view.into(),
        fallthrough: spec.fallthrough.clone(),
        zone,
    })
}

async fn stanza(
    spec: &kubernetes::Spec,
    api: &Ambient,
    readiness: &Readiness,
) -> anyhow::Result<Stanza> {
    let client = match (&spec.api, api) {
        (Server::Ambient, Ambient::Client(client)) => client.clone(),
        (Server::Ambient, Ambient::Server(server)) => api::connect(server).await?,
        (named, _) => api::connect(named).await?,
    };
    let options = watch::Options {
        labels: spec.labels.clone(),
        namespace_labels: spec.namespace_labels.clone(),
        shape: watch::wire::Shape {
            endpoint_pod_names: spec.endpoint_pod_names,
            zonal: spec.view.zonal,
        },
        noendpoints: spec.noendpoints,
        pods: spec.view.pods == PodMode::Verified,
        multicluster: !spec.view.multicluster.is_empty(),
    };
    let watches = Watches::start(&client, &options);
    Ok(Stanza {
        watches,
        startup_timeout: spec.startup_timeout,
        ready: readiness.token("kubernetes"),
    })
}
