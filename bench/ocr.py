#!/usr/bin/env python3
"""Word recall of pages read by OCR, beside tesseract called by hand on the same pictures.

The PDF files of the parser corpus that have a text layer are drawn by poppler at 200 dpi, as a scanner would, and put into
files of pictures alone. Their text layer, read by poppler, is what the words are compared with. Files in scripts that
tesseract's English data does not know are left out.

    bench/ocr.py [--pages N]

wants `sidenote` built, its models, tesseract with English, pdftoppm and pdftotext, and SIDENOTE_EVALDATA.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from support.program import SIDENOTE, public_set

LEAST_WORDS = 50
# Letters outside of these make a file one of another script.
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, **options).stdout


def words(text):
    return Counter(re.findall(r"\w+", text.lower()))


def recall(reference, text):
    found = words(reference) & words(text)
    return found.total() / words(reference).total()


def file_of_pictures(pictures):
    """A PDF of JPEG pictures, one a page, as large as they are at 200 dpi."""
    objects = []
    for at, picture in enumerate(pictures):
        data = picture.read_bytes()
        width, height = size_of_jpeg(data)
        w, h = width * 72 / 200, height * 72 / 200
        drawing = f"q {w:.2f} 0 0 {h:.2f} 0 0 cm /I Do Q".encode()
        page = 3 + 3 * at
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {w:.2f} {h:.2f}] /Contents {page + 1} 0 R "
            f"/Resources << /XObject << /I {page + 2} 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
            b"/Filter /DCTDecode /Length %d >>\nstream\n%s\nendstream" % (width, height, len(data), data),
        ]
    kids = " ".join(f"{3 + 3 * at} 0 R" for at in range(len(pictures)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pictures)} >>".encode(),
    ] + objects
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def size_of_jpeg(data):
    at = 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xC2:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pages", type=int, default=3, help="most pages of a file (default 3)")
    most_pages = arguments.parse_args().pages
    corpus = public_set("parser_corpus")
    references, by_hand, hand_seconds, pages = {}, {}, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "files").mkdir()
        for line in (corpus / "manifest.jsonl").open():
            entry = json.loads(line)
            if entry["format"] != "pdf" or entry["behaviour"] != "parse":
                continue
            source, name = corpus / entry["file"], Path(entry["file"]).name
            reference = run("pdftotext", "-l", most_pages, source, "-").decode(errors="replace")
            letters = [c for c in reference if c.isalpha()]
            if words(reference).total() < LEAST_WORDS or sum(map(bool, map(LATIN.match, letters))) < 0.9 * len(letters):
                continue
            run("pdftoppm", "-r", 200, "-gray", "-jpeg", "-l", most_pages, source, folder / "page")
            pictures = sorted(folder.glob("page-*.jpg"))
            begun = time.monotonic()
            environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
            texts = [run("tesseract", picture, "-", "--psm", "1", "--dpi", 200, env=environment) for picture in pictures]
            hand_seconds += time.monotonic() - begun
            pages += len(pictures)
            references[name], by_hand[name] = reference, b"\n".join(texts).decode(errors="replace")
            (folder / "files" / name).write_bytes(file_of_pictures(pictures))
            for picture in pictures:
                picture.unlink()
        sidenote = [SIDENOTE, "--data", folder / "data", "-q"]
        begun = time.monotonic()
        run(*sidenote, "ingest", folder / "files")
        seconds = time.monotonic() - begun
        exported = [json.loads(line) for line in run(*sidenote, "export").splitlines()]
    read = {Path(entry["document"]["path"]).name: entry["text"] for entry in exported}
    rows = [(recall(reference, read.get(name, "")), recall(reference, by_hand[name]), name) for name, reference in references.items()]
    for ours, theirs, name in sorted(rows):
        print(f"{ours:.3f}  {theirs:.3f}  {name}")
    mean = [sum(column) / len(rows) for column in list(zip(*rows))[:2]]
    print(f"{len(rows)} files, {pages} pages: word recall {mean[0]:.3f}, tesseract by hand {mean[1]:.3f}")
    print(f"{seconds / pages:.1f} s a page with all of the ingest, tesseract by hand {hand_seconds / pages:.1f} s")


if __name__ == "__main__":
    main()
