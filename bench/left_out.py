#!/usr/bin/env python3
"""Questions about what the documents do not speak of: articles of squad2_dev are left out of the index, and their questions asked.

    bench/left_out.py [--articles 12] [--take 500] [--keep FILE]

As many questions about the other articles are asked beside them, all answerable. Answers are those of the configured mode and model:
SIDENOTE_ANSWER_MODE=extract asks for quotes alone. With --keep the answers are kept for `fit_confidence.py`, and a run that was
interrupted goes on.

Wants `sidenote` built, its models and SIDENOTE_EVALDATA.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from support.program import evaluated, public_set, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=12)
    parser.add_argument("--take", type=int, default=500, help="questions of each kind, drawn at random")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder, "squad2_left_out"), arguments.articles, arguments.take)
        keep = ["--keep", arguments.keep] if arguments.keep else []
        scores = evaluated("answers", Path(folder, "squad2_left_out"), "--index", Path(folder, "index"), *keep)
    there, out = scores["answerable"], scores["unanswerable"]
    print("| model | questions about what is there | answered | right | questions about what is left out | refused |\n|---|---|---|---|---|---|")
    print(f"| {scores['model']} | {there['questions']} | {there['answered']:.3f} | {there['right']:.3f} | {out['questions']} | {out['refused']:.3f} |")


def write_set(folder, articles, take):
    """The set without some articles."""
    source, draw = public_set("squad2_dev"), random.Random(5)
    documents = rows(source / "corpus.jsonl")
    left_out = set(draw.sample(sorted({article_of(document["_id"]) for document in documents}), articles))
    asked = [query for query in rows(source / "queries.jsonl") if query["answerable"]]
    is_out = [query for query in asked if article_of(query["metadata"]["paragraph"]) in left_out]
    is_there = [query for query in asked if article_of(query["metadata"]["paragraph"]) not in left_out]
    is_out, is_there = draw.sample(is_out, take), draw.sample(is_there, take)
    queries = [{"_id": query["_id"], "text": query["text"], "answerable": False} for query in is_out] + is_there
    names = {query["_id"] for query in is_there}
    head, *judged = (source / "qrels.tsv").read_text(encoding="utf-8").splitlines()
    folder.mkdir()
    write(folder / "corpus.jsonl", [json.dumps(document) for document in documents if article_of(document["_id"]) not in left_out])
    write(folder / "queries.jsonl", [json.dumps(query) for query in queries])
    write(folder / "qrels.tsv", [head] + [line for line in judged if line.split("\t")[0] in names])


def article_of(paragraph):
    return paragraph.rsplit("#", 1)[0]


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


main()
