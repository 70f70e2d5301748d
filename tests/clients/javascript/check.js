// What the JavaScript client does with a cluster: each line says a thing that it did, or what went wrong. The argument is a kubeconfig.
import assert from "node:assert/strict";
import * as k8s from "@kubernetes/client-node";

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = "default";

// A promise, and how it ends.
function promised() {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}

async function typed() {
  const body = { metadata: { name: "js" }, data: { a: "b" } };
  const made = await core.createNamespacedConfigMap({ namespace, body });
  made.data.c = "d";
  const replaced = await core.replaceNamespacedConfigMap({ namespace, name: "js", body: made });
  assert.deepEqual(replaced.data, { a: "b", c: "d" });
  made.metadata.resourceVersion = "1";
  const stale = core.replaceNamespacedConfigMap({ namespace, name: "js", body: made });
  await assert.rejects(stale, (error) => error.code === 409);
  await core.deleteNamespacedConfigMap({ namespace, name: "js" });
  const gone = core.readNamespacedConfigMap({ namespace, name: "js" });
  await assert.rejects(gone, (error) => error.code === 404);
}

async function objects() {
  const client = k8s.KubernetesObjectApi.makeApiClient(config);
  const spec = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "js-object", namespace }, data: { a: "b" } };
  const made = await client.create(spec);
  assert.equal(made.data.a, "b");
  await client.delete(spec);
}

async function watched() {
  const { promise, resolve, reject } = promised();
  const seen = [];
  const watch = new k8s.Watch(config);
  const each = (type, object) => {
    if (object.metadata.name === "js-watched") seen.push(type);
    if (seen.length === 2) resolve();
  };
  const request = await watch.watch(`/api/v1/namespaces/${namespace}/secrets`, {}, each, (error) => error && reject(error));
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: "js-watched" } } });
  await core.deleteNamespacedSecret({ namespace, name: "js-watched" });
  await promise;
  request.abort();
  assert.deepEqual(seen, ["ADDED", "DELETED"]);
}

async function informed() {
  const list = () => core.listNamespacedService({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/services`, list);
  const { promise, resolve, reject } = promised();
  informer.on("add", (service) => service.metadata.name === "js-informed" && resolve());
  informer.on("error", reject);
  await informer.start();
  await core.createNamespacedService({ namespace, body: { metadata: { name: "js-informed" }, spec: { ports: [{ port: 80 }] } } });
  await promise;
  await informer.stop();
}

let failed = 0;
for (const check of [typed, objects, watched, informed]) {
  try {
    await check();
    console.log(`ok     ${check.name}`);
  } catch (error) {
    failed = 1;
    console.log(`FAILED ${check.name}: ${error.stack}`);
  }
}
process.exit(failed);
