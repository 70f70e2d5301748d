#!/usr/bin/env node
// Runs the program of this machine's architecture, in this one's place as far as Node lets it.
"use strict";
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { constants } = require("node:os");
const { join } = require("node:path");

const program = join(__dirname, `${process.platform}-${process.arch}`, "headless-dns");
if (!existsSync(program)) {
  console.error(`headless-dns: this package has no program for ${process.platform} on ${process.arch}`);
  process.exit(1);
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
