//! headless-dns: a name that follows each Pod of a StatefulSet.
//!
//! ```text
//!                           Kubernetes API server (a real one, or the embedded one: crates/cluster)
//!                                  │ api: one client, credentials read again, list+watch with backoff
//!             ┌────────────────────┴───────────────────────────┐
//!   Service, EndpointSlice, Namespace         StatefulSet, Pod, ControllerRevision, PVC
//!   (Pod only where a mode needs it)                           │
//! ┌─ watch/ ────────────────────────────┐   ┌─ reconciler/ ────┼─────────────────────┐
//! │  protobuf where the server has it   │   │  observe         ▼                     │
//! │  relist = one reset                 │   │     │    act ──► create, delete, patch │
//! │  wire types: only the fields used   │   │     │     ▲                            │
//! └───────────┬─────────────────────────┘   └─────┼─────┼────────────────────────────┘
//!             │ apply / delete / reset            ▼     │
//!             ▼                              statefulset/plan                   (pure)
//!    store    one writer, &mut self            observed → actions
//!             │   merges the slices of a Service
//!             ▼
//!    zone     DashMap<svc.ns, Arc<ServiceData>> + address → Services; publish = swap one Arc
//!             │   lookup(question) → Found | Leads | Denied { exists, reason, seen }: facts, no records
//!             ▼
//!    answer   write(answer, question, pen): AA, SOA, TTLs, additionals, once                            (pure)
//!             │   two pens, message/: Wire (octets: compression, truncation, OPT)
//!             │                       Records (for plugins that look into replies)
//!             ▲
//!    plugin   one chain per server block, in CoreDNS's order: … loadbalance, kubernetes (asks the zone), forward
//!             │   handle(query, next) → reply value; next.ask(question) re-enters the server
//!             ▼
//!    listen   UDP lanes (a thread, a socket, batches; the zone at once where no plugin has to see a question)
//!             │   TCP, TLS, HTTPS: one way in, one set of limits         message/: octets → query
//!             ▼
//!    clients                                  admin: /health /ready
//! ```
//!
//! Imports point down only; `tests/layering/` holds them to it.
//!
//! ```text
//! L3  main, args, commands, logging, nslookup, output, process, signals, serve, sandbox   the verbs: wiring; anyhow lives here only
//! L2  api, watch, reconciler, listen, plugin, admin, pods     adapters: async + IO
//! L1  store, zone, answer, zonefile, statefulset, corefile, goal, why  state and decisions (pure)
//! L0  name, message, endpoint, apiserver, throttle, metrics  facts; crates/objects: words about Kubernetes objects
//! ```
//!
//! ```text
//! crates/cluster: the embedded Kubernetes; its kubelet orders programs, and hears facts
//!     └─ pods: does what is ordered, in crates/node: Pods as real processes, which knows no Kubernetes
//! ```

#[cfg(test)]
extern crate self as headless_dns;

#[cfg(test)]
#[path = "../tests/support/build.rs"]
pub mod build;

#[cfg(test)]
#[path = "../tests/support/upstream.rs"]
pub mod fake_upstream;

pub mod apiserver;
pub mod endpoint;
pub mod message;
pub mod metrics;
pub mod name;
pub mod throttle;

pub mod answer;
pub mod corefile;
pub mod goal;
pub mod history;
pub mod statefulset;
pub mod store;
pub mod why;
pub mod zone;
pub mod zonefile;

pub mod admin;
pub mod api;
pub mod listen;
pub mod plugin;
pub mod pods;
pub mod reconciler;
pub mod watch;

pub mod args;
mod commands;
mod logging;
mod nslookup;
mod output;
mod process;
pub mod sandbox;
pub mod serve;
mod signals;
