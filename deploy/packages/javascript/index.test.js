// What the package is for, as tests of node's own runner.
"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { Resolver } = require("node:dns/promises");
const { once } = require("node:events");
const { existsSync, mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const { connect } = require("node:net");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { test } = require("node:test");
const { setTimeout } = require("node:timers/promises");
const { startCluster } = require("./index.js");

const SET = `{"kind": "List", "apiVersion": "v1", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}}},
  {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 2,
    "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}},
      "spec": {"containers": [{"name": "db", "image": "db"}]}}}}]}`;

test("pods of a set have their names", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "headless-dns-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const manifest = join(folder, "db.yaml");
  writeFileSync(manifest, SET);
  const cluster = await startCluster({ manifests: [manifest] });
  t.after(() => cluster.stop());
  const resolver = new Resolver();
  resolver.setServers([`${cluster.dns.host}:${cluster.dns.port}`]);
  for (const name of ["db-0", "db-1"]) {
    assert.equal((await resolver.resolve4(`${name}.db.default.svc.cluster.local`)).length, 1);
  }
  await assert.rejects(resolver.resolve4("db-2.db.default.svc.cluster.local"), { code: "ENOTFOUND" });
  assert.equal(cluster.names.length, 2);
  assert.ok(existsSync(cluster.kubeconfig));
  await cluster.stop();
  assert.ok(!existsSync(cluster.kubeconfig));
});

/** Whether somebody listens at a URL. */
async function listens(url) {
  const { hostname, port } = new URL(url);
  const stream = connect(Number(port), hostname);
  try {
    await once(stream, "connect");
    return true;
  } catch {
    return false;
  } finally {
    stream.destroy();
  }
}

test("a cluster ends with a process that is killed", async () => {
  const code = `require(${JSON.stringify(require.resolve("./index.js"))}).startCluster().then((cluster) => {
    console.log(cluster.api);
    setInterval(() => {}, 1000);
  })`;
  const killed = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const [api] = await once(killed.stdout, "data");
  killed.kill("SIGKILL");
  await once(killed, "exit");
  for (let tries = 0; await listens(String(api).trim()); tries++) {
    assert.ok(tries < 3000, "the cluster has stayed");
    await setTimeout(10);
  }
});

test("what is not there is named", async (t) => {
  await assert.rejects(startCluster({ manifests: ["/nowhere/db.yaml"] }), /ended before it was ready/);
  const before = process.env.HEADLESS_DNS;
  t.after(() => (process.env.HEADLESS_DNS = before));
  process.env.HEADLESS_DNS = "/nowhere/headless-dns";
  await assert.rejects(startCluster(), /\/nowhere\/headless-dns is not there/);
});
