#!/usr/bin/env python3
"""What a KV cache of q8_0 costs and saves beside one of f16.

    bench/kv_types.py [--model qwen2.5-coder-1.5b-instruct-q4_k_m] [--questions 40]

Questions of squad2_dev, each behind its own paragraph: how likely the model finds the accepted answer, how often it writes the same text,
and, behind a thousand tokens of paragraphs, how long it reads and writes. Memory is that of the process with a context of 8,192 tokens,
after a prompt of a thousand. Wants the example `generate` built, the models and SIDENOTE_EVALDATA.
"""

import argparse
import json
import os
import random
import statistics

from support.generator import Generator
from support.program import SIDENOTE, public_set

GENERATE = SIDENOTE.parent / "examples/generate"
ASK = "Answer with the shortest exact phrase from the text.\n\n{text}\n\nQuestion: {question}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--questions", type=int, default=40)
    arguments = parser.parse_args()
    asked = draw(arguments.questions)
    long = "\n\n".join(text for text, _, _ in asked[:8])[:4500]
    sides = {"f16": load(arguments.model), "q8_0": load(arguments.model, "--q8")}
    found = {name: {"likely": [], "text": [], "read": [], "write": []} for name in sides}
    for turn, (text, question, answer) in enumerate(asked):
        prompt = ASK.format(text=text, question=question)
        # In turn, so that what else the machine does falls on both.
        for name, generator in sorted(sides.items(), reverse=turn % 2 == 1):
            scored = generator.ask(prompt=prompt, continuation=answer, max_tokens=0)
            found[name]["likely"].append(scored["logprob"][0] / scored["tokens"])
            found[name]["text"].append(generator.ask(prompt=prompt, max_tokens=24)["text"])
            if turn < 5:
                timed = generator.ask(prompt=f"{turn} {long}", max_tokens=32)
                found[name]["read"].append(timed["tokens_prompt"] / timed["prefill_ms"] * 1e3)
                found[name]["write"].append(timed["tokens_generated"] / max(timed["decode_ms"], 1e-9) * 1e3)
    same = sum(one == other for one, other in zip(found["f16"]["text"], found["q8_0"]["text"]))
    print(f"{arguments.model}, {len(asked)} questions, {same} answered with the same text")
    print("| KV cache | log-probability of a token of the accepted answer | tokens read a second | written a second | memory, MiB |\n|---|---|---|---|---|")
    for name, generator in sides.items():
        one = found[name]
        print(f"| {name} | {statistics.mean(one['likely']):.4f} | {statistics.median(one['read']):.0f} "
              f"| {statistics.median(one['write']):.1f} | {memory_mib(generator)} |")
        generator.close()


def draw(count):
    source = public_set("squad2_dev")
    texts = {row["_id"]: row["text"] for row in map(json.loads, open(source / "corpus.jsonl", encoding="utf-8"))}
    of_question = dict(line.split("\t")[:2] for line in open(source / "qrels.tsv", encoding="utf-8"))
    questions = [row for row in map(json.loads, open(source / "queries.jsonl", encoding="utf-8")) if row["answerable"]]
    drawn = random.Random(1).sample(questions, count)
    return [(texts[of_question[row["_id"]]], row["text"], row["answers"][0]) for row in drawn]


def load(model, *options):
    return Generator(GENERATE, model, "--context", 8192, "--threads", os.cpu_count(), *options)


def memory_mib(generator):
    with open(f"/proc/{generator.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


main()
