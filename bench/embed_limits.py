"""What bounds embedding on this machine, by ONNX Runtime alone: the same model file and runtime as sidenote's, one text at a time.

    embed_limits.py --corpus CORPUS --models FOLDER [--texts 300] [--rounds 5] [--seed 1]

CORPUS is a `corpus.jsonl` or `corpus.jsonl.gz` with a `_id` and a `text` a line, FOLDER holds `model.onnx` and `tokenizer.json` of
all-MiniLM-L6-v2 (int8). Paragraphs are joined up to 250 tokens. Shown are, as medians over the rounds:

- the tokenizer's share of the time of a text,
- sessions in threads, one session with several threads, and sessions in processes, against one session on one core,
- texts sorted by length against texts as they come,
- which operators the time goes into, by the runtime's own profile,
- products a second of matrices against what a core could do at the clock that /proc/cpuinfo names. Where the runtime computes them
  in fp32, also of a model whose weights are stored as int8, that is 16 a cycle with AVX2 and 32 with AVX-512 (two ports each); where
  it computes them in int8, 32 with AVX2, 128 with AVX-512 VNNI, 1,024 with AMX.
"""

import argparse
import collections
import concurrent.futures
import gzip
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time

import numpy
import onnxruntime
from tokenizers import Tokenizer

MOST_TOKENS = 250
LAYERS, WIDTH, INNER = 6, 384, 1536
# Of a core, by what /proc/cpuinfo calls the extension.
PRODUCTS_PER_CYCLE = {
    "fp32": {"avx2": 16, "avx512f": 32},
    "int8": {"avx2": 32, "avx512_vnni": 128, "amx_int8": 1024},
}
# Operators that multiply matrices, by what they multiply.
MULTIPLYING = {
    "fp32": {"MatMul", "FusedMatMul", "Gemm", "Attention", "MultiHeadAttention"},
    "int8": {"DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger", "QAttention", "QGemm"},
}


def texts_of(corpus, tokenizer, wanted, seed):
    """Paragraphs of a sample of documents, joined up to MOST_TOKENS."""
    opened = gzip.open if corpus.endswith(".gz") else open
    with opened(corpus, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line)["text"] for line in lines]
    random.Random(seed).shuffle(documents)
    texts = []
    for document in documents:
        piece = ""
        for paragraph in document.split("\n\n"):
            joined = f"{piece}\n\n{paragraph}" if piece else paragraph
            if len(tokenizer.encode(joined).ids) <= MOST_TOKENS:
                piece = joined
                continue
            if piece:
                texts.append(piece)
            piece = paragraph if len(tokenizer.encode(paragraph).ids) <= MOST_TOKENS else ""
        if piece.strip():
            texts.append(piece)
        if len(texts) >= 4 * wanted:
            break
    random.Random(seed).shuffle(texts)
    return texts[:wanted]


