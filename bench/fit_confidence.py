#!/usr/bin/env python3
"""Fit the weights of crates/sidenote/src/confidence.rs to what `sidenote eval answers --keep FILE` has kept.

    python3 bench/fit_confidence.py public.jsonl [--report golden.jsonl] [--quotes]

The files come from runs with SIDENOTE_ANSWER_MIN_CONFIDENCE=0, so that every question has an answer to judge; with --quotes from
runs with SIDENOTE_ANSWER_MODE=extract too, whose answers have fewer signals (`bench/left_out.py --keep FILE` makes such a one).

Logistic regression with some ridge, by Newton's method; the label of a line is whether its answer was right. Lines without
signals (nothing was found, or the model refused) are left out: they are never answered. Prints weights for the Rust file, and
for each threshold what would have been answered, on the lines fitted and on the lines of --report.
"""
import json
import math
import sys

QUOTES = "--quotes" in sys.argv
NAMES = ["evidence", "quote_cosine"]
if not QUOTES:
    NAMES += ["question_held", "names_held", "answer_held", "mean_logprob", "first_logprob", "verdict", "agreement"]


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--quotes"]
    report = arguments[arguments.index("--report") + 1] if "--report" in arguments else None
    fitted = read(arguments[0])
    rows = [(features(line), line["right"]) for line in fitted if usable(line)]
    weights = fit(rows)
    print("const BIAS: f32 = %.3f;" % weights[0])
    print("const WEIGHTS: Signals = Signals {")
    for name, weight in zip(NAMES, weights[1:]):
        print("    %s: %.3f," % (name, weight))
    print("};")
    curve("fitted", fitted, weights)
    if report:
        curve("report", read(report), weights)


def read(path):
    with open(path, encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines if line.strip()]
    # The first line says what the others were made with.
    return [line | {"right": line["right"] is True} for line in kept if "id" in line]


def usable(line):
    # Where no sentence of the draft is carried, nothing is shown whatever the confidence.
    return line["signals"] is not None and (QUOTES or line["signals"]["answer_held"] > 0)


def features(line):
    signals = line["signals"]
    clamp = {"mean_logprob": (-4, 0), "first_logprob": (-4, 0), "verdict": (-8, 8)}
    values = [1.0]
    for name in NAMES:
        low, high = clamp.get(name, (-9, 9))
        values.append(min(max(signals[name], low), high))
    return values


def sigmoid(x):
    return 1 / (1 + math.exp(-max(min(x, 40), -40)))


def fit(rows, ridge=3.0):
    size = len(rows[0][0])
    weights = [0.0] * size
    for _ in range(30):
        gradient = [0.0] * size
        hessian = [[ridge * (i == j) * (i > 0) + 1e-9 * (i == j) for j in range(size)] for i in range(size)]
        for values, label in rows:
            p = sigmoid(sum(w * v for w, v in zip(weights, values)))
            for i in range(size):
                gradient[i] += (label - p) * values[i]
                for j in range(size):
                    hessian[i][j] += p * (1 - p) * values[i] * values[j]
        for i in range(1, size):
            gradient[i] -= ridge * weights[i]
        weights = [w + s for w, s in zip(weights, solve(hessian, gradient))]
    return weights


def solve(matrix, vector):
    rows = [row[:] + [value] for row, value in zip(matrix, vector)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(len(rows)):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def curve(name, lines, weights):
    yes = [line for line in lines if line["answerable"]]
    no = [line for line in lines if not line["answerable"]]
    print(f"\n{name}: {len(yes)} answerable, {len(no)} not")
    print("threshold  right of answerable  wrong shown  wrongly refused  refused of unanswerable")
    for step in range(0, 20):
        threshold = step / 20
        shown = lambda line: usable(line) and sigmoid(sum(w * v for w, v in zip(weights, features(line)))) >= threshold
        right = sum(shown(line) and line["right"] for line in yes)
        wrong = sum(shown(line) and not line["right"] for line in yes)
        refused = sum(not shown(line) for line in no)
        print("%9.2f  %19.3f  %11.3f  %15.3f  %23.3f" % (
            threshold, right / max(len(yes), 1), wrong / max(len(yes), 1),
            1 - (right + wrong) / max(len(yes), 1), refused / max(len(no), 1)))


if __name__ == "__main__":
    main()
