#!/usr/bin/env python3
"""How much of what answers a question is in the first five passages, and how much else, beside fixed windows.

    bench/chunking.py [--take N]

The set is Chroma's chunking evaluation (Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", 2024): five long
documents, and questions with the ranges of text that answer each. Token recall is the share of these ranges' tokens that
the passages hold, token precision the share of the passages' tokens that are in the ranges, both averaged over the
questions. The peer is the same program on the same documents cut into windows of 256 tokens beforehand, each a file of its own:
what differs is where passages begin and end.

Wants `sidenote` built, its models, SIDENOTE_EVALDATA, and the Python package `tokenizers` (`bench/run.sh chunking` sees to it).
"""

import argparse
import random
import tempfile
from pathlib import Path

from tokenizers import Tokenizer

from support.program import EMBEDDER, ingest, public_set, rows, serving

PASSAGES = 5
WINDOW = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=int, default=472, help="questions, drawn at random (default: all 472)")
    options = parser.parse_args()
    source = public_set("chunking_eval")
    documents = {row["_id"]: row["text"] for row in rows(source / "corpus.jsonl")}
    queries = random.Random(1).sample(rows(source / "queries.jsonl"), options.take)
    home = {query: document for query, document, _ in map(str.split, (source / "qrels.tsv").read_text().splitlines()[1:])}
    tokenizer = Tokenizer.from_file(str(EMBEDDER / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokens = {name: tokenizer.encode(text, add_special_tokens=False).offsets for name, text in documents.items()}
    print(f"| {len(queries)} questions, {PASSAGES} passages | token recall | token precision | tokens |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, cut in (("as sidenote cuts", whole), (f"windows of {WINDOW} tokens", windows)):
            files = Path(folder, name.split()[0])
            for path, text in cut(documents, tokens):
                (files / path).parent.mkdir(parents=True, exist_ok=True)
                (files / path).write_bytes(text.encode())
            data = Path(folder, "data-" + name.split()[0])
            ingest(data, files)
            with serving(data) as client:
                measured = [measure(client, query, home[query["_id"]], documents, tokens) for query in queries]
            recall, precision, held = (sum(column) / len(queries) for column in zip(*measured))
            print(f"| {name} | {recall:.3f} | {precision:.3f} | {held:.0f} |", flush=True)


def whole(documents, _tokens):
    for name, text in documents.items():
        yield f"{name}.txt", text


def windows(documents, tokens):
    """Each named by its document and by the byte that it begins at."""
    for name, text in documents.items():
        for first in range(0, len(tokens[name]), WINDOW):
            some = tokens[name][first : first + WINDOW]
            start, end = some[0][0], some[-1][1]
            yield f"{name}/{len(text[:start].encode())}.txt", text[start:end]


def measure(client, query, home, documents, tokens):
    """Recall, precision and tokens of the passages found for a question."""
    _, report = client.post("/api/v1/search", {"query": query["text"], "limit": 4 * PASSAGES})
    found = []
    for hit in report["hits"]:
        path = Path(hit["document"]["path"])
        if path.parent.name in documents:
            # A window is found whole, whatever was found of it.
            begin = int(path.stem)
            place = (path.parent.name, begin, begin + path.stat().st_size)
        else:
            place = (path.stem, hit["span"]["start"], hit["span"]["end"])
        if place not in found:
            found.append(place)
    retrieved = {piece for name, start, end in found[:PASSAGES] for piece in pieces(documents, tokens, name, start, end)}
    wanted = set()
    for reference in query["metadata"]["references"]:
        text = documents[home]
        start, end = (len(text[: reference[key]].encode()) for key in ("start_index", "end_index"))
        wanted.update(pieces(documents, tokens, home, start, end))
    both = len(wanted & retrieved)
    return both / len(wanted), both / max(len(retrieved), 1), len(retrieved)


def pieces(documents, tokens, name, start, end):
    """The tokens that lie in a range of bytes."""
    encoded = documents[name].encode()
    start, end = len(encoded[:start].decode()), len(encoded[:end].decode())
    return ((name, place) for place, (begin, stop) in enumerate(tokens[name]) if begin >= start and stop <= end)


main()
