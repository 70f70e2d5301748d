// Runs a redis set in a sandbox, and asks it by name.
//
//     apt-get install redis-server
//     node examples/javascript/redis_set.mjs [PROGRAM]
//
// Nothing but this file and the program `headless-dns` is needed.

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

const IMAGE = "redis:6.2=redis-server --dir /data --protected-mode no";

/** The sandbox, and what it says of itself once it is ready. */
async function start(program) {
  const options = ["--image", IMAGE, "--dns", "127.0.0.1:0", "--socks", "127.0.0.1:0", "--ready-fd", "3"];
  const stdio = ["ignore", "ignore", "inherit", "pipe"];
  const sandbox = spawn(program, ["sandbox", "--run", ...options], { stdio });
  const lines = createInterface({ input: sandbox.stdio[3] });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(sandbox, "exit").then(() => Promise.reject(new Error("the sandbox has ended before it was ready"))),
  ]);
  return [sandbox, JSON.parse(line)];
}

/** What the redis of that name answers; a Pod without a readiness probe is ready before its program listens. */
async function ask(socks, name, command) {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await tryToAsk(socks, name, command);
    if (answer !== undefined) return answer;
    await setTimeout(50);
  }
  throw new Error(`${name} does not listen`);
}

/** Its answer, or nothing where it refuses (RFC 1928 for the way there). */
async function tryToAsk(socks, name, command) {
  const at = socks.lastIndexOf(":");
  const stream = connect(Number(socks.slice(at + 1)), socks.slice(0, at));
  stream.write(Buffer.from([5, 1, 0]));
  const request = Buffer.from([5, 1, 0, 3, name.length, ...Buffer.from(name), 6379 >> 8, 6379 & 255]);
  stream.write(request);
  stream.write(`${command}\r\nQUIT\r\n`);
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  const heard = Buffer.concat(pieces);
  if (heard[3] === 5) return undefined;
  assert.equal(heard[3], 0, `${name} cannot be reached`);
  return heard.subarray(12).toString().replace(/\+OK\r\n$/, "");
}

const [sandbox, ready] = await start(process.argv[2] ?? "headless-dns");
try {
  for (const name of ready.names) await ask(ready.socks, name, `SET name ${name}`);
  for (const name of ready.names) {
    const answer = await ask(ready.socks, name, "GET name");
    assert.equal(answer.split("\r\n")[1], name);
    console.log(`${name} answers`);
  }
} finally {
  sandbox.kill("SIGTERM");
  await once(sandbox, "exit");
}
