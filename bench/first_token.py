#!/usr/bin/env python3
"""The first word of an answer on a stream of questions, beside llama-cpp-python that reads whole passages and keeps what prompts share.

    bench/first_token.py [--take 200] [--passages 5] [--model qwen2.5-coder-1.5b-instruct-q4_k_m]

Questions of squad2_dev, drawn with seed 1 and asked in the order of their file, so that many follow one another about the same article.
sidenote is asked over HTTP as a client asks, finding the passages included; the question is given up at its first draft word. The peer gets the
passages that sidenote's search finds, whole, in a plain prompt, with the same GGUF, as many threads and flash attention; its time is that
of the prompt alone, of which it evaluates what differs from the prompt before. Which side goes first changes from question to question.

At the end it is counted how many tokens of whole passages would have been new to a cache that forgets nothing, were they read in the
order of their ranks, in that of their documents, or with those first that the longest known beginning has.

Wants `sidenote` built, its models, SIDENOTE_EVALDATA, and llama-cpp-python (`bench/run.sh first_token` sees to it).
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import llama_cpp

from support.peer import first_token, peer
from support.program import ingest, public_set, rows, serving

PROMPT = "Answer the question from the passages, with the number of the passage in brackets.\n\n{passages}\n\nQuestion: {question}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=int, default=200)
    parser.add_argument("--passages", type=int, default=5)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct-q4_k_m")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    os.environ.update(SIDENOTE_MODELS_GENERATOR=arguments.model, SIDENOTE_LLM_THREADS=str(arguments.threads))
    other = peer(arguments.model, arguments.threads, 4096)
    ours, theirs, reused, asked = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        write_documents(files)
        ingest(Path(folder, "data"), files)
        with serving(Path(folder, "data")) as client:
            first_word(client, "What is this about?")
            for turn, question in enumerate(questions(arguments.take)):
                _, found = client.post("/api/v1/search", {"query": question, "limit": arguments.passages})
                hits = found["hits"]
                asked.append([(hit["chunk"], len(other.tokenize(hit["text"].encode(), add_bos=False))) for hit in hits])
                for side in ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours"):
                    if side == "ours":
                        ours.append(first_word(client, question))
                    else:
                        passages = "\n".join(f"[{place}] {hit['text']}" for place, hit in enumerate(hits, 1))
                        took, tokens, known = first_token(other, PROMPT.format(passages=passages, question=question))
                        theirs.append(took)
                        reused.append(known / tokens)
                if turn % 10 == 9:
                    print(f"{turn + 1}: {statistics.mean(ours):.0f} / {statistics.mean(theirs):.0f} ms", file=sys.stderr, flush=True)
    print(f"{len(ours)} questions, {arguments.model}, {arguments.threads} threads")
    print("| | first word, mean | median | tokens known from before |\n|---|---|---|---|")
    print(f"| sidenote, finding the passages included | {statistics.mean(ours):.0f} ms | {statistics.median(ours):.0f} ms | |")
    print(f"| llama-cpp-python {llama_cpp.__version__}, {arguments.passages} whole passages | {statistics.mean(theirs):.0f} ms "
          f"| {statistics.median(theirs):.0f} ms | {statistics.mean(reused):.2f} |")
    print(f"ratio of the means {statistics.mean(theirs) / statistics.mean(ours):.2f}")
    print("\n| whole passages in order of | tokens | of these new | questions with fewer than 150 new |\n|---|---|---|---|")
    for name, order in (("rank", by_rank), ("document", by_document), ("what is known", known_first)):
        tokens, new = new_tokens(asked, order)
        print(f"| {name} | {statistics.mean(tokens):.0f} | {statistics.mean(new):.0f} | {sum(count < 150 for count in new)} |")


def write_documents(folder):
    folder.mkdir()
    for row in rows(public_set("squad2_dev") / "corpus.jsonl"):
        name = "".join(letter if letter.isalnum() else "-" for letter in row["_id"])
        (folder / f"{name}.md").write_text(f"# {row['title']}\n\n{row['text']}\n", encoding="utf-8")


def questions(take):
    asked = rows(public_set("squad2_dev") / "queries.jsonl")
    return [asked[place]["text"] for place in sorted(random.Random(1).sample(range(len(asked)), take))]


def first_word(client, question):
    """Milliseconds until the first draft word comes; then the question is given up."""
    asker = client.again()
    begun = time.perf_counter()
    for line in asker.send("/api/v1/ask", {"question": question, "stream": True}):
        if line.startswith((b"event: token", b"event: final", b"event:token", b"event:final")):
            break
    took = (time.perf_counter() - begun) * 1e3
    asker.connection.close()
    # The generation is stopped between two tokens; the next measurement waits for that.
    time.sleep(0.5)
    return took


def by_rank(passages, _):
    return passages


def by_document(passages, _):
    return sorted(passages)


def known_first(passages, known):
    """The longest beginning that was read before, and the others behind it."""
    best, open_ones = (), [()]
    while open_ones:
        begun = open_ones.pop()
        best = max(best, begun, key=len)
        open_ones += [begun + (passage,) for passage in passages if passage not in begun and begun + (passage,) in known]
    return list(best) + [passage for passage in passages if passage not in best]


def new_tokens(asked, order):
    """Tokens of each question's passages, and how many a cache that forgets nothing has not seen behind the same ones."""
    known, tokens, new = set(), [], []
    for found in asked:
        counts = dict(found)
        passages = order([passage for passage, _ in found], known)
        beginnings = [tuple(passages[: end + 1]) for end in range(len(passages))]
        shared = sum(beginning in known for beginning in beginnings)
        known.update(beginnings)
        tokens.append(sum(counts.values()))
        new.append(sum(counts[passage] for passage in passages[shared:]))
    return tokens, new


main()
