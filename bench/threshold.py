#!/usr/bin/env python3
"""What a threshold of confidence costs and gives, chosen on one half of the articles and reported on the other.

    sidenote eval answers SET --take 640 --keep FILE
    bench/threshold.py FILE SET [--refused 0.10]

SET is a set like squad2_dev, whose documents belong to articles by their title and whose questions name their paragraph. Every other
article, by name, is for choosing: the highest threshold at which at most --refused of the questions that its articles answer are
refused. Both halves are reported at that threshold, and what is shown by default; token F1 and words are those of the short forms.
"""

import argparse
import statistics
from pathlib import Path

from support.program import rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kept", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("--refused", type=float, default=0.10)
    arguments = parser.parse_args()
    titles = {row["_id"]: row["title"] for row in rows(arguments.set / "corpus.jsonl")}
    article = {row["_id"]: titles[row["metadata"]["paragraph"]] for row in rows(arguments.set / "queries.jsonl")}
    for_choosing = set(sorted(set(titles.values()))[::2])
    halves = ([], [])
    # The first line says what it was made with.
    for row in rows(arguments.kept)[1:]:
        halves[article[row["id"]] not in for_choosing].append(row)
    steps = [step / 100 for step in range(100)]
    chosen = max(step for step in steps if measured(halves[0], step)["refused"] <= arguments.refused)
    print("| half of the articles, threshold | answerable | right | right of those answered | in short, F1 | in short, words | wrongly refused | others | refused |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, half in zip(("chosen on", "reported"), halves):
        for shown, threshold in (("default", 0.0), (f"{chosen:.2f}", chosen)):
            found = measured(half, threshold)
            print(f"| {name}, {shown} | {found['answerable']} | {found['right']:.3f} | {found['right_of_answered']:.3f} | {found['short_f1']:.3f} | {found['short_words']:.0f} | {found['refused']:.3f} "
                  f"| {found['others']} | {found['others_refused']:.3f} |")


def measured(half, threshold):
    """Of the questions that are answered with at least this confidence."""
    answerable = [row for row in half if row["answerable"]]
    others = [row for row in half if not row["answerable"]]
    answered = [row for row in answerable if row["answered"] and row["confidence"] >= threshold]
    right = sum(bool(row["right"]) for row in answered)
    short = [row["short"] for row in answered if row.get("short")]
    others_answered = sum(row["answered"] and row["confidence"] >= threshold for row in others)
    return {
        "answerable": len(answerable),
        "right": right / len(answerable),
        "right_of_answered": right / max(1, len(answered)),
        "short_f1": statistics.mean(form["f1"] for form in short) if short else float("nan"),
        "short_words": statistics.median(form["words"] for form in short) if short else float("nan"),
        "refused": 1 - len(answered) / len(answerable),
        "others": len(others),
        "others_refused": 1 - others_answered / len(others),
    }


main()
