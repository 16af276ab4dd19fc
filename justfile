# The story of the README: fail, fix, resume.
demo:
    cargo run --example cart_join

test:
    cargo test --workspace

# The crash campaign with 2,000 kills at random times instead of 200.
kills:
    FLOW_KILLS=2000 cargo test --test kill -- --nocapture

# The table of docs/performance.md.
bench *names:
    cargo bench --bench flow -- {{names}}

# Instruction counts of the hot paths against the recorded ones; needs valgrind.
instructions:
    cargo bench --bench flow -- --instructions

# What CI runs.
ci:
    bash .ci/run

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Rewrite the messages and expansions that tests compare with, after looking at the difference.
bless:
    TRYBUILD=overwrite cargo test --test ui
    UPDATE_EXPECT=1 cargo test -p flow-macros
