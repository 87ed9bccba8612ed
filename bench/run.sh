#!/bin/sh
# Every side-by-side measurement with one command: bench/run.sh [embed | generate] (default: both). See bench/README.md.
set -eu
cd "$(dirname "$0")/.."

what="${1:-all}"
pairs="${PAIRS:-5}"
# The release of llama-cpp-python that RESULTS.md was measured with.
peer="${LLAMA_CPP_PYTHON:-0.3.36}"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/sidenote/bench/venv"

if [ "$what" != embed ] && ! "$venv/bin/python" -c "import llama_cpp; assert llama_cpp.__version__ == '$peer'" 2>/dev/null; then
    echo "building llama-cpp-python $peer in $venv, once, about 15 minutes on two cores" >&2
    python3 -m venv "$venv"
    CMAKE_ARGS="-DGGML_NATIVE=ON" "$venv/bin/python" -m pip install --quiet --no-cache-dir \
        --no-binary llama-cpp-python "llama-cpp-python==$peer" >&2
fi

cargo build --release --locked --workspace --examples >&2
examples="$(cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/examples"

if [ "$what" != generate ]; then
    corpus="${CORPUS:-${SIDENOTE_EVALDATA:+$SIDENOTE_EVALDATA/docs_specs/corpus.jsonl.gz}}"
    if [ -z "$corpus" ]; then
        echo "embed: SKIPPED, name a BEIR corpus.jsonl or corpus.jsonl.gz in CORPUS" >&2
    else
        "$examples/embed" "$corpus" --pairs "$pairs"
    fi
fi
if [ "$what" != embed ]; then
    "$venv/bin/python" bench/generate.py --binary "$examples/generate" --pairs "$pairs" \
        --model smollm2-135m-instruct-q4_1 --model qwen2.5-coder-1.5b-instruct-q4_k_m
fi
