// Starts a small Kubernetes cluster with its DNS for a test: the program headless-dns, on free ports, which ends with the test, and with this
// process however that ends.
"use strict";
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { existsSync } = require("node:fs");
const { devNull } = require("node:os");
const { join } = require("node:path");
const { createInterface } = require("node:readline");

/** How long a cluster may take to end before it is killed, in milliseconds. */
const ENDED = 10_000;

/** The path of the program: what $HEADLESS_DNS names, this package's own, or the one of $PATH. */
function program() {
  const own = join(__dirname, `${process.platform}-${process.arch}`, "headless-dns");
  return process.env.HEADLESS_DNS || (existsSync(own) ? own : "headless-dns");
}

/**
 * Starts a cluster, and waits until it is ready. See index.d.ts.
 *
 * Rejects where the program is not there, and where the cluster ends before it is ready.
 */
async function startCluster({ manifests = [], args = [], output = "ignore" } = {}) {
  const own = ["sandbox", "--dns=127.0.0.1:0", "--api=127.0.0.1:0", "--ready-fd=3", "--end-fd=0"];
  // The cluster ends when the other end of its standard input is closed: by stop, or by the end of this process.
  const stdio = ["pipe", output, "inherit", "pipe"];
  const child = spawn(program(), [...own, ...args, ...(manifests.length ? manifests : [devNull])], { stdio });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdio[3] });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(child, "error").then(([error]) => {
      throw new Error(`${error.path} is not there: install headless-dns, or set HEADLESS_DNS to its path`, { cause: error });
    }),
    ended.then(() => {
      throw new Error("the cluster has ended before it was ready");
    }),
  ]);
  lines.close();
  const { dns, ...ready } = JSON.parse(line);
  const at = dns.lastIndexOf(":");
  // A test that has ended does not wait for its cluster.
  child.unref();
  child.stdin.unref?.();
  child.stdio[3].destroy();
  return {
    ...ready,
    dns: { host: dns.slice(0, at).replace(/[[\]]/g, ""), port: Number(dns.slice(at + 1)) },
    async stop() {
      child.ref();
      child.stdin.end();
      const kill = setTimeout(() => child.kill("SIGKILL"), ENDED);
      await ended;
      clearTimeout(kill);
    },
  };
}

module.exports = { program, startCluster };
