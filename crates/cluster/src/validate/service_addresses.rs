//! What the API server refuses of a Service's cluster addresses and their families.

use serde_json::Value;

use super::values::address;
use crate::field::{Errors, Problem};
use crate::place::Place;

const CHANGED: &str = "may not change once set";

/// Whether a Service has no address of its own.
pub(super) fn is_headless(spec: &Value) -> bool {
    spec["clusterIPs"]
        .as_array()
        .is_some_and(|ips| ips.len() == 1 && ips[0] == "None")
}

/// The addresses that a Service asks for.
pub(crate) fn addresses(spec: &Place<'_>, errors: &mut Errors) {
    let headless = is_headless(spec.value);
    let (ip, ips) = (spec.of("clusterIP"), spec.of("clusterIPs"));
    if ip.is_empty() && !ips.is_empty() {
        errors.bad(&ips, "must be empty when `clusterIP` is not specified");
    } else if !ip.is_empty() && ips.is_empty() {
        errors.required(&ips, "");
    } else if !ip.is_empty() && ips.value[0] != *ip.value {
        errors.bad(&ips, "first value must match `clusterIP`");
    }
    families(spec, errors);
    let before = errors.0.len();
    for (i, ip) in ips.items().enumerate() {
        if i == 0 && ip.text() == "None" {
            if ips.count() > 1 {
                errors.bad(&ips, "'None' must be the first and only value");
            }
            continue;
        }
        address(&ip, errors);
    }
    let wrong = errors.0.len() > before;
    if ips.count() > 2 {
        errors.bad(&ips, "may only hold up to 2 values");
    }
    if wrong {
        return;
    }
    let is_v6: Vec<_> = ips.items().map(|ip| ip.text().contains(':')).collect();
    if is_v6.len() > 1 && is_v6.iter().all(|v6| *v6 == is_v6[0]) {
        let what = "may specify no more than one IP for each IP family";
        errors.bad(&ips, what);
    }
    if headless {
        return;
    }
    let families = spec.of("ipFamilies");
    for (i, (ip, family)) in ips.items().zip(families.items()).enumerate() {
        let (wants_v6, article) = (family.text() == "IPv6", family.text());
        if ip.text().contains(':') != wants_v6 && ["IPv4", "IPv6"].contains(&article) {
            let what = format!("expected an {article} value as indicated by `ipFamilies[{i}]`");
            errors.bad(&ip, &what);
        }
    }
}

fn families(spec: &Place<'_>, errors: &mut Errors) {
    let families = spec.of("ipFamilies");
    let all: Vec<_> = families.items().collect();
    for (i, family) in all.iter().enumerate() {
        errors.must_be(family, &["IPv4", "IPv6"]);
        if all[..i].iter().any(|other| other.value == family.value) {
            errors.duplicate(family);
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    errors.one_of(&spec.of("ipFamilyPolicy"), &policies);
}

/// Addresses, once given, stay; a second one comes and goes.
pub(super) fn changed_addresses(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let external = |kind: &Value| kind == "ExternalName";
    if external(spec.of("type").value) || external(&old["type"]) {
        return;
    }
    let headless = (is_headless(spec.value), is_headless(old));
    if headless == (true, true) {
        return;
    }
    if headless == (false, false) {
        changed_families(spec, old, errors);
    }
    let given = |spec: &Value| spec["clusterIPs"].as_array().cloned().unwrap_or_default();
    let (new, before) = (given(spec.value), given(old));
    let shown = Value::from(new.clone());
    let mut changed = |i: usize, what: &str| {
        let what = Problem::Invalid(Some(shown.clone()), what.into());
        errors.add(format!("spec.clusterIPs[{i}]"), what);
    };
    if new.len() == before.len() {
        for (i, _) in before.iter().enumerate().filter(|(i, ip)| **ip != new[*i]) {
            changed(i, CHANGED);
        }
    } else if new.is_empty() {
        changed(0, "primary clusterIP can not be unset");
    } else if !before.is_empty() && new[0] != before[0] {
        changed(0, CHANGED);
    }
    if new.len() == 1 && before.len() == 2 && spec.of("ipFamilyPolicy").text() != "SingleStack" {
        let what = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errors.bad(&spec.of("ipFamilyPolicy"), what);
    }
}

/// Families, once given, stay; a second one comes and goes.
fn changed_families(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let list = |spec: &Value, field: &str| spec[field].as_array().cloned().unwrap_or_default();
    let (new, before) = (list(spec.value, "ipFamilies"), list(old, "ipFamilies"));
    let shown = if new.len() == before.len() {
        Value::from(new.clone())
    } else {
        list(spec.value, "clusterIPs").into()
    };
    let is_other = |(i, family): (usize, &Value)| new.get(i).is_some_and(|new| new != family);
    let compared = if new.len() == before.len() { 2 } else { 1 };
    let first = before.iter().enumerate().take(compared);
    for _ in first.filter(|one| is_other(*one)) {
        errors.invalid("spec.ipFamilies[0]", &shown, CHANGED);
    }
    let policy = spec.of("ipFamilyPolicy");
    if new.len() == 1 && before.len() == 2 && policy.text() != "SingleStack" {
        let what = "must be set to 'SingleStack' when releasing the secondary ipFamily";
        errors.bad(&policy, what);
    }
}
