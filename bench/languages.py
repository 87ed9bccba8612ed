#!/usr/bin/env python3
"""Recall of questions in a language among documents of that language, for all languages of XQuAD.

All paragraphs in all languages are in one index; a search is held to the language of its question by the filter, so a
paragraph whose language was detected wrongly counts as lost.

    bench/languages.py [--take N] [LANGUAGE...]

wants `sidenote` built, its models, and SIDENOTE_EVALDATA.
"""

import argparse
import tempfile
from pathlib import Path

from support.program import evaluated, public_set

LANGUAGES = ["ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=int, default=300, help="questions of each language (default 300)")
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", default=LANGUAGES)
    options = parser.parse_args()
    source = public_set("xquad")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "corpus.jsonl").symlink_to(source / "corpus_multilingual.jsonl")
        (folder / "queries.jsonl").symlink_to(source / "queries.jsonl")
        header, *rows = (source / "qrels.tsv").read_text().splitlines()
        # The same paragraph, in the question's language.
        judged = [f"{query}\t{query.split(':')[0]}:{document}\t{score}" for query, document, score in map(str.split, rows)]
        (folder / "qrels.tsv").write_text("\n".join([header, *judged, ""]))
        print(f"{'':4} {'recall@5':>8} {'lexical':>8} {'dense':>8} {'nDCG@10':>8}")
        for language in options.languages:
            held = ["--only", f"lang={language}", "--lang", language]
            report = evaluated("retrieval", folder, "--index", folder / "index", *held, "--take", options.take)
            recall = [report[way]["recall@5"] for way in ("default", "lexical", "dense")]
            cells = [*recall, report["default"]["ndcg@10"]]
            print(f"{language:4} " + " ".join(f"{cell:8.3f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
