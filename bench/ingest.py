"""A whole ingest: sidenote beside its own embedder and beside a pipeline of chromadb, on the same documents and model file.

    ingest.py --binary TARGET/release/examples/ingest --corpus CORPUS [--documents 100] [--pairs 5]
    ingest.py --binary ... --corpus CORPUS --memory         # peaks of memory instead, once each, and a second run
    ingest.py --binary ... --corpus CORPUS --stop SIDENOTE  # instead, how long the program takes to end after Ctrl-C

Every measurement is a process of its own. sidenote looks, reads, extracts (in its worker process), cuts, embeds, stores and
indexes for both kinds of search; its time ends when everything can be found, the building of the vector index is shown
beside it. The embedder alone gets the same chunks, ready. So does the peer, which neither reads nor cuts and builds no
full-text index: it embeds and adds to a collection on the disk.

The peer is shown as its users call it (batches of 32 texts, padded to 256 tokens, as its own embedding function does, added
batch by batch) and at its best: texts of equal length together, without padding, one session with all cores, added in
batches of 1,000.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from support.program import EMBEDDER, measured

# Rest between two measurements.
REST_SECONDS = 1


def peer(setting, folder, model, tokenizer):
    """One run of the peer; prints a line of JSON."""
    import chromadb
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    with open(os.path.join(folder, "chunks.jsonl"), encoding="utf-8") as lines:
        texts = [json.loads(line) for line in lines]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}
    tokens = Tokenizer.from_file(tokenizer)
    tokens.enable_truncation(max_length=256)
    if setting == "default":
        tokens.enable_padding(pad_id=0, pad_token="[PAD]", length=256)
    else:
        tokens.no_padding()

    def run(encoded):
        ids = numpy.array([one.ids for one in encoded], dtype=numpy.int64)
        mask = numpy.array([one.attention_mask for one in encoded], dtype=numpy.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        states = session.run(None, {name: value for name, value in given.items() if name in names})[0]
        weights = mask[:, :, None].astype(numpy.float32)
        pooled = (states * weights).sum(1) / numpy.clip(weights.sum(1), 1e-9, None)
        return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)

    client = chromadb.PersistentClient(os.path.join(folder, "chroma"))
    collection = client.create_collection("documents", embedding_function=None, metadata={"hnsw:space": "cosine"})
    run(tokens.encode_batch(texts[:1]))
    begun = time.perf_counter()
    if setting == "default":
        for start in range(0, len(texts), 32):
            some = texts[start : start + 32]
            collection.add(
                ids=[str(start + place) for place in range(len(some))],
                embeddings=run(tokens.encode_batch(some)),
                documents=some,
            )
    else:
        encoded = tokens.encode_batch(texts)
        vectors = numpy.empty((len(texts), 384), dtype=numpy.float32)
        for place in sorted(range(len(texts)), key=lambda place: len(encoded[place].ids)):
            vectors[place] = run([encoded[place]])[0]
        for start in range(0, len(texts), 1000):
            some = texts[start : start + 1000]
            collection.add(
                ids=[str(start + place) for place in range(len(some))],
                embeddings=vectors[start : start + 1000],
                documents=some,
            )
    seconds = time.perf_counter() - begun
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "chunks": collection.count(), "peak_mib": peak // 1024}))


class Side:
    """What is measured: a command on a prepared folder, and what it leaves there."""

    def __init__(self, name, command, leaves):
        self.name, self.command, self.leaves = name, command, leaves

    def run(self, folder):
        shutil.rmtree(os.path.join(folder, self.leaves), ignore_errors=True)
        return run(self.command)


def run(command):
    time.sleep(REST_SECONDS)
    return measured(command)


def compare(options, folder):
    made = run([options.binary, "prepare", options.corpus, folder, "--documents", str(options.documents)])
    print(made["machine"])
    print(f"{made['documents']} documents, {made['bytes'] / 1e6:.1f} MB, {made['chunks']} chunks, {made['tokens']} tokens")
    python = [sys.executable, os.path.abspath(__file__), "--model", str(EMBEDDER / "model.onnx")]
    python += ["--tokenizer", str(EMBEDDER / "tokenizer.json"), "--peer"]
    whole = Side("sidenote, whole ingest", [options.binary, "whole", folder], "data")
    others = [
        Side("sidenote's embedder alone", [options.binary, "embed", folder], "none"),
        Side("chromadb, its default way", [*python, "default", folder], "chroma"),
        Side("chromadb, its best", [*python, "best", folder], "chroma"),
    ]
    found = {side.name: [] for side in others}
    ours = []
    for pair in range(options.pairs):
        order = [whole, *others] if pair % 2 == 0 else [*reversed(others), whole]
        results = {side.name: side.run(folder) for side in order}
        for name, result in results.items():
            if result["chunks"] != made["chunks"]:
                sys.exit(f"{name} has {result['chunks']} chunks and not {made['chunks']}")
        ours.append(results[whole.name])
        for side in others:
            found[side.name].append(results[side.name])
        times = ", ".join(f"{name} {result['seconds']:.1f} s" for name, result in results.items())
        print(f"pair {pair + 1}: {times}", file=sys.stderr)
    rate = statistics.median(made["chunks"] / result["seconds"] for result in ours)
    seal = statistics.median(result["seal_seconds"] for result in ours)
    peak = max(result["peak_mib"] for result in ours)
    print(f"sidenote: {rate:.1f} chunks/s, the vector index beside it {seal:.1f} s, {peak} MiB at most\n")
    print("| beside | its chunks/s | ratio, median | least to greatest | its memory, MiB |")
    print("|---|---|---|---|---|")
    lines = []
    for side in others:
        ratios = sorted(their["seconds"] / our["seconds"] for our, their in zip(ours, found[side.name]))
        their_rate = statistics.median(made["chunks"] / result["seconds"] for result in found[side.name])
        memory = max(result["peak_mib"] for result in found[side.name])
        ratio = statistics.median(ratios)
        print(f"| {side.name} | {their_rate:.1f} | {ratio:.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {memory} |")
        lines.append({"beside": side.name, "per_second": their_rate, "ratio": ratio, "ratios": ratios, "peak_mib": memory})
    print(json.dumps({"bench": "ingest", **made, "per_second": rate, "seal_seconds": seal, "peak_mib": peak, "others": lines}))


def memory(options, folder):
    """Peaks of memory at a tenth, at all and at ten times all of the corpus; and how long a run takes that finds nothing new."""
    count = options.documents
    sizes = [
        ("a tenth, real embedder", ["--documents", str(max(1, count // 10))], []),
        ("all, real embedder", ["--documents", str(count)], []),
        ("a tenth, deterministic embedder", ["--documents", str(max(1, count // 10))], ["--hash"]),
        ("all, deterministic embedder", ["--documents", str(count)], ["--hash"]),
        ("ten times, deterministic embedder", ["--documents", str(count), "--copies", "10"], ["--hash"]),
    ]
    print("| corpus | chunks | searchable after, s | vector index, s | most memory, MiB | data folder, MB | second run, s |")
    print("|---|---|---|---|---|---|---|")
    for name, sample, embedder in sizes:
        if options.only and options.only not in name:
            continue
        shutil.rmtree(folder)
        os.mkdir(folder)
        run([options.binary, "prepare", options.corpus, folder, *sample, "--hash"])
        # A file that changed just now is looked into again, as its time stamp proves nothing.
        time.sleep(3)
        first = run([options.binary, "whole", folder, *embedder])
        again = run([options.binary, "whole", folder, *embedder])
        row = [name, first["chunks"], f"{first['seconds']:.0f}", f"{first['seal_seconds']:.0f}", first["peak_mib"]]
        row += [f"{first['data_bytes'] / 1e6:.0f}", f"{again['seconds'] + again['seal_seconds']:.2f}"]
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
        if again["chunks"]:
            sys.exit(f"the second run wrote {again['chunks']} chunks")


def stop(options, folder):
    """How long an ingest takes to end that gets a SIGINT at a random instant."""
    run([options.binary, "prepare", options.corpus, folder, "--documents", str(options.documents), "--hash"])
    chance = random.Random(1)
    seconds = []
    for _ in range(options.pairs * 4):
        command = [options.stop, "--data", os.path.join(folder, "data"), "ingest", os.path.join(folder, "files"), "-q"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(1, 8))
        begun = time.perf_counter()
        process.send_signal(signal.SIGINT)
        code = process.wait()
        if code != 130:
            sys.exit(f"the ingest ended with {code} before it was stopped; give it more documents")
        seconds.append(time.perf_counter() - begun)
    print(f"{len(seconds)} stops: {statistics.median(seconds):.2f} s at the median, {max(seconds):.2f} s at most")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--corpus")
    parser.add_argument("--documents", type=int)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--stop", metavar="SIDENOTE", help="the program")
    parser.add_argument("--only", help="with --memory: the rows whose name contains this")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--tokenizer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(options.peer[0], options.peer[1], options.model, options.tokenizer)
        return
    options.documents = options.documents or (1_000_000 if options.memory or options.stop else 100)
    with tempfile.TemporaryDirectory(prefix="sidenote-bench-") as folder:
        (memory if options.memory else stop if options.stop else compare)(options, folder)


main()
