//! What the API server refuses of addresses of Services and of their ranges, where they are objects themselves.

use serde_json::{Value, json};

use super::values::{address, range};
use super::words::{path_segment, subdomain};
use crate::field::Errors;
use crate::place::Place;

const IMMUTABLE: &str = "field is immutable";

/// networking.k8s.io/v1 `IPAddress`: its name is the address.
pub fn ip_address(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if old.is_none() {
        let name = Place::new(&object["metadata"]["name"], "metadata.name");
        let before = errors.0.len();
        let read = address(&name, errors).filter(|_| errors.0.len() == before);
        if let Some(read) = read.map(|ip| ip.to_string()).filter(|ip| ip != name.text()) {
            errors.bad(&name, &format!("must be in canonical form ({read:?})"));
        }
    }
    let parent = Place::new(&object["spec"], "spec").of("parentRef");
    if let Some(old) = old {
        let parts = ["resource", "name"].map(|field| parent.of(field));
        if !parent.is_given() {
            errors.required(&parent, "");
        } else {
            for part in parts.iter().filter(|part| part.is_empty()) {
                errors.required(part, "");
            }
        }
        return errors.fixed(&parent, &old["spec"]["parentRef"]);
    }
    if !parent.is_given() {
        return errors.required(&parent, "");
    }
    errors.maybe(&parent.of("group"), subdomain);
    errors.named(&parent.of("resource"), path_segment);
    errors.named(&parent.of("name"), path_segment);
    errors.maybe(&parent.of("namespace"), path_segment);
}

/// networking.k8s.io/v1 `ServiceCIDR`: a range of the other family may come to it.
pub fn service_cidr(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let ranges = Place::new(&object["spec"], "spec").of("cidrs");
    let Some(old) = old else {
        return self::ranges(&ranges, errors);
    };
    let before = old["spec"]["cidrs"].as_array();
    let before = before.map_or(&[][..], Vec::as_slice);
    let grows = (before.len(), ranges.count()) == (1, 2);
    if before.len() != ranges.count() && !grows {
        return errors.invalid(
            &ranges,
            &json!(ranges.items().map(|r| r.value.clone()).collect::<Vec<_>>()),
            IMMUTABLE,
        );
    }
    for (range, before) in ranges.items().zip(before) {
        if range.value != before {
            errors.bad(&range, IMMUTABLE);
        }
    }
    if grows {
        self::ranges(&ranges, errors);
    }
}

fn ranges(ranges: &Place<'_>, errors: &mut Errors) {
    const TWICE: &str =
        "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
    if ranges.is_empty() {
        return errors.required(ranges, "at least one CIDR required");
    }
    if ranges.count() > 2 {
        let shown = json!({"CIDRs": ranges.value});
        return errors.invalid(ranges, &shown, "may only hold up to 2 values");
    }
    let read = ranges.items().filter_map(|one| range(&one, errors));
    let families: Vec<_> = read.map(|(ip, _)| ip.is_ipv4()).collect();
    if families.len() == 2 && families[0] == families[1] {
        errors.bad(ranges, TWICE);
    }
}
