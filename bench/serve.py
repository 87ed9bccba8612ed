#!/usr/bin/env python3
"""What HTTP adds to a search, and how searches fare while a question is answered.

    python3 bench/serve.py [--data DIR] [--searches N] [--queries FILE]

Starts `sidenote serve` on a data folder (default: the corpus, ingested into a temporary one) and sends searches over one
connection that is kept, the queries of a file with one a line or a few of its own. What HTTP adds is the time the client waits less the
time the engine says it took, search by search; what the engine took is shown by stages. Then twenty searches a second are sent while one question after the other is answered.
"""
import argparse
import statistics
import tempfile
import threading
import time

from support.program import ROOT, ingest, serving

QUERIES = ["travel expenses", "rent of the depot", "who approves an invoice", "pump curve TR-65", "fault code E07"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a data folder that holds documents")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--queries", type=argparse.FileType(encoding="utf-8"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or folder + "/data"
        if not arguments.data:
            ingest(data, ROOT / "corpus")
        with serving(data) as client:
            queries = [line.strip() for line in arguments.queries or QUERIES if line.strip()]
            measure(client, arguments.searches, queries)


def measure(client, searches, queries):
    for mode in ["lexical", "hybrid"]:
        added, whole, stages = [], [], {}
        for turn in range(searches + 20):
            waited, report = client.post("/api/v1/search", {"query": queries[turn % len(queries)], "mode": mode})
            if turn >= 20:
                added.append(waited - report["timings_ms"]["total"])
                whole.append(waited)
                for stage, took in report["timings_ms"].items():
                    stages.setdefault(stage, []).append(took or 0)
        print(f"{mode}: HTTP adds {statistics.median(added):.2f} ms at the median, {quantile(added, .99):.2f} ms at p99; "
              f"a search takes {statistics.median(whole):.1f} ms, {quantile(whole, .99):.1f} ms at p99")
        print("    of that, at the median: " + ", ".join(f"{stage} {statistics.median(took):.2f}" for stage, took in stages.items()))
    print("beside one question at a time, twenty searches a second, lexical: p50 %.1f ms, p99 %.1f ms" % beside_questions(client))


def beside_questions(client):
    done = threading.Event()

    def ask():
        asker = client.again()
        while not done.is_set():
            asker.post("/api/v1/ask", {"question": "Who approves travel expenses?"})

    client.again().post("/api/v1/ask", {"question": "Who approves travel expenses?"})
    asker = threading.Thread(target=ask)
    asker.start()
    waits, begun = [], time.perf_counter()
    for turn in range(200):
        time.sleep(max(0.0, begun + turn / 20 - time.perf_counter()))
        waits.append(client.post("/api/v1/search", {"query": QUERIES[turn % len(QUERIES)], "mode": "lexical"})[0])
    done.set()
    asker.join()
    return statistics.median(waits), quantile(waits, .99)


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
