//! What expressions ask of a question: CoreDNS's functions, and what they say.

use std::net::IpAddr;
use std::sync::LazyLock;

use expr::{Context, ContextProvider, Environment, Value};

use crate::message::metadata::Metadata;
use crate::message::question::{Query, RecordType, Transport};
use crate::message::type_name;
use crate::message::wire::limit;
use crate::plugin::kit::Network;

/// The functions about a question that take nothing: CoreDNS's.
const OF_QUESTION: [&str; 13] = [
    "type",
    "name",
    "class",
    "proto",
    "size",
    "client_ip",
    "port",
    "id",
    "opcode",
    "do",
    "bufsize",
    "server_ip",
    "server_port",
];

/// The language's functions, and those about a question.
pub(super) static OF_QUESTIONS: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// The same, and `group` of an expression that has fit a name.
pub(super) static WITH_GROUPS: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.add_function("group", |call| {
        let name = match &call.args[..] {
            [Value::String(name)] => name.clone(),
            [Value::Integer(number)] => number.to_string(),
            [_] => String::new(),
            [..] => return Err("group() takes a name or a number".to_owned().into()),
        };
        let group = call.ctx.get(&fact(&format!("group {name}"))).cloned();
        Ok(group.unwrap_or_else(|| "".into()))
    });
    environment
});

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    for name in OF_QUESTION {
        environment.add_function(name, move |call| match &call.args[..] {
            [] => Ok(call.ctx.get(&fact(name)).cloned().unwrap_or(Value::Nil)),
            [..] => Err(format!("{name}() takes nothing").into()),
        });
    }
    environment.add_function("metadata", |call| match &call.args[..] {
        [Value::String(label)] => {
            let value = call.ctx.get(&fact(&format!("metadata {label}"))).cloned();
            Ok(value.unwrap_or_else(|| "".into()))
        }
        [..] => Err("metadata() takes a label".to_owned().into()),
    });
    environment.add_function("incidr", |call| match &call.args[..] {
        [Value::String(ip), Value::String(cidr)] => {
            let ip: IpAddr = ip.parse().map_err(|_| format!("'{ip}' is no address"))?;
            let network = Network::cidr(cidr).ok_or_else(|| format!("'{cidr}' is no CIDR"))?;
            Ok(network.has(ip.to_canonical()).into())
        }
        [..] => Err("incidr() takes an address and a CIDR".to_owned().into()),
    });
    environment
}

/// A type as Go's table has it: one without a name is nothing.
pub(in crate::plugin) fn type_in_go(qtype: RecordType) -> String {
    let name = type_name(qtype);
    if name.starts_with("TYPE") {
        return String::new();
    }
    name
}

/// The key of a fact: with a blank, so that no expression can name it as a variable.
fn fact(name: &str) -> String {
    format!(" {name}")
}

/// What functions read, and variables.
pub(in crate::plugin) struct Facts(Context);

impl Facts {
    /// Those of a question.
    pub(in crate::plugin) fn of(query: &Query, metadata: Option<&Metadata>) -> Self {
        let mut facts = Context::default();
        let mut set = |name: &str, value: Value| facts.insert(fact(name), value);
        let question = &query.question;
        let proto = match query.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let server = query.route.server;
        set("type", type_in_go(question.qtype).into());
        set("name", question.qname.to_lowercase().to_string().into());
        set("class", question.qclass.to_string().into());
        set("proto", proto.into());
        set("size", query.size.into());
        set("client_ip", query.route.client.ip().to_string().into());
        set("port", query.route.client.port().to_string().into());
        set("id", i32::from(query.id).into());
        set("opcode", i32::from(u8::from(query.opcode)).into());
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        set("do", dnssec_ok.into());
        let room = limit(query.transport, query.edns);
        set("bufsize", i32::from(room).into());
        let server_ip = server.map_or(String::new(), |server| server.ip().to_string());
        set("server_ip", server_ip.into());
        let port = server.map_or(String::new(), |server| server.port().to_string());
        set("server_port", port.into());
        let metadata = metadata.map(Metadata::all).unwrap_or_default();
        for (label, value) in metadata {
            set(&format!("metadata {label}"), value.into());
        }
        Self(facts)
    }

    /// Sets what an expression has found, by its name or number.
    pub(in crate::plugin) fn set_group(&mut self, name: &str, value: &str) {
        self.0.insert(fact(&format!("group {name}")), value);
    }

    /// Sets a variable.
    pub(in crate::plugin) fn set_variable(&mut self, name: &str, value: Value) {
        self.0.insert(name, value);
    }
}

impl ContextProvider for Facts {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Nothing: an expression sees functions, and variables by their names.
    fn to_context(&self) -> Context {
        Context::default()
    }
}
