//! Kinds that CustomResourceDefinitions make: served, defaulted, pruned, checked, watched, applied, and gone with their definition.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::Cluster;
use http::{Method, Request};
use serde_json::{Value, json};

/// A cluster that has the namespace `a`.
struct World(Cluster);

const WIDGETS: &str = "/apis/example.com/v1/namespaces/a/widgets";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

impl World {
    async fn new() -> Self {
        let world = Self(Cluster::holding(&[]));
        let namespace = json!({"metadata": {"name": "a"}});
        world.post("/api/v1/namespaces", &namespace).await;
        world
    }

    async fn with_widgets() -> Self {
        let world = Self::new().await;
        let (code, _) = world.post(DEFINITIONS, &definition()).await;
        assert_eq!(code, 201);
        world
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        (media_type, body): (&str, Value),
    ) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", media_type);
        let (head, body) = ask(&self.0, request, body).await;
        (
            head.status.as_u16(),
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, ("", Value::Null)).await
    }

    async fn post(&self, path: &str, object: &Value) -> (u16, Value) {
        let body = ("application/json", object.clone());
        self.send(Method::POST, path, body).await
    }

    async fn patch(&self, path: &str, media_type: &str, patch: Value) -> (u16, Value) {
        self.send(Method::PATCH, path, (media_type, patch)).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, ("", Value::Null)).await
    }
}

