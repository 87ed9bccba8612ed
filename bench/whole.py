#!/usr/bin/env python3
"""Questions about one document: read whole and kept, beside what of it speaks of the question, and beside llama-cpp-python.

    bench/whole.py [--documents 8] [--questions 3] [--model qwen2.5-coder-1.5b-instruct-q4_k_m]

The golden questions that one document of corpus/ answers, by document, those with most questions first. Each is asked over HTTP with one
draft: with `"whole": true`, where the first question about a document finds nothing and the others what the first one left; again
after a restart of the server; and without, as usual. The prefill is that of the answer's prompt as the server gives it; the first word
counts from the request. The peer reads the same document whole, in a prompt of its own with the same GGUF, as many threads and flash
attention, and keeps what a prompt shares with the one before. Right means that an accepted answer is in what is shown.

Wants `sidenote` built, its models, and llama-cpp-python (`bench/run.sh whole` sees to it).
"""

import argparse
import os
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from support.peer import first_token, peer
from support.program import ROOT, ingest, rows, serving

CORPUS = ROOT / "corpus"
PROMPT = "Answer the question from the document.\n\n{document}\n\nQuestion: {question}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--questions", type=int, default=3)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    os.environ |= {"SIDENOTE_MODELS_GENERATOR": arguments.model, "SIDENOTE_ANSWER_DRAFTS": "1"}
    asked = by_document(arguments.documents, arguments.questions)
    ways = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        ingest(data, CORPUS)
        with serving(data) as client:
            client.post("/api/v1/ask", {"question": "Who is who?"})
            for path, questions in asked:
                for place, question in enumerate(questions):
                    ways["whole, first question" if place == 0 else "whole, next question"].append(ask(client, path, question, True))
                    ways["what speaks of it"].append(ask(client, path, question, False))
        with serving(data) as client:
            client.post("/api/v1/ask", {"question": "Who is who?"})
            for path, questions in asked:
                ways["whole, after a restart"].append(ask(client, path, questions[-1], True))
    other = peer(arguments.model, threads, 8192)
    for path, questions in asked:
        text = path.read_text(encoding="utf-8")
        for place, question in enumerate(questions):
            way = "llama-cpp-python, first question" if place == 0 else "llama-cpp-python, next question"
            took, tokens, known = first_token(other, PROMPT.format(document=text, question=question["question"]))
            ways[way].append({"tokens": tokens, "new": tokens - known, "prefill": took, "first": took})
    count = sum(len(questions) for _, questions in asked)
    print(f"{len(asked)} documents, {count} questions, {arguments.model}, {threads} threads")
    print("| way | questions | tokens, mean | of these new | prefill, mean | first word, mean | right |\n|---|---|---|---|---|---|---|")
    for way, answers in ways.items():
        mean = {key: statistics.mean(answer[key] for answer in answers) for key in ("tokens", "new", "prefill", "first")}
        right = f"{sum(answer['right'] for answer in answers)}" if "right" in answers[0] else ""
        print(f"| {way} | {len(answers)} | {mean['tokens']:.0f} | {mean['new']:.0f} | {mean['prefill']:.0f} ms | {mean['first']:.0f} ms | {right} |")
    cold = statistics.mean(answer["prefill"] for answer in ways["whole, first question"])
    for way in ("whole, next question", "whole, after a restart"):
        print(f"prefill of the first question / {way}: {cold / statistics.mean(answer['prefill'] for answer in ways[way]):.1f}")


def by_document(documents, questions):
    found = defaultdict(list)
    for row in rows(ROOT / "tests/eval/golden.jsonl"):
        paths = {evidence["document"] for evidence in row.get("evidence", [])}
        if len(paths) == 1 and row["answerable"]:
            path = CORPUS / paths.pop()
            if path.suffix in (".md", ".txt"):
                found[path].append(row)
    most = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:documents]
    return [(path, rows[:questions]) for path, rows in most]


def ask(client, path, question, whole):
    body = {"question": question["question"], "whole": whole, "filter": {"under": str(path)}}
    _, answer = client.post("/api/v1/ask", body)
    shown = answer["answer"].lower() + " ".join(note["quote"].lower() for note in answer["citations"])
    return {
        "tokens": answer["tokens"]["prompt"],
        "new": answer["tokens"]["prompt"] - answer["tokens"]["reused"],
        "prefill": answer["timings_ms"]["prefill"],
        "first": answer["timings_ms"]["first_token"],
        "right": any(accepted.lower() in shown for accepted in question["answers"] if isinstance(accepted, str)),
    }


main()
