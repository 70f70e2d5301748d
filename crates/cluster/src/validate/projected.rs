//! What the API server refuses of files that volumes make of keys, fields and tokens.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reference::{field, resource};
use super::values::{own_path, selector};
use super::words::subdomain;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// What a file may take from its Pod.
const FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

const TWICE: &str = "conflicting duplicate paths";

/// Permissions of a file.
pub(super) fn mode(mode: &Place<'_>, errors: &mut Errors) {
    if !(0..=0o777).contains(&mode.number()) {
        let what = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.bad(mode, what);
    }
}

/// The keys of a ConfigMap or Secret that become files.
pub(super) fn items(source: &Place<'_>, errors: &mut Errors) {
    for item in source.of("items").items() {
        for field in ["key", "path"] {
            if item.of(field).is_empty() {
                errors.required(item.of(field), "");
            }
        }
        own_path(&item.of("path"), errors);
        mode(&item.of("mode"), errors);
    }
}

/// The files of a `downwardAPI`: each is said to stand where the source does.
pub(super) fn downward_files(source: &Place<'_>, errors: &mut Errors) {
    for file in source.of("items").items() {
        let file = file.called(source.path.clone());
        if file.of("path").is_empty() {
            errors.required(file.of("path"), "");
        }
        own_path(&file.of("path"), errors);
        let (of_field, of_resource) = (file.of("fieldRef"), file.of("resourceFieldRef"));
        if of_field.is_given() {
            field(&of_field, FIELDS, errors);
            if of_resource.is_given() {
                let what = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(&file, &"resource".into(), what);
            }
        } else if of_resource.is_given() {
            resource(&of_resource, true, errors);
        } else {
            errors.required(&file, "one of fieldRef and resourceFieldRef is required");
        }
        mode(&file.of("mode"), errors);
    }
}

/// Several sources in one folder, in which no path is there twice.
pub(super) fn projected(volume: &Place<'_>, errors: &mut Errors) {
    mode(&volume.of("defaultMode"), errors);
    let mut paths = BTreeSet::new();
    let mut once = |path: &str, shown: &Value, errors: &mut Errors| {
        if !path.is_empty() && !paths.insert(path.to_owned()) {
            errors.invalid(volume, shown, TWICE);
        }
    };
    for source in volume.of("sources").items() {
        for kind in ["secret", "configMap"] {
            let keys = source.of(kind);
            if keys.is_given() {
                if keys.of("name").is_empty() {
                    errors.required(keys.of("name"), "");
                }
                items(&keys, errors);
                for item in keys.of("items").items() {
                    once(item.of("path").text(), keys.of("name").value, errors);
                }
            }
        }
        let downward = source.of("downwardAPI");
        downward_files(&downward, errors);
        for file in downward.of("items").items() {
            let path = file.of("path");
            once(path.text(), path.value, errors);
        }
        token(&source.of("serviceAccountToken"), volume, errors);
        let bundle = source.of("clusterTrustBundle");
        if bundle.is_given() {
            trust_bundle(&bundle, errors);
            let path = bundle.of("path");
            once(path.text(), path.value, errors);
        }
        let certificate = source.of("podCertificate");
        if certificate.is_given() {
            pod_certificate(&certificate, errors);
            let paths = ["credentialBundlePath", "keyPath", "certificateChainPath"];
            for path in paths.map(|path| certificate.of(path)) {
                once(path.text(), path.value, errors);
            }
        }
        if source.count() > 1 {
            let what = "may not specify more than 1 volume type per source";
            errors.add(&source, Problem::Forbidden(what.into()));
        }
    }
}

fn token(token: &Place<'_>, volume: &Place<'_>, errors: &mut Errors) {
    if !token.is_given() {
        return;
    }
    let lasts = token.of("expirationSeconds");
    if lasts.number() < 600 {
        errors.bad(&lasts, "may not specify a duration less than 10 minutes");
    }
    if lasts.number() > 1 << 32 {
        errors.bad(
            &lasts,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    // The path is said to be the volume's.
    let path = token.of("path").called(volume.of("path").path);
    if path.is_empty() {
        errors.required(path, "");
    } else {
        own_path(&path, errors);
    }
}

fn trust_bundle(bundle: &Place<'_>, errors: &mut Errors) {
    let (name, signer) = (bundle.of("name"), bundle.of("signerName"));
    match (name.is_given(), signer.is_given()) {
        (true, true) => errors.bad(bundle, "only one of name and signerName may be used"),
        (true, false) => {
            if name.is_empty() {
                errors.required(&name, "must be a valid object name");
            }
            for what in subdomain(name.text()) {
                let what = format!("not a valid clustertrustbundlename: {what}");
                errors.bad(&name, &what);
            }
        }
        (false, true) => {
            if signer.is_empty() {
                errors.required(&signer, "must be a valid signer name");
            }
            self::signer(&signer, errors);
            selector(&bundle.of("labelSelector"), errors);
        }
        (false, false) => {
            errors.required(bundle, "either name or signerName must be specified");
        }
    }
    let path = bundle.of("path");
    if path.is_empty() {
        errors.required(&path, "");
    }
    own_path(&path, errors);
}

/// The name of a signer: a path below a domain.
fn signer(signer: &Place<'_>, errors: &mut Errors) {
    if signer.is_empty() {
        return errors.required(signer, "");
    }
    match signer.text().split_once('/') {
        Some((domain, path)) if !path.contains('/') => {
            let wrong = subdomain(domain).into_iter().chain(subdomain(path));
            wrong.for_each(|what| errors.bad(signer, &what));
        }
        _ => errors.bad(
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        ),
    }
}

/// A certificate that a Pod gets (KEP-4317).
fn pod_certificate(certificate: &Place<'_>, errors: &mut Errors) {
    const KEYS: &[&str] = &[
        "RSA3072",
        "RSA4096",
        "ECDSAP256",
        "ECDSAP384",
        "ECDSAP521",
        "ED25519",
    ];
    const DAYS: i64 = 86_400;
    signer(&certificate.of("signerName"), errors);
    errors.must_be(&certificate.of("keyType"), KEYS);
    let lasts = certificate.of("maxExpirationSeconds");
    let own = certificate
        .of("signerName")
        .text()
        .starts_with("kubernetes.io/");
    let most = if own { DAYS } else { 91 * DAYS };
    if lasts.is_given() && lasts.number() < 3600 {
        errors.bad(&lasts, "if provided, maxExpirationSeconds must be >= 3600");
    }
    if lasts.number() > most {
        let what = format!("if provided, maxExpirationSeconds must be <= {most}");
        errors.bad(&lasts, &what);
    }
    let paths = ["credentialBundlePath", "keyPath", "certificateChainPath"];
    let paths = paths.map(|path| certificate.of(path));
    paths.iter().for_each(|path| own_path(path, errors));
    if paths.iter().all(Place::is_empty) {
        let what =
            "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.required(certificate, what);
    }
}
