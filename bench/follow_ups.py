#!/usr/bin/env python3
"""What the questions before it do for a question of a conversation, if its words are searched with theirs.

    bench/follow_ups.py

The set is MTRAG, conversations that people had about documents (Katsis et al., "MTRAG: A Multi-Turn Conversational Benchmark",
2025), in the BEIR layout: every turn but the first that the documents answer is searched by the default of the program without
its reranker, as it was asked and behind earlier questions. It shows why only a question that names too little by itself is put
in other words (crates/sidenote/src/follow_up.rs).

Wants `sidenote` built, its models and SIDENOTE_EVALDATA.
"""

import json
import os
import tempfile
from pathlib import Path

from support.program import evaluated, public_set, rows

WAYS = {
    "as asked": lambda before: [],
    "behind the question before": lambda before: before[-1:],
    "behind the two before": lambda before: before[-2:],
    "behind the first of the conversation": lambda before: before[:1],
}


def main():
    os.environ["SIDENOTE_SEARCH_RERANK_DEPTH"] = "0"
    source = public_set("mtrag_human159")
    questions = rows(source / "queries.jsonl")
    questions = [question for question in questions if question["answerable"] and question["metadata"]["history"]]
    print(f"| {len(questions)} questions | nDCG@10 by words | by meaning | by both |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for file in ("corpus.jsonl", "qrels.tsv"):
            Path(folder, file).symlink_to(source / file)
        for name, said in WAYS.items():
            texts = {question["_id"]: " ".join([*said(asked_before(question)), question["text"]]) for question in questions}
            queries = "".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items())
            Path(folder, "queries.jsonl").write_text(queries)
            report = evaluated("retrieval", folder, "--index", Path(folder, "index"))
            scores = [f"{report[leg]['ndcg@10']:.3f}" for leg in ("lexical", "dense", "fused")]
            print(f"| {name} | {' | '.join(scores)} |", flush=True)


def asked_before(question):
    return [turn["text"].strip() for turn in question["metadata"]["history"] if turn["role"] == "user"]


main()