fn definition() -> Value {
    let spec = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"type": "string", "enum": ["fast", "slow"], "default": "slow"},
        "parts": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "value": {"type": "string"}}},
        },
    }});
    let status = json!({"type": "object", "properties": {"ready": {"type": "boolean"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"]},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    })
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_definition_is_established_and_its_kind_is_found() {
    let world = World::with_widgets().await;
    let one = format!("{DEFINITIONS}/widgets.example.com");
    let (_, found) = world.get(&one).await;
    let conditions = found["status"]["conditions"].as_array().unwrap().iter();
    let conditions: Vec<_> = conditions
        .map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        conditions,
        [("NamesAccepted", "True"), ("Established", "True")]
    );
    let names = json!({
        "kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "shortNames": ["wd"], "singular": "widget",
    });
    assert_eq!(found["status"]["acceptedNames"], names);
    assert_eq!(found["status"]["storedVersions"], json!(["v1"]));
    let (_, group) = world.get("/apis/example.com").await;
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let (_, resources) = world.get("/apis/example.com/v1").await;
    let names = resources["resources"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["widgets", "widgets/status"]);
    assert_eq!(resources["resources"][0]["shortNames"], json!(["wd"]));
    let (_, openapi) = world.get("/openapi/v3/apis/example.com/v1").await;
    let of = &openapi["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(
        of["properties"]["spec"]["properties"]["mode"]["default"],
        "slow"
    );
    let other = World::new().await;
    assert_eq!(
        other.get(WIDGETS).await.0,
        404,
        "another cluster has no widgets"
    );
}

#[tokio::test]
async fn a_definition_that_is_none_is_refused() {
    let world = World::new().await;
    let mut wrong = definition();
    wrong["metadata"]["name"] = "other".into();
    wrong["spec"]["versions"][1]["storage"] = true.into();
    wrong["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        ["size"] = json!({"minimum": 1});
    let (code, said) = world.post(DEFINITIONS, &wrong).await;
    let causes = said["details"]["causes"].as_array().unwrap().iter();
    let fields: Vec<_> = causes
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert_eq!(code, 422);
    let schema = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[size].type";
    assert_eq!(fields, ["metadata.name", "spec.versions", schema]);
}

/// Where a definition is wrong, what stands there, and what kube-apiserver 1.37.2 says of it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "/spec/names/kind",
        r#""9w""#,
        r#"spec.names.kind: Invalid value: "9w": may have mixed case"#,
    ),
    (
        "/spec/names/listKind",
        r#""Widget""#,
        r#"spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same"#,
    ),
    (
        "/spec/names/shortNames",
        r#"["A"]"#,
        r#"spec.names.shortNames[0]: Invalid value: "A": a DNS-1035 label"#,
    ),
    (
        "/spec/versions/0/name",
        r#""V1""#,
        r#"[spec.versions[0].name: Invalid value: "V1": a DNS-1035 label"#,
    ),
    (
        "/spec/versions/0/deprecationWarning",
        r#""x""#,
        r#"spec.versions[0].deprecationWarning: Invalid value: "x": can only be set"#,
    ),
    (
        "/spec/versions/0/additionalPrinterColumns",
        r#"[{"name": "", "type": "text", "jsonPath": "{.x}"}]"#,
        "[spec.additionalPrinterColumns[0].name: Required value",
    ),
    (
        "/spec/versions/0/subresources",
        r#"{"scale": {"specReplicasPath": ".status.x", "statusReplicasPath": "x"}}"#,
        r#"[spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec, spec.subresources.scale.statusReplicasPath: Invalid value: "x": must be a simple json path starting with .]"#,
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/nullable",
        "true",
        "spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root",
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/type",
        r#""text""#,
        r#"properties[size].type: Unsupported value: "text""#,
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/anyOf",
        r#"[{"type": "string"}]"#,
        "properties[size].anyOf[0].type: Forbidden: must be empty to be structural",
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/uniqueItems",
        "true",
        "properties[size].uniqueItems: Forbidden: uniqueItems cannot be set to true",
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-list-type",
        r#""set""#,
        r#"properties[spec].type: Invalid value: "object": must be array if x-kubernetes-list-type is specified"#,
    ),
    (
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/definitions",
        r#"{"a": {"type": "string"}}"#,
        "properties[spec].definitions: Forbidden: definitions is not supported",
    ),
];

/// The definition with one version, in which this stands at this place.
fn with(place: &str, value: Value) -> Value {
    let mut definition = definition();
    let versions = &mut definition["spec"]["versions"];
    versions.as_array_mut().unwrap().truncate(1);
    let (parent, field) = place.rsplit_once('/').unwrap();
    definition.pointer_mut(parent).unwrap()[field] = value;
    definition
}

#[tokio::test]
async fn what_is_wrong_with_a_definition_is_said_at_its_place() {
    let world = World::new().await;
    let dry = format!("{DEFINITIONS}?dryRun=All");
    for (place, value, wanted) in WRONG {
        let wrong = with(place, serde_json::from_str(value).unwrap());
        let (code, said) = world.post(&dry, &wrong).await;
        let message = said["message"].as_str().unwrap_or_default();
        assert!(
            code == 422 && message.contains(wanted),
            "{place} {value}: {said}"
        );
    }
    // A number or a text, as generators write it.
    let port = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/port";
    let either = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    let (code, said) = world.post(&dry, &with(port, either)).await;
    assert_eq!(code, 201, "{said}");
}

#[tokio::test]
async fn an_object_is_pruned_defaulted_and_shown_in_each_version() {
    let world = World::with_widgets().await;
    let object = widget("w", json!({"size": 3, "sise": 4}));
    let (code, strict) = world
        .post(&format!("{WIDGETS}?fieldValidation=Strict"), &object)
        .await;
    assert_eq!(code, 400);
    let wanted = "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.sise\"";
    assert_eq!(strict["message"], wanted);
    let (code, made) = world.post(WIDGETS, &object).await;
    assert_eq!(code, 201);
    assert_eq!(made["spec"], json!({"size": 3, "mode": "slow"}));
    assert_eq!(made["metadata"]["generation"], 1);
    let older = "/apis/example.com/v1beta1/namespaces/a/widgets/w";
    let (_, older) = world.get(older).await;
    assert_eq!(older["apiVersion"], "example.com/v1beta1");
    assert_eq!(older["spec"], made["spec"]);
    let (_, list) = world.get(WIDGETS).await;
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&json!("WidgetList"), &json!("Widget"))
    );
}

