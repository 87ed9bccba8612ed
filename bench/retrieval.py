#!/usr/bin/env python3
"""nDCG@10 of words, meaning, fusion and the plain search on public sets, as a table for RESULTS.md.

    bench/retrieval.py [--take N] [SET...]

wants `sidenote` built, its models, and SIDENOTE_EVALDATA. The sets' indexes are kept in the cache and made once; the plain
search reads its best hits again, which takes a fraction of a second for each question.
"""

import argparse

from support.program import evaluated, public_set

# Which queries of a set; `None` means all.
SETS = {
    "scifact": None,
    "cranfield": None,
    "squad2_dev": "answerable=true",
    "codebase_chunks": None,
    "musique_100": None,
    "xquad": "lang=en",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=int, default=400, help="most questions of a set (default 400)")
    parser.add_argument("sets", nargs="*", metavar="SET", default=list(SETS))
    options = parser.parse_args()
    print("| set | questions | words | meaning | both | default, 95 % | recall@5 of default |")
    print("|---|---|---|---|---|---|---|")
    for name in options.sets:
        only = ["--only", SETS[name]] if SETS.get(name) else []
        report = evaluated("retrieval", public_set(name), "--take", options.take, *only)
        lexical, dense, fused, default = (report[way] for way in ("lexical", "dense", "fused", "default"))
        low, high = default["ndcg@10_interval"]
        cells = [name, str(report["queries"])]
        cells += [f"{scores['ndcg@10']:.3f}" for scores in (lexical, dense, fused)]
        cells += [f"{default['ndcg@10']:.3f} ({low:.3f} to {high:.3f})", f"{default['recall@5']:.3f}"]
        worse = [comparison["what"] for comparison in report["comparisons"] if not comparison["holds"]]
        print("| " + " | ".join(cells) + " |" + (f" worse: {', '.join(worse)}" if worse else ""), flush=True)


if __name__ == "__main__":
    main()
