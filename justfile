# `just` lists everything that people do here, by group.
[private]
default:
    @just --list --unsorted

# The story of the README: fail, fix, resume.
[group('use')]
demo:
    cargo run --example cart_join

# Install the command that looks into a store.
[group('use')]
install-flow-store:
    cargo install --path flow-store

# Open the reference.
[group('use')]
reference:
    cargo doc --open -p flow-dataflow

# Everything that CI runs.
[group('check')]
ci:
    bash .ci/run

# The formatting, as rustfmt wants it.
[group('check')]
fmt:
    cargo fmt --all

# Clippy, with warnings denied.
[group('check')]
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, with warnings denied.
[group('check')]
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Links, named commands and files, unused dependencies.
[group('check')]
house:
    cargo test --test house

# Spelling; `typos.toml` has the words that are no mistakes.
[group('check')]
spelling:
    bash .ci/tool typos

# Licenses and origins of dependencies.
[group('check')]
deny:
    bash .ci/tool cargo-deny --locked check licenses bans sources

# Known vulnerabilities of dependencies; needs a network that reaches GitHub.
[group('check')]
advisories:
    #!/usr/bin/env bash
    set -uo pipefail
    said=$(bash .ci/tool cargo-deny --locked check advisories 2>&1)
    status=$?
    if [ $status != 0 ] && grep -q 'failed to fetch advisory database' <<<"$said"; then
        echo 'skipped: this network does not reach the advisory database (RustSec/advisory-db)'
        exit 0
    fi
    echo "$said"
    exit $status

# All tests, or those of some targets: `just test --test kill`.
[group('test')]
test *args='--workspace':
    cargo test {{args}}

# The types of other crates as states and keys.
[group('test')]
types:
    cargo test --manifest-path tests/types/Cargo.toml --target-dir target/types

# The crash campaign with 2,000 kills at random times instead of 200.
[group('test')]
kills:
    FLOW_KILLS=2000 cargo test --test kill random_kills -- --nocapture

# 200,000 crash points of the store instead of 10,000.
[group('test')]
crashes:
    FLOW_SIM_POINTS=200000 cargo test -p flow-store --lib crashes::at_random -- --nocapture

# 20,000 random flows instead of 2,000.
[group('test')]
random:
    FLOW_RANDOM_CASES=20000 cargo test --release --test random -- --nocapture

# 900 random flows with event time, three times, instead of 140.
[group('test')]
times:
    FLOW_TIME_CASES=900 cargo test --test event_time

# 10,000 panics instead of 1,000.
[group('test')]
panics:
    FLOW_PANICS=10000 cargo test --test panics -- --nocapture

# Fuzz one target (`rows`, `store_file`, `value_json`) for some seconds; needs cargo-fuzz.
[group('test')]
fuzz target seconds='600':
    cd flow-store/fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run -O -s none {{target}} -- \
        -max_total_time={{seconds}} -timeout=10 -len_control=0

# Take out one guard after the other, or those that are named: does a test fail?
[group('test')]
guards *names:
    bash tests/guards/run {{names}}

# Whether the patches of the guards still fit; takes seconds.
[group('test')]
fit:
    bash tests/guards/run --fit

# Rewrite the messages, expansions and graphs that tests compare with; read the difference.
[group('record')]
bless:
    TRYBUILD=overwrite cargo test --test ui
    UPDATE_EXPECT=1 cargo test -p flow-macros
    FLOW_UPDATE_GRAPHS=1 cargo test --test graph

# Write the golden stores of a new format.
[group('record')]
golden:
    cargo test -p flow-store --test golden -- --ignored

# The table of docs/performance.md, or the rows that are named.
[group('measure')]
bench *names:
    cargo bench --bench flow -- {{names}}

# What each row of that table says.
[group('measure')]
explain:
    cargo bench --bench flow -- --explain

# Instruction counts of the hot paths against the recorded ones; needs valgrind.
[group('measure')]
instructions:
    cargo bench --bench flow -- --instructions

# Record the counts that are there now.
[group('measure')]
record-instructions:
    cargo bench --bench flow -- --instructions --record

# Draw docs/memory.svg.
[group('measure')]
memory:
    cargo bench --bench flow -- --memory-over-time