#[tokio::test]
async fn an_object_that_its_schema_refuses_is_refused() {
    let world = World::with_widgets().await;
    let object = widget(
        "w",
        json!({"size": 10, "mode": "odd", "parts": [{"name": "a"}, {"name": "a"}]}),
    );
    let (code, said) = world.post(WIDGETS, &object).await;
    assert_eq!(code, 422);
    let wanted = "Widget.example.com \"w\" is invalid: [spec.mode: Unsupported value: \"odd\": supported values: \"fast\", \"slow\", \
                  spec.parts[1]: Duplicate value: {\"name\":\"a\"}, spec.size: Invalid value: 10: spec.size in body should be less \
                  than or equal to 9]";
    assert_eq!(said["message"], wanted);
    let (code, said) = world.post(WIDGETS, &widget("w", json!({}))).await;
    assert_eq!(code, 422);
    let wanted = "Widget.example.com \"w\" is invalid: spec.size: Required value";
    assert_eq!(said["message"], wanted);
}

#[tokio::test]
async fn the_status_is_written_by_its_own_subresource() {
    let world = World::with_widgets().await;
    let mut object = widget("w", json!({"size": 1}));
    object["status"] = json!({"ready": true});
    let (_, made) = world.post(WIDGETS, &object).await;
    assert_eq!(made["status"], Value::Null);
    let one = format!("{WIDGETS}/w");
    let status = format!("{one}/status");
    let both = json!({"spec": {"size": 2}, "status": {"ready": true}});
    let (code, written) = world.patch(&status, MERGE, both.clone()).await;
    assert_eq!(code, 200);
    let written = (&written["spec"]["size"], &written["status"]["ready"]);
    assert_eq!(written, (&json!(1), &json!(true)));
    let (_, written) = world
        .patch(
            &one,
            MERGE,
            json!({"spec": {"size": 2}, "status": {"ready": false}}),
        )
        .await;
    assert_eq!(written["status"]["ready"], true);
    assert_eq!(written["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_apply_merges_by_the_schema_s_keys() {
    let world = World::with_widgets().await;
    let path = |manager: &str| format!("{WIDGETS}/w?fieldManager={manager}");
    let first = widget(
        "w",
        json!({"size": 1, "parts": [{"name": "a", "value": "1"}]}),
    );
    assert_eq!(world.patch(&path("m"), APPLY, first).await.0, 201);
    let second = widget("w", json!({"parts": [{"name": "b", "value": "2"}]}));
    let (code, both) = world.patch(&path("n"), APPLY, second).await;
    assert_eq!(code, 200, "{both}");
    let parts = json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]);
    assert_eq!(both["spec"]["parts"], parts);
    let third = widget("w", json!({"parts": [{"name": "a", "value": "3"}]}));
    let (code, said) = world.patch(&path("n"), APPLY, third).await;
    let field = &said["details"]["causes"][0]["field"];
    assert_eq!(
        (code, field),
        (409, &json!(".spec.parts[name=\"a\"].value"))
    );
    let unknown = widget("w", json!({"sise": 1}));
    let (code, said) = world.patch(&path("n"), APPLY, unknown).await;
    let wanted = "failed to create typed patch object (/w; example.com/v1, Kind=Widget): .spec.sise: field not declared in schema";
    assert_eq!((code, &said["message"]), (500, &json!(wanted)));
}

#[tokio::test]
async fn a_table_has_the_definition_s_columns() {
    let world = World::with_widgets().await;
    world.post(WIDGETS, &widget("w", json!({"size": 3}))).await;
    let request = Request::get(WIDGETS);
    let request = request.header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let (_, body) = ask(&world.0, request, String::new()).await;
    let table: Value = serde_json::from_slice(&body).unwrap();
    let headings = table["columnDefinitions"].as_array().unwrap().iter();
    let headings: Vec<_> = headings.map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(headings, ["Name", "Size"]);
    assert_eq!(table["rows"][0]["cells"], json!(["w", 3]));
}

