#!/usr/bin/env python3
"""Check the golden questions against the corpus.

    python3 tests/eval/check_golden.py                  check, print a summary, exit 1 on a problem
    python3 tests/eval/check_golden.py --write-offsets  find each quote and write its exact text and offsets

Needs the standard library, and pdftotext for the PDFs; without it their quotes
are counted as not checked.
"""

import collections
import html.parser
import json
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent.parent / "corpus"
GOLDEN = HERE / "golden.jsonl"

KINDS = {"fact": 25, "number": 20, "name": 12, "two_documents": 8, "newer_version": 8, "unanswerable": 24}
PLAIN = {".md", ".txt"}
FIELDS = {"id", "kind", "question", "answerable", "answers", "answers_all", "evidence"}


def main():
    if sys.argv[1:] == ["--write-offsets"]:
        write_offsets()
        return
    problems, skipped = [], 0
    questions = read_golden()
    seen_ids, seen_questions = set(), set()
    for number, question in enumerate(questions, 1):
        here = []
        if question.get("id") != f"g{number:03}":
            here.append(f"expected id g{number:03}")
        if question["id"] in seen_ids or question["question"] in seen_questions:
            here.append("id or question appears twice")
        seen_ids.add(question["id"])
        seen_questions.add(question["question"])
        here += shape_problems(question)
        for evidence in question["evidence"]:
            problem = evidence_problem(evidence)
            if problem == "not checked":
                skipped += 1
            elif problem:
                here.append(problem)
        here += answer_problems(question)
        problems += [f"{question['id']}: {p}" for p in here]

    counts = collections.Counter(q["kind"] for q in questions)
    for kind, least in KINDS.items():
        if counts[kind] < least:
            problems.append(f"{counts[kind]} questions of kind {kind}, wanted at least {least}")
    cited = {e["document"] for q in questions for e in q["evidence"]}
    documents = sorted(str(p.relative_to(CORPUS)) for p in CORPUS.rglob("*") if p.is_file())
    print(f"{len(questions)} questions, {sum(q['answerable'] for q in questions)} answerable")
    for kind in KINDS:
        print(f"  {kind:14} {counts[kind]}")
    print(f"{len(documents)} documents, {len(cited)} of them hold evidence")
    print("  by format:", ", ".join(f"{n} {s}" for s, n in sorted(collections.Counter(Path(d).suffix for d in documents).items())))
    shares = [overlap(q) for q in questions if q["answerable"]]
    print(f"share of a question's content words found in its quotes: mean {sum(shares) / len(shares):.2f}")
    if skipped:
        print(f"SKIPPED: {skipped} quotes in PDFs, pdftotext is not installed")
    for problem in problems:
        print("PROBLEM", problem)
    sys.exit(1 if problems else 0)


def read_golden():
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines() if line.strip()]


def shape_problems(question):
    found = []
    if set(question) - FIELDS:
        found.append(f"unknown fields {sorted(set(question) - FIELDS)}")
    if question["kind"] not in KINDS:
        found.append(f"unknown kind {question['kind']}")
    if question["answerable"] != (question["kind"] != "unanswerable"):
        found.append("kind and answerable disagree")
    if question["answerable"]:
        if ("answers" in question) == ("answers_all" in question):
            found.append("wants exactly one of answers and answers_all")
        if not question["evidence"]:
            found.append("no evidence")
        if question["kind"] == "two_documents" and len({e["document"] for e in question["evidence"]}) != 2:
            found.append("wants evidence from two documents")
    elif question["evidence"] or question.get("answers") or question.get("answers_all"):
        found.append("an unanswerable question has neither answers nor evidence")
    return found


