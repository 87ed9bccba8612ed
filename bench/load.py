#!/usr/bin/env python3
"""How long a process that was just started takes until prefill can begin, beside llama.cpp loading the same file.

    bench/load.py [--pairs 5] [--model NAME]

The peer is llama-cpp-python, a process of its own each time, which loads the GGUF and takes the same context. Of sidenote, asked about
corpus/, it is `timings_ms.load` of `ask`: the language model and the embedding model, both opened at once. Run in turn, both find the
file in the page cache.

Wants `sidenote` built, its models, and llama-cpp-python (`bench/run.sh load` sees to it).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from support.program import ROOT, SIDENOTE, ingest

PEER = """
import sys, time
from support.peer import peer
begun = time.perf_counter()
peer(sys.argv[1], int(sys.argv[2]), 8192)
print((time.perf_counter() - begun) * 1e3)
"""
HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    arguments = parser.parse_args()
    os.environ["SIDENOTE_MODELS_GENERATOR"] = arguments.model
    threads = str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        ingest(data, ROOT / "corpus")
        question = [SIDENOTE, "--data", data, "ask", "--json", "--max-tokens", "8", "Who approves travel expenses?"]
        # The first of each only warms the page cache.
        pairs = [(peers(arguments.model, threads), ours(question)) for _ in range(arguments.pairs + 1)][1:]
    ratios = [ours / peer for peer, ours in pairs]
    print("| llama-cpp-python, ms | sidenote, ms | ratio, median | least to greatest |")
    print("|---|---|---|---|")
    print(f"| {statistics.median(p for p, _ in pairs):.0f} | {statistics.median(o for _, o in pairs):.0f} | {statistics.median(ratios):.2f} "
          f"| {min(ratios):.2f} to {max(ratios):.2f} |")


def peers(model, threads):
    done = subprocess.run([sys.executable, "-c", PEER, model, threads], check=True, capture_output=True, text=True, cwd=HERE)
    return float(done.stdout)


def ours(question):
    # Exit code 1 says that the documents do not say, after so few tokens.
    done = subprocess.run(question, check=False, capture_output=True, text=True)
    return json.loads(done.stdout)["timings_ms"]["load"]


main()