#[tokio::test]
async fn a_definition_goes_after_its_objects() {
    let world = World::with_widgets().await;
    let mut held = widget("held", json!({"size": 1}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.post(WIDGETS, &held).await;
    world
        .post(WIDGETS, &widget("free", json!({"size": 1})))
        .await;
    let one = format!("{DEFINITIONS}/widgets.example.com");
    let (_, ending) = world.delete(&one).await;
    let cleanup = "customresourcecleanup.apiextensions.k8s.io";
    assert_eq!(ending["metadata"]["finalizers"], json!([cleanup]));
    assert_eq!(world.get(&format!("{WIDGETS}/free")).await.0, 404);
    let held = format!("{WIDGETS}/held");
    let (_, waiting) = world.get(&held).await;
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    let released = json!({"metadata": {"finalizers": null}});
    world.patch(&held, MERGE, released).await;
    assert_eq!(world.get(&one).await.0, 404);
    assert_eq!(world.get(WIDGETS).await.0, 404);
}

#[tokio::test]
async fn a_file_may_have_a_definition_and_objects_of_it() {
    let world = World::new().await;
    let mut object = widget("w", json!({"size": 3}));
    object["metadata"]["namespace"] = "a".into();
    let file = format!("{}\n{object}", definition());
    let made = world.0.apply("widgets.yaml", &file).unwrap();
    assert_eq!(made[1]["spec"], json!({"size": 3, "mode": "slow"}));
    let wrong = file.replace("\"size\":3", "\"size\":\"x\"");
    let error = world.0.apply("widgets.yaml", &wrong).unwrap_err();
    assert!(
        error.to_string().contains("must be of type integer"),
        "{error}"
    );
}

#[tokio::test]
async fn an_object_is_scaled_where_its_definition_says_what_its_replicas_are() {
    let world = World::new().await;
    let mut scaled = definition();
    let version = &mut scaled["spec"]["versions"][0];
    version["subresources"]["scale"] = json!({
        "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.ready", "labelSelectorPath": ".status.selector",
    });
    let status = json!({"ready": {"type": "integer"}, "selector": {"type": "string"}});
    version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"] = status;
    let (code, answer) = world.post(DEFINITIONS, &scaled).await;
    assert_eq!(code, 201, "{answer}");
    let (_, found) = world.get("/apis/example.com/v1").await;
    let resources = found["resources"].as_array().unwrap().iter();
    let scale = resources.clone().find(|one| one["name"] == "widgets/scale");
    assert_eq!(scale.unwrap()["kind"], "Scale", "{found}");
    world
        .post(WIDGETS, &widget("one", json!({"size": 2})))
        .await;
    let (one, path) = (format!("{WIDGETS}/one"), format!("{WIDGETS}/one/scale"));
    let status = json!({"status": {"ready": 1, "selector": "a=b"}});
    world.patch(&format!("{one}/status"), MERGE, status).await;
    let (code, scale) = world.get(&path).await;
    assert_eq!((code, &scale["spec"]), (200, &json!({"replicas": 2})));
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "a=b"}));
    let three = json!({"spec": {"replicas": 3}});
    let (code, scale) = world.patch(&path, MERGE, three).await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(3)));
    let (_, kept) = world.get(&one).await;
    assert_eq!(kept["spec"]["size"], 3);
    let four = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "one"}, "spec": {"replicas": 4},
    });
    let (code, scale) = world
        .patch(&format!("{path}?fieldManager=me"), APPLY, four)
        .await;
    assert_eq!(code, 409, "who has set the size owns it: {scale}");
    // What the schema refuses is refused of a scale too.
    let ten = json!({"spec": {"replicas": 10}});
    assert_eq!(world.patch(&path, MERGE, ten).await.0, 422);
    let (_, kept) = world.get(&one).await;
    assert_eq!(kept["spec"]["size"], 3);
}