def open_session(model, threads=1, profile=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(session, ids):
    ids = numpy.array([ids], dtype=numpy.int64)
    given = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    names = {each.name for each in session.get_inputs()}
    return session.run(None, {name: value for name, value in given.items() if name in names})[0]


def embed_all(session, encoded):
    for ids in encoded:
        embed(session, ids)


def seconds(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_process(model, encoded, ready, go, done):
    """One of several processes: warm before the clock starts."""
    session = open_session(model)
    embed_all(session, encoded[:4])
    ready.release()
    while go.recv():
        embed_all(session, encoded)
        done.release()


class Processes:
    """Sessions in processes of their own, each with its share of the texts."""

    def __init__(self, model, shares):
        context = multiprocessing.get_context("spawn")
        ready, self.done, self.pipes = context.Semaphore(0), context.Semaphore(0), []
        for share in shares:
            here, there = context.Pipe()
            context.Process(target=in_process, args=(model, share, ready, there, self.done), daemon=True).start()
            self.pipes.append(here)
        for _ in shares:
            ready.acquire()

    def work(self):
        for pipe in self.pipes:
            pipe.send(True)
        for _ in self.pipes:
            self.done.acquire()

    def end(self):
        for pipe in self.pipes:
            pipe.send(False)


def profile_of(model, encoded):
    """Seconds by operator."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(model, profile=os.path.join(folder, "profile"))
        embed_all(session, encoded)
        with open(session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
    by_operator = collections.Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            by_operator[event["args"]["op_name"]] += event["dur"] / 1e6
    return by_operator


def cpu():
    """Clock in GHz and extensions."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    return fields.get("model name"), float(fields["cpu MHz"]) / 1000, set(fields["flags"].split())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    model = os.path.join(asked.models, "model.onnx")
    tokenizer = Tokenizer.from_file(os.path.join(asked.models, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = texts_of(asked.corpus, tokenizer, asked.texts, asked.seed)
    encoded = [tokenizer.encode(text).ids for text in texts]
    by_length = sorted(encoded, key=len)
    cores = os.cpu_count()
    shares = [encoded[number::cores] for number in range(cores)]

    one, wide = open_session(model), open_session(model, threads=cores)
    several = [open_session(model) for _ in range(cores)]
    processes = Processes(model, shares)
    pool = concurrent.futures.ThreadPoolExecutor(cores)
    # The order changes from round to round, so that what the machine does beside it falls on all.
    ways = {
        "tokenizer": lambda: [tokenizer.encode(text) for text in texts],
        "one core": lambda: embed_all(one, encoded),
        "one core, sorted by length": lambda: embed_all(one, by_length),
        "a session a core, in threads": lambda: list(pool.map(embed_all, several, shares)),
        "one session with all cores": lambda: embed_all(wide, encoded),
        "a session a core, in processes": processes.work,
    }
    for session in [one, wide, *several]:
        embed_all(session, encoded[:4])
    times = {name: [] for name in ways}
    for number in range(asked.rounds):
        names = list(ways)
        random.Random(number).shuffle(names)
        for name in names:
            times[name].append(seconds(ways[name]))
    processes.end()
    median = {name: statistics.median(taken) for name, taken in times.items()}
    ratio = {
        name: statistics.median(base / taken for base, taken in zip(times["one core"], times[name])) for name in ways
    }

    tokens = sum(map(len, encoded))
    name, clock, flags = cpu()
    print(f"{name}, {cores} cores, {clock:.2f} GHz; {len(texts)} texts, {tokens} tokens")
    print("\n| way | texts a second | against one core |\n|---|---|---|")
    for way in ways:
        print(f"| {way} | {len(texts) / median[way]:.1f} | {ratio[way]:.2f} |")
    print(f"\nThe tokenizer takes {median['tokenizer'] / (median['tokenizer'] + median['one core']):.1%} of a text's time.")

    spent = profile_of(model, encoded)
    total = sum(spent.values())
    print("\n| operator | share of the time |\n|---|---|")
    for operator, share in spent.most_common(8):
        print(f"| {operator} | {share / total:.1%} |")
    weights, scores = tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER), sum(2 * WIDTH * len(ids) ** 2 for ids in encoded)
    rate = LAYERS * (weights + scores) / median["one core"] / 1e9
    multiplying = {kind: sum(spent[operator] for operator in MULTIPLYING[kind]) / total for kind in MULTIPLYING}
    kind = max(multiplying, key=multiplying.get)
    print(f"\nProducts of matrices, mostly in {kind}: {rate:.1f} G/s of one core over the whole time, ", end="")
    print(f"{rate / sum(multiplying.values()):.1f} G/s in the {sum(multiplying.values()):.0%} of it that multiply.")
    for extension, per_cycle in PRODUCTS_PER_CYCLE[kind].items():
        if extension in flags:
            print(f"With {extension} a core could do {per_cycle * clock:.0f} G/s: {rate / (per_cycle * clock):.0%} are reached.")
    print(json.dumps({"bench": "embed_limits", "seconds": median, "against_one_core": ratio, "operators": spent.most_common(8)}))


if __name__ == "__main__":
    main()
