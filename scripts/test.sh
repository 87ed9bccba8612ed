#!/usr/bin/env bash
# Sets up, then runs the format check, all tests and the lints. SIDENOTE_SLOW_TESTS=1 adds those that need the 1.5B model
# or a long time. Tests that lack what they need print a line that begins with SKIPPED; the last lines count them.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
cd "$root"
export INSTA_UPDATE=${INSTA_UPDATE:-no} # a snapshot that differs is a failure, not a new file

models=(all-minilm-l6-v2-int8 onnxruntime-1.31.1 smollm2-135m-instruct-q4_1)
if [ -n "${SIDENOTE_SLOW_TESTS:-}" ]; then models+=(qwen2.5-coder-1.5b-instruct-q4_k_m); fi

# No default build can speak to a server; the few tests of the one that can are built with it.
with_remote=(--features sidenote-cli/remote)

check_components() {
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        rustup component add rustfmt clippy || fail "rustfmt or clippy is missing" "rustup component add rustfmt clippy"
    fi
}

build_tests() {
    cargo test --release --locked --workspace --no-run --quiet
    cargo test --release --locked --workspace --no-run --quiet "${with_remote[@]}" --test remote --test sidenote
}

# Clients of other hands, at pinned versions, for the tests of the endpoint.
install_clients() {
    local folder=$cache/clients wanted=("$root/tests/clients/requirements.txt")
    if [ -n "${SIDENOTE_SLOW_TESTS:-}" ]; then wanted+=("$root/tests/clients/page_requirements.txt"); fi
    if ! cmp -s <(cat "${wanted[@]}") "$folder/installed.txt"; then
        python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "${wanted[@]/#/--requirement=}" ||
            fail "the clients of tests/clients cannot be installed" "apt-get install python3-venv, and see that pip reaches its registry"
        cat "${wanted[@]}" >"$folder/installed.txt"
    fi
}

run_tests() {
    local log=$CARGO_TARGET_DIR/test.log passed=0
    # Tests that pass keep quiet unless asked; a skip must be seen.
    cargo test --release --locked --workspace --no-fail-fast -- --show-output 2>&1 | tee "$log" || passed=$?
    cargo test --release --locked --workspace "${with_remote[@]}" --test remote -- --show-output 2>&1 |
        tee -a "$log" || passed=$?
    cargo test --release --locked --workspace "${with_remote[@]}" --test sidenote -- --show-output cli::remote 2>&1 |
        tee -a "$log" || passed=$?
    local skipped
    skipped=$(grep -c '^SKIPPED' "$log" || true)
    if [ "$skipped" -gt 0 ]; then
        printf '    %d tests were skipped:\n' "$skipped"
        grep '^SKIPPED' "$log" | sort | uniq -c
    fi
    return "$passed"
}

step "system packages" install_packages test
step "Rust" check_cargo
step "rustfmt and clippy" check_components
step "format" cargo fmt --all --check
step "build (the first one compiles llama.cpp and takes a while)" build_tests
step "models" pull_models "${models[@]}"
step "clients" install_clients
step "tests" run_tests
step "lints" cargo clippy --release --locked --workspace --all-targets "${with_remote[@]}" --quiet -- -D warnings
