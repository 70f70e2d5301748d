//! The rows: modules, what they may name, and where other crates may be named.

/// A top module of the root crate.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// 0: facts; 1: state and decisions; 2: adapters; 3: the verbs.
    pub(crate) layer: u8,
    may_name: &'static str,
}

impl Module {
    /// The modules that it may name.
    pub(crate) fn may_name(&self) -> impl Iterator<Item = &'static str> {
        self.may_name.split(' ').filter(|name| !name.is_empty())
    }
}

const fn row(layer: u8, name: &'static str, may_name: &'static str) -> Module {
    Module {
        name,
        layer,
        may_name,
    }
}

pub(crate) const MODULES: &[Module] = &[
    row(0, "apiserver", ""),
    row(0, "metrics", ""),
    row(0, "name", ""),
    row(0, "throttle", ""),
    row(0, "endpoint", "message name"),
    row(0, "message", "name"),
    row(1, "corefile", "name"),
    row(1, "goal", "message name"),
    row(1, "history", "store"),
    row(1, "statefulset", ""),
    row(1, "why", "message name"),
    row(1, "zone", "endpoint message name"),
    row(1, "zonefile", "message name"),
    row(1, "answer", "endpoint message name zone"),
    row(1, "store", "endpoint name zone"),
    row(2, "admin", "throttle"),
    row(2, "api", "apiserver"),
    row(2, "reconciler", "api statefulset"),
    row(
        2,
        "plugin",
        "answer apiserver corefile message metrics name store throttle zone zonefile",
    ),
    row(2, "listen", "answer message name plugin throttle"),
    row(2, "pods", ""),
    row(2, "watch", "api endpoint metrics name store zone"),
    row(3, "output", ""),
    row(3, "nslookup", "message name output plugin"),
    row(3, "logging", "output"),
    row(3, "process", "listen"),
    row(3, "signals", "process"),
    row(
        3,
        "serve",
        "admin answer api apiserver corefile endpoint goal history listen message metrics name plugin process store watch why zone",
    ),
    row(
        3,
        "sandbox",
        "admin api corefile goal listen message plugin reconciler serve store zone pods",
    ),
    row(
        3,
        "commands",
        "api apiserver corefile goal listen logging message name output plugin process reconciler sandbox serve signals store pods",
    ),
    row(3, "args", "commands logging nslookup output process"),
];

/// What L0 and L1 may not name: waiting, clocks, sockets, chance.
pub(crate) const CLOCKS_AND_SOCKETS: &[&str] = &[
    "async",
    "await",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
];

