#!/bin/sh
# Every side-by-side measurement with one command: bench/run.sh [embed | limits | ingest | vectors | lexical | chunking | generate | first_token | whole | load] (default: all). See bench/README.md.
set -eu
cd "$(dirname "$0")/.."

what="${1:-all}"
pairs="${PAIRS:-5}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/sidenote/bench"
# The releases of the peers that RESULTS.md was measured with.
llama="${LLAMA_CPP_PYTHON:-0.3.36}"
chroma="${CHROMADB:-1.5.9}"
hnswlib="${HNSWLIB:-0.8.0}"
faiss="${FAISS:-1.15.1}"
usearch="${USEARCH:-2.26.6}"
lancedb="${LANCEDB:-0.40.0}"
bm25s="${BM25S:-0.3.16}"
tantivy="${TANTIVY:-0.27.0}"
onnxruntime=1.31.1 # as in models.toml
models="${SIDENOTE_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/sidenote/models}"

wants() {
    [ "$what" = all ] || [ "$what" = "$1" ]
}

# A virtual environment with one package of one version; $4 are further words for pip.
environment() {
    folder="$1" package="$2" version="$3"
    if ! "$cache/$folder/bin/pip" show "$package" 2>/dev/null | grep -q "^Version: $version\$"; then
        echo "installing $package $version in $cache/$folder, once" >&2
        python3 -m venv "$cache/$folder"
        # shellcheck disable=SC2086 # several words
        "$cache/$folder/bin/python" -m pip install --quiet --no-cache-dir $4 "$package==$version" >&2
    fi
}

cargo build --release --locked --workspace --examples >&2
examples="$(cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/examples"
corpus="${CORPUS:-${SIDENOTE_EVALDATA:+$SIDENOTE_EVALDATA/docs_specs/corpus.jsonl.gz}}"

for part in embed limits ingest; do
    if wants "$part" && [ -z "$corpus" ]; then
        echo "$part: SKIPPED, name a BEIR corpus.jsonl or corpus.jsonl.gz in CORPUS" >&2
    fi
done
if wants embed && [ -n "$corpus" ]; then
    "$examples/embed" "$corpus" --pairs "$pairs"
fi
if wants limits && [ -n "$corpus" ]; then
    environment limits onnxruntime "$onnxruntime" "tokenizers numpy"
    "$cache/limits/bin/python" bench/embed_limits.py --corpus "$corpus" --models "$models/all-minilm-l6-v2-int8" --rounds "$pairs"
fi
if wants ingest && [ -n "$corpus" ]; then
    environment chroma chromadb "$chroma" "onnxruntime==$onnxruntime tokenizers numpy"
    "$cache/chroma/bin/python" bench/ingest.py --binary "$examples/ingest" --corpus "$corpus" --pairs "$pairs"
fi
if wants vectors; then
    if [ -z "${VECTORS:-}" ]; then
        echo "vectors: SKIPPED, name the vectors files of a data folder's segments in VECTORS: 'DATA/vectors/*/vectors'" >&2
    else
        environment vectors hnswlib "$hnswlib" "faiss-cpu==$faiss usearch==$usearch lancedb==$lancedb numpy"
        # shellcheck disable=SC2086 # a pattern
        "$cache/vectors/bin/python" bench/vectors.py --binary "$examples/vector_speed" $VECTORS
    fi
fi
if wants lexical; then
    if [ -z "${SIDENOTE_EVALDATA:-}" ]; then
        echo "lexical: SKIPPED, name a folder with scifact and cranfield in the BEIR layout in SIDENOTE_EVALDATA" >&2
    else
        environment lexical bm25s "$bm25s" "tantivy==$tantivy PyStemmer numpy"
        "$cache/lexical/bin/python" bench/lexical.py --binary "$examples/lexical_quality" \
            "$SIDENOTE_EVALDATA/scifact" "$SIDENOTE_EVALDATA/cranfield"
    fi
fi
if wants chunking; then
    if [ -z "${SIDENOTE_EVALDATA:-}" ]; then
        echo "chunking: SKIPPED, name a folder with chunking_eval in SIDENOTE_EVALDATA" >&2
    else
        cargo build --release --locked --workspace --bins >&2
        environment limits onnxruntime "$onnxruntime" "tokenizers numpy"
        "$cache/limits/bin/python" bench/chunking.py
    fi
fi
if wants generate || wants first_token || wants whole || wants load; then
    # Built for this machine's CPU, about 15 minutes on two cores.
    export CMAKE_ARGS="-DGGML_NATIVE=ON"
    environment venv llama-cpp-python "$llama" "--no-binary llama-cpp-python"
fi
if wants generate; then
    "$cache/venv/bin/python" bench/generate.py --binary "$examples/generate" --pairs "$pairs" \
        --model smollm2-135m-instruct-q4_1 --model qwen2.5-coder-1.5b-instruct-q4_k_m
fi
if wants first_token; then
    if [ -z "${SIDENOTE_EVALDATA:-}" ]; then
        echo "first_token: SKIPPED, name a folder with squad2_dev in SIDENOTE_EVALDATA" >&2
    else
        cargo build --release --locked --workspace --bins >&2
        "$cache/venv/bin/python" bench/first_token.py
    fi
fi
if wants whole; then
    cargo build --release --locked --workspace --bins >&2
    "$cache/venv/bin/python" bench/whole.py
fi
if wants load; then
    cargo build --release --locked --workspace --bins >&2
    "$cache/venv/bin/python" bench/load.py
fi
