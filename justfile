# The steps of .ci/run, one by one.

default: ci

# What must pass before a change lands
ci:
    bash .ci/run

# All tests; those against a real control plane wait until `just control-plane` has built one
test:
    cargo test --locked

# etcd, kube-apiserver, kube-controller-manager and kubectl, for the tests: target/control-plane
control-plane:
    bash tests/control-plane/build

# One test of the picture in src/lib.rs
layering:
    cargo test --locked --test layering

fmt:
    cargo fmt --all --check

lint:
    cargo clippy --locked --all-targets -- -D warnings

deny:
    cargo deny check bans licenses sources

# The embedded cluster with its names
sandbox *ARGS:
    cargo run --release -- sandbox {{ARGS}}

# The image, without a container engine: target/images/headless-dns-VERSION-ARCH.tar; `just image amd64 arm64` for both
image *ARCH:
    deploy/image/build {{ARCH}}

# Packages that carry the image's program, in target/packages: Debian's, a wheel, npm's
packages *ARCH:
    deploy/packages/build {{ARCH}}

# docs/pictures/sandbox.svg, recorded
picture: control-plane
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --locked --release
    programs=$(mktemp -d)
    trap 'rm -rf "$programs"' EXIT
    ln -s "$PWD/target/release/headless-dns" "$programs"
    printf '#!/bin/sh\nexec %s kubectl "$@"\n' "$PWD/target/control-plane" >"$programs/kubectl"
    chmod +x "$programs/kubectl"
    python3 docs/pictures/record.py "$programs"

# The other pictures of docs/pictures, from the tables of docs/performance.md and the drawing in src/lib.rs
plots:
    python3 docs/pictures/plot.py

# A node of Kubernetes with real Pods, and what deploy/ installs on it; `just node shell`: a shell on it
node *ARGS:
    tests/node/run {{ARGS}}

# CPU per query beside an echo, hickory-server and CoreDNS: `just bench --coredns PATH`
bench *ARGS:
    cargo bench --bench dns -- {{ARGS}}

# First sync and relist of a large cluster, beside CoreDNS: `just first-sync --coredns PATH`
first-sync *ARGS:
    cargo bench --bench first_sync -- {{ARGS}}

# What it costs that questions are counted, changes remembered, and questions and clients wait
overhead:
    cargo bench --bench overhead

# When the Pods of a set that ask for each other from their start see each other: `just bootstrap --coredns PATH`
bootstrap *ARGS:
    cargo bench --bench bootstrap -- {{ARGS}}

# The page in a real Chromium
page *ARGS:
    tests/page/run {{ARGS}}

# Each fuzz target for so many minutes
fuzz MINUTES:
    bash fuzz/run $(({{MINUTES}} * 60))

# Who asks while names change, in many orders
model:
    cargo test --locked --features model -p headless-dns --lib zone::tests::model

# Undefined behaviour in what is pure, by Miri (nightly)
miri:
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked --lib -p headless-dns -- name:: message:: endpoint:: store:: zone::data --skip what_is_read_here --skip hostile --skip fits --skip random

# The API server's faults, a hundred times each, and two hundred kills
faults:
    SEEDS=100 cargo test --locked --test api_faults
    KILLS=200 cargo test --locked --test kills

# A soak of half an hour: changes, questions, outages of the API server
soak:
    SECONDS=1800 cargo test --release --test soak -- --nocapture