def evidence_problem(evidence):
    path = CORPUS / evidence["document"]
    name = evidence["document"]
    if not path.is_file():
        return f"{name} does not exist"
    quote = evidence["quote"]
    if path.suffix in PLAIN:
        content = path.read_bytes()
        if content[evidence["start"]:evidence["end"]] != quote.encode():
            return f"{name}: the quote does not stand at its offsets"
        if content.count(quote.encode()) != 1:
            return f"{name}: the quote stands there more than once"
        return None
    if evidence["start"] is not None or evidence["end"] is not None:
        return f"{name}: offsets are for Markdown and text only"
    pages = pages_of(path)
    if pages is None:
        return "not checked"
    hits = sum(page.count(fold(quote)) for page in pages)
    return None if hits == 1 else f"{name}: the quote stands there {hits} times: {quote!r}"


def answer_problems(question):
    if not question["answerable"]:
        return []
    quotes = [normalise(e["quote"]) for e in question["evidence"]]
    groups = question.get("answers_all") or [question["answers"]]
    found = []
    for group in groups:
        if not any(contains(quote, normalise(answer)) for quote in quotes for answer in group):
            found.append(f"no quote holds any of {group}")
        # An answer that the question itself holds could be met by echoing it.
        if any(contains(normalise(question["question"]), normalise(answer)) for answer in group):
            found.append(f"the question holds one of {group}")
        if len({normalise(a) for a in group}) != len(group):
            found.append(f"{group} holds the same answer twice")
    return found


def normalise(text):
    """Lower case, no punctuation, no articles, white space folded, as in judge.rs.

    Inside a number a comma vanishes (1,240 is 1240) and a point stays (4.5).
    """
    text = re.sub(r"(?<=[0-9]),(?=[0-9])", "", text.lower())
    text = re.sub(r"(?<![0-9])\.|\.(?![0-9])", " ", text)
    text = "".join(c if c.isalnum() or c == "." else " " for c in text)
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


def contains(text, part):
    return f" {part} " in f" {text} "


def fold(text):
    """Fold white space and line-end hyphens away, for text that was laid out on a page."""
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
    return re.sub(r"[\s-]+", "", text)


_pages = {}


def pages_of(path):
    """The folded text of each page; a HTML document is one page. None without pdftotext."""
    if path not in _pages:
        if path.suffix == ".html":
            reader = PlainText()
            reader.feed(path.read_text(encoding="utf-8"))
            _pages[path] = [fold(" ".join(reader.parts))]
        elif shutil.which("pdftotext") is None:
            return None
        else:
            done = subprocess.run(["pdftotext", "-enc", "UTF-8", str(path), "-"], check=True, capture_output=True)
            _pages[path] = [fold(page) for page in done.stdout.decode().split("\f")]
    return _pages[path]


class PlainText(html.parser.HTMLParser):
    """Collects the text that a reader sees."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


STOP = set("what which who whom whose when where why how much many does do did is are was were be been have has had i we "
           "you my our your it its of in on at to for from by with and or if as not no may can must should long that this "
           "there one per up".split())


def overlap(question):
    words = [w for w in normalise(question["question"]).split() if w not in STOP]
    quote = set(" ".join(normalise(e["quote"]) for e in question["evidence"]).split())
    return sum(w in quote for w in words) / max(len(words), 1)


def write_offsets():
    lines = []
    for question in read_golden():
        for evidence in question["evidence"]:
            path = CORPUS / evidence["document"]
            evidence["start"] = evidence["end"] = None
            if path.suffix in PLAIN:
                content = path.read_bytes().decode()
                pattern = r"\s+".join(re.escape(word) for word in evidence["quote"].split())
                hits = list(re.finditer(pattern, content))
                if len(hits) != 1:
                    sys.exit(f"{question['id']}: {len(hits)} places for {evidence['quote']!r} in {evidence['document']}")
                evidence["quote"] = hits[0].group()
                evidence["start"] = len(content[:hits[0].start()].encode())
                evidence["end"] = len(content[:hits[0].end()].encode())
        lines.append(json.dumps(question, ensure_ascii=False))
    GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
