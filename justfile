# The steps of .ci/run, one by one.

default: ci

# What must pass before a change lands
ci:
    bash .ci/run

# All tests
test:
    cargo test --locked

# One test of the picture in src/lib.rs
layering:
    cargo test --locked --test layering

fmt:
    cargo fmt --check

lint:
    cargo clippy --locked --all-targets -- -D warnings

deny:
    cargo deny check bans licenses sources

# The embedded cluster with its names
sandbox *ARGS:
    cargo run --release -- sandbox {{ARGS}}