/// Every dependency, and the folders and files that may name it, as words; none: all may.
pub(crate) const ROOMS: &[(&str, &str)] = &[
    (
        "ahash",
        "crates/cluster/src src/answer src/listen src/plugin src/store src/zone",
    ),
    ("annotate_snippets", "src/corefile/error"),
    (
        "anyhow",
        "src/args src/commands src/logging src/sandbox src/serve",
    ),
    ("async_trait", "src/listen/handler"),
    ("axum", "src/admin src/commands/etcd"),
    (
        "base64",
        "crates/cluster/src src/listen/https src/message/rdata src/plugin/forward/https src/plugin/tsig",
    ),
    (
        "bytes",
        "crates/cluster/src crates/objects/src src/api src/commands/asked src/listen src/pods src/watch src/plugin/forward/https",
    ),
    ("clap", "src/args src/commands"),
    ("clap_complete", "src/commands/describe"),
    ("clap_mangen", "src/commands/describe"),
    ("dashmap", "src/zone/map"),
    (
        "flate2",
        "crates/cluster/src/streaming/spdy src/pods/images/unpack",
    ),
    ("foldhash", "src/metrics/top src/zone"),
    (
        "expr",
        "src/plugin/expression src/plugin/template/conditions",
    ),
    (
        "form_urlencoded",
        "crates/cluster/src/request crates/cluster/src/user src/admin src/commands/asked src/listen/https crates/cluster/src/streaming",
    ),
    (
        "futures",
        "crates/cluster/src src/admin/names src/api src/reconciler src/listen src/plugin src/pods src/sandbox src/watch",
    ),
    ("glob", "src/serve/files"),
    ("gtmpl", "src/plugin/template"),
    ("headless_cluster", "src/commands src/pods src/sandbox"),
    (
        "headless_node",
        "src/args src/commands/lifetime src/commands/sandbox src/commands/shell src/pods src/sandbox",
    ),
    ("headless_objects", ""),
    ("hickory_proto", "src/name src/message src/listen/handler"),
    ("hickory_server", "src/listen/handler"),
    ("x509_parser", "crates/cluster/src/user"),
    ("hmac", "crates/cluster/src/tokens src/message/tsig"),
    (
        "http",
        "crates/cluster/src src/admin src/api src/apiserver src/commands/asked src/listen/https src/pods/grpc src/reconciler/fence src/watch src/plugin/forward/https",
    ),
    ("http_body", "crates/cluster/src src/api src/watch"),
    (
        "http_body_util",
        "crates/cluster/src src/api src/commands/asked src/listen/https src/watch src/plugin/forward/https",
    ),
    (
        "hyper",
        "crates/cluster/src src/admin/http src/listen/https",
    ),
    ("hyper_rustls", "src/api/http src/plugin/forward/https"),
    ("h2", "src/api src/pods/grpc"),
    ("hyper_timeout", "src/api/http"),
    (
        "hyper_util",
        "crates/cluster/src/listen crates/cluster/src/streaming src/admin/http src/api/http src/commands/asked src/listen/https src/plugin/forward/https crates/cluster/src/asking",
    ),
    (
        "indexmap",
        "src/plugin/cache src/plugin/hosts/table src/plugin/secondary/incoming",
    ),
    (
        "jiff",
        "crates/cluster/src crates/objects/src src/commands src/reconciler src/serve/known src/serve/walk src/statefulset src/watch src/why src/pods",
    ),
    ("json_patch", "crates/cluster/src/patch"),
    ("k8s_openapi", "crates/cluster/src src/watch/wire"),
    (
        "kube",
        "crates/cluster/src src/api src/reconciler src/watch",
    ),
    (
        "nix",
        "crates/node/src src/commands src/listen src/plugin/kit src/pods/images src/process src/signals",
    ),
    ("prometheus", "src/metrics src/plugin/registry"),
    (
        "prost",
        "crates/objects/src/envelope src/pods/grpc src/watch/protobuf",
    ),
    (
        "rand",
        "crates/cluster/src src/api src/commands src/listen/lane src/plugin src/serve/loops src/nslookup src/sandbox",
    ),
    ("ratatui", "src/commands/watch"),
    ("rcgen", "crates/cluster/src/authority"),
    ("regex", "crates/cluster/src/custom src/plugin"),
    ("resolv_conf", "src/plugin"),
    (
        "ring",
        "crates/cluster/src/streaming crates/cluster/src/tokens src/pods/images src/serve",
    ),
    (
        "rustls",
        "crates/cluster/src/listen src/api src/listen src/plugin/forward src/pods/tls src/serve crates/cluster/src/asking",
    ),
    ("rustix", "crates/node/src"),
    (
        "rustls_native_certs",
        "src/listen/certificate src/plugin/forward/tls",
    ),
    ("secrecy", "src/api"),
    (
        "serde",
        "crates/cluster/src crates/node/src src/api src/pods/images src/watch",
    ),
    (
        "serde_json",
        "crates/cluster/src crates/objects/src src/admin src/api src/commands/asked src/commands/check src/commands/history src/commands/sandbox src/commands/shell src/commands/top src/commands/watch src/commands/why src/logging src/reconciler src/sandbox src/serve/known src/serve/walk src/statefulset src/watch src/why crates/node/src src/pods/images",
    ),
    ("serde_path_to_error", "src/api"),
    ("serde_saphyr", "crates/cluster/src/yaml src/commands"),
    ("sha1", "src/message/tsig"),
    ("sha2", "src/message/tsig"),
    ("shuttle", "src/zone/map"),
    ("siphasher", "src/plugin/cookies"),
    ("smallvec", "src/answer src/message src/name src/zone"),
    ("socket2", "src/listen"),
    ("tar", "src/pods/images"),
    ("thiserror", ""),
    (
        "tokio",
        "crates/cluster/src crates/node/src src/admin src/api src/args src/commands src/reconciler src/listen src/plugin src/pods src/sandbox src/serve src/signals src/watch",
    ),
    (
        "tokio_rustls",
        "crates/cluster/src/listen src/listen/encrypted src/plugin/forward src/pods/tls crates/cluster/src/asking",
    ),
    ("tokio_tungstenite", "crates/cluster/src/streaming"),
    (
        "tokio_util",
        "crates/cluster/src/streaming src/admin src/api src/commands src/reconciler src/listen src/sandbox src/serve src/signals crates/cluster/src/asking",
    ),
    (
        "tower",
        "crates/cluster/src/server src/admin/http src/api src/plugin/forward/https src/watch",
    ),
    (
        "tracing",
        "crates/cluster/src src/admin src/api src/commands src/logging src/reconciler src/listen src/plugin src/pods src/process src/serve src/signals src/watch",
    ),
    ("tracing_subscriber", "src/logging"),
    (
        "uuid",
        "crates/cluster/src/random crates/cluster/src/asking",
    ),
];
