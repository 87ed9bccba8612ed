#!/usr/bin/env python3
"""How long a process that was just started takes until prefill can begin, beside llama.cpp loading the same file.

    bench/load.py --data DIR [--pairs 5] [--model NAME]

DIR is a data folder with something in it. The peer is llama-cpp-python, a process of its own each time, which loads the GGUF and takes the
same context. Of sidenote it is `timings_ms.load` of `ask`: the language model and the embedding model, both opened at once. Run in turn,
both find the file in the page cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from support.program import MODELS, SIDENOTE

PEER = """
import sys, time
import llama_cpp
begun = time.perf_counter()
llama_cpp.Llama(sys.argv[1], n_ctx=8192, n_batch=512, n_threads=2, n_threads_batch=2, flash_attn=True, verbose=False)
print((time.perf_counter() - begun) * 1e3)
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    arguments = parser.parse_args()
    model = str(MODELS / arguments.model / "model.gguf")
    pairs = []
    # The first of each only warms the page cache.
    for _ in range(arguments.pairs + 1):
        peer = float(subprocess.run([sys.executable, "-c", PEER, model], check=True, capture_output=True, text=True).stdout)
        asked = subprocess.run(
            [str(SIDENOTE), "--data", arguments.data, "ask", "--json", "--max-tokens", "8", "Who approves travel expenses?"],
            capture_output=True, text=True, env={**os.environ, "SIDENOTE_MODELS_GENERATOR": arguments.model})
        pairs.append((peer, json.loads(asked.stdout)["timings_ms"]["load"]))
    pairs = pairs[1:]
    ratios = [ours / peer for peer, ours in pairs]
    print("| llama-cpp-python, ms | sidenote, ms | ratio, median | least to greatest |")
    print("|---|---|---|---|")
    print(f"| {statistics.median(p for p, _ in pairs):.0f} | {statistics.median(o for _, o in pairs):.0f} | {statistics.median(ratios):.2f} "
          f"| {min(ratios):.2f} to {max(ratios):.2f} |")


main()
