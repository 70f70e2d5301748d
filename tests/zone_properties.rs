//! Any sequence of apply, delete and reset leaves the zone that the final objects alone would give.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use headless_dns::endpoint::{Address, Endpoint, Expected, Kind, Pod, Port, Service, Slice};
use headless_dns::name::ServiceKey;
use headless_dns::store::{Delta, Event, Fact, ObjectKey, Resource, Store};
use headless_dns::zone::Zone;
use proptest::prelude::*;

const WATCHES: [Resource; 5] = [
    Resource::Namespaces,
    Resource::Services,
    Resource::Slices,
    Resource::Pods,
    Resource::Sets,
];

/// What happens to the cluster. Few names and addresses, so that events meet.
#[derive(Clone, Debug)]
enum Step {
    Apply(Resource, ObjectKey, Fact),
    Delete(Resource, ObjectKey),
    /// The watch lists again; before it does, these objects went unseen.
    Relist(Resource, Vec<ObjectKey>),
    /// A list that breaks off after the first so many objects.
    Broken(Resource, usize),
}

fn key(ns: u8, name: u8) -> ObjectKey {
    ObjectKey {
        ns: format!("ns{}", ns % 2).into(),
        name: format!("o{}", name % 4).into(),
    }
}

fn service_key(key: &ObjectKey) -> ServiceKey {
    ServiceKey::new(key.ns.as_bytes(), key.name.as_bytes())
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last % 6).into()
}

fn ports() -> Box<[Port]> {
    Box::new([Port {
        name: "p".into(),
        protocol: "TCP".into(),
        number: Some(1),
    }])
}

fn fact(resource: Resource, key: &ObjectKey, bytes: &[u8]) -> Fact {
    match resource {
        Resource::Services | Resource::Imports => {
            let kind = match bytes[0] % 3 {
                0 => Kind::Headless,
                1 => Kind::ClusterIp(Box::new([ip(bytes[1])])),
                _ => Kind::ExternalName("example.com".into()),
            };
            Fact::Service(
                resource.scope(),
                Service {
                    key: service_key(key),
                    kind,
                    external: Box::new([]),
                    ports: ports(),
                },
            )
        }
        Resource::Slices | Resource::ImportSlices => {
            let owner = ObjectKey {
                ns: key.ns.clone(),
                name: format!("o{}", bytes[0] % 4).into(),
            };
            let labels: Vec<String> = bytes.iter().map(|b| format!("h{}", b % 3)).collect();
            let endpoints: Vec<_> = bytes[1..]
                .iter()
                .zip(&labels)
                .map(|(b, label)| Endpoint {
                    address: Address::Ip(ip(*b)),
                    label: (b % 2 == 0).then_some(label.as_str()),
                    topology: "",
                    ready: b % 5 != 0,
                })
                .collect();
            let of = (bytes[0] % 7 != 6).then(|| service_key(&owner));
            Fact::Slice(resource.scope(), of, Slice::new("", ports(), &endpoints))
        }
        Resource::Pods => {
            let addresses = bytes[1..].iter().take(2).map(|b| ip(*b)).collect();
            Fact::Pod(Pod {
                ns: key.ns.clone(),
                name: key.name.clone(),
                addresses,
                labels: Box::default(),
            })
        }
        Resource::Sets => Fact::Set(Expected {
            service: service_key(&self::key(key.ns.as_bytes()[2], bytes[0])),
            set: key.name.clone(),
            start: u32::from(bytes[1] % 2),
            replicas: u32::from(bytes[1] % 3),
        }),
        Resource::Namespaces => Fact::Namespace,
    }
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(any::<u8>(), 2..6);
    (0..WATCHES.len(), any::<u8>(), any::<u8>(), bytes, 0..8u8).prop_map(
        |(w, ns, name, bytes, what)| {
            let resource = WATCHES[w];
            let mut key = key(ns, name);
            if resource == Resource::Namespaces {
                key = ObjectKey {
                    ns: "".into(),
                    name: key.ns,
                };
            }
            match what {
                0 | 1 => Step::Delete(resource, key),
                2 => Step::Relist(
                    resource,
                    bytes.iter().map(|b| self::key(*b, b / 2)).collect(),
                ),
                3 => Step::Broken(resource, usize::from(bytes[0] % 3)),
                _ => Step::Apply(resource, key.clone(), fact(resource, &key, &bytes)),
            }
        },
    )
}

type Objects = BTreeMap<(Resource, ObjectKey), Fact>;

/// Takes an event in. What it has changed is the same by what came and went as by what there was before and is now.
fn handle(store: &mut Store, event: Event) {
    for change in store.handle(1, event) {
        let by_names = change.names().into_iter().map(Delta::from);
        assert_eq!(change.deltas(), by_names.collect::<Vec<_>>());
    }
}

fn apply_all(store: &mut Store, objects: &Objects, resource: Resource, most: usize) {
    for ((_, key), fact) in objects
        .iter()
        .filter(|((w, _), _)| *w == resource)
        .take(most)
    {
        handle(store, Event::Apply(key.clone().into(), fact.clone()));
    }
}

fn run(store: &mut Store, objects: &mut Objects, step: Step) {
    match step {
        Step::Apply(resource, key, fact) => {
            objects.insert((resource, key.clone()), fact.clone());
            handle(store, Event::Apply(key.into(), fact));
        }
        Step::Delete(resource, key) => {
            objects.remove(&(resource, key.clone()));
            handle(store, Event::Delete(resource, key.into()));
        }
        Step::Relist(resource, unseen) => {
            objects.retain(|(w, key), _| *w != resource || !unseen.contains(key));
            handle(store, Event::Reset(resource.into()));
            apply_all(store, objects, resource, usize::MAX);
            handle(store, Event::Synced(resource.into()));
        }
        Step::Broken(resource, most) => {
            handle(store, Event::Reset(resource.into()));
            apply_all(store, objects, resource, most);
        }
    }
}

fn fresh(objects: &Objects) -> Arc<Zone> {
    let zone = Arc::new(Zone::default());
    let mut store = Store::new(Arc::clone(&zone), WATCHES);
    for resource in WATCHES {
        handle(&mut store, Event::Reset(resource.into()));
        apply_all(&mut store, objects, resource, usize::MAX);
        handle(&mut store, Event::Synced(resource.into()));
    }
    zone
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn any_history_leaves_the_zone_of_the_final_objects(steps in prop::collection::vec(step(), 1..60)) {
        let zone = Arc::new(Zone::default());
        let mut store = Store::new(Arc::clone(&zone), WATCHES);
        let mut objects = Objects::new();
        for step in steps {
            run(&mut store, &mut objects, step);
        }
        for resource in WATCHES {
            run(&mut store, &mut objects, Step::Relist(resource, Vec::new()));
        }
        prop_assert!(*zone == *fresh(&objects));
    }

    #[test]
    fn without_resets_every_single_step_leaves_the_zone_of_the_objects(steps in prop::collection::vec(step(), 1..20)) {
        let zone = Arc::new(Zone::default());
        let mut store = Store::new(Arc::clone(&zone), WATCHES);
        let mut objects = Objects::new();
        for resource in WATCHES {
            run(&mut store, &mut objects, Step::Relist(resource, Vec::new()));
        }
        for step in steps.into_iter().filter(|s| !matches!(s, Step::Broken(..))) {
            run(&mut store, &mut objects, step);
            prop_assert!(*zone == *fresh(&objects));
        }
    }
}
