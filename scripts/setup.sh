#!/usr/bin/env bash
# Makes this machine ready: system packages, the build, models. What is there already is left alone, and a run that was
# cut off goes on where it stopped. Sourced by the other scripts; run alone it sets up everything the demo needs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sidenote
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
sidenote=$CARGO_TARGET_DIR/release/sidenote

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf 'hint: %s\n' "$hint" >&2; done
    exit 2
}

# step WHAT COMMAND...: runs the command, says what it is and how long it took.
step() {
    local what=$1 begun=$SECONDS
    shift
    printf '==> %s\n' "$what"
    "$@"
    printf '    (%d s)\n' $((SECONDS - begun))
}

# Debian names libclang-cpp, which bindgen cannot use, almost alike.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    local folder name
    for folder in '/usr/lib/llvm*/lib' '/usr/lib/*' '/usr/lib*' /opt/homebrew/opt/llvm/lib \
        /Library/Developer/CommandLineTools/usr/lib; do
        for name in 'libclang.so*' 'libclang-[0-9]*.so*' libclang.dylib; do
            compgen -G "$folder/$name" >/dev/null && return 0
        done
    done
    return 1
}

# Debian package names of what is missing. llama.cpp wants cmake, a C++ compiler and libclang, models want pip.
missing_packages() {
    local missing=()
    command -v cmake >/dev/null || missing+=(cmake)
    command -v c++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    has_libclang || missing+=(libclang-dev)
    command -v python3 >/dev/null || missing+=(python3)
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    if [ "${1:-}" = test ]; then
        # The tests compare quotes from PDFs with an independent program, and have pages recognised.
        command -v pdftotext >/dev/null || missing+=(poppler-utils)
        command -v tesseract >/dev/null || missing+=(tesseract-ocr)
        if [ -n "${SIDENOTE_SLOW_TESTS:-}" ] && [ -z "${SIDENOTE_CHROMIUM:-}" ]; then
            command -v chromium >/dev/null || missing+=(chromium)
        fi
        # Clients of the endpoint live in an environment of their own.
        python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    fi
    printf '%s\n' "${missing[@]}"
}

install_packages() {
    local missing
    missing=$(missing_packages "${1:-}" | tr '\n' ' ' | sed 's/ *$//')
    if [ -z "$missing" ]; then
        echo "    nothing is missing"
    elif ! command -v apt-get >/dev/null; then
        fail "these are missing: $missing (Debian's names)" \
            "install them with the package manager of this system, then run the same command again"
    elif [ "$(id -u)" -ne 0 ]; then
        fail "these packages are missing: $missing" "sudo apt-get install $missing"
    else
        echo "    apt-get install $missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq || true # an old list may still do
        # shellcheck disable=SC2086 # a list of words
        apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
            fail "apt-get could not install: $missing" "install them by hand, then run the same command again"
    fi
}

check_cargo() {
    command -v cargo >/dev/null || fail "cargo is missing" "install Rust: https://rustup.rs"
    echo "    $(cargo --version), target folder $CARGO_TARGET_DIR"
}

build() {
    (cd "$root" && cargo build --release --locked --package sidenote-cli)
}

pull_models() {
    "$sidenote" models pull "$@"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    step "system packages" install_packages
    step "Rust" check_cargo
    step "build (the first one compiles llama.cpp and takes a while)" build
    step "models" pull_models
fi
