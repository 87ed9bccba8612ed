#!/usr/bin/env python3
"""What is left of the answers where every document is there in five versions.

    bench/versions.py [--set squad2_dev] [--take 100] [--versions 5]

The same questions over a public set as it is and with older versions of each of its documents beside it ("Title v1", "Title v2"), each
without another one of its sentences. How often the language model reads an accepted answer, and how often what is shown is right, should
not fall.

Wants `sidenote` built, its models and SIDENOTE_EVALDATA. The generator is the configured one; what is read does not depend on it.
"""

import argparse
import json
import re
import tempfile
from pathlib import Path

from support.program import evaluated, public_set, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="squad2_dev")
    parser.add_argument("--take", default="100")
    parser.add_argument("--versions", type=int, default=5)
    arguments = parser.parse_args()
    source = public_set(arguments.set)
    documents = rows(source / "corpus.jsonl")
    print(f"| {arguments.set}, versions of each document | questions | answer read | right | ms a question |\n|---|---|---|---|---|", flush=True)
    for count in (1, arguments.versions):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "qrels.tsv").symlink_to(source / "qrels.tsv")
            lines = [json.dumps(version) + "\n" for document in documents for version in versions(document, count)]
            Path(folder, "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
            questions = (source / "queries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            answerable = [line for line in questions if json.loads(line)["answerable"]]
            Path(folder, "queries.jsonl").write_text("".join(answerable), encoding="utf-8")
            scores = evaluated("answers", folder, "--take", arguments.take, "--index", Path(folder, "index"))
            print(f"| {count} | {scores['answerable']['questions']} | {scores['answerable']['read']:.2f} "
                  f"| {scores['answerable']['right']:.2f} | {scores['timings_ms']['total']:.0f} |", flush=True)


def versions(document, count):
    """The document, and older versions of it."""
    sentences = re.split(r"(?<=[.!?]) +", document["text"])
    yield document
    for number in range(1, count):
        left_out = number % len(sentences)
        text = " ".join(sentence for place, sentence in enumerate(sentences) if place != left_out)
        yield {"_id": f"{document['_id']}-v{number}", "title": f"{document['title']} v{number}", "text": text or document["text"]}


main()
