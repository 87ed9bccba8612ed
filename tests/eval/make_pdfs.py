#!/usr/bin/env python3
"""Make the PDF documents of corpus/ from the texts in pdf_sources/.

    python3 -m venv .venv && .venv/bin/pip install reportlab==5.1.0 pyphen==0.18.1
    .venv/bin/python tests/eval/make_pdfs.py

The PDFs are committed, so nobody needs reportlab to run the tests. The same
source gives the same bytes: the date in the metadata is fixed and reportlab is
told to derive the file's identifier from its content.

A source file begins with `key: value` lines up to the first empty one, then
holds headings (#, ##, ###), paragraphs, lists and tables as in Markdown.
"""

import os
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

# reportlab reads this for the creation date; 1 October 2025, noon UTC.
os.environ["SOURCE_DATE_EPOCH"] = "1759320000"

from reportlab.lib import colors  # noqa: E402
from reportlab.lib.enums import TA_JUSTIFY  # noqa: E402
from reportlab.lib.pagesizes import A4, A5  # noqa: E402
from reportlab.lib.styles import ParagraphStyle  # noqa: E402
from reportlab.lib.units import mm  # noqa: E402
from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: E402
from reportlab.platypus import (  # noqa: E402
    BaseDocTemplate,
    Frame,
    ListFlowable,
    ListItem,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent.parent / "corpus"


def main():
    for source in sorted((HERE / "pdf_sources").glob("*.md")):
        head, blocks = read_source(source)
        target = CORPUS / head["output"]
        target.parent.mkdir(parents=True, exist_ok=True)
        pages = write_pdf(head, blocks, target)
        print(f"{target.relative_to(CORPUS)}: {pages} pages, {target.stat().st_size} bytes")
        if not 3 <= pages <= 8:
            sys.exit(f"{source.name}: {pages} pages, wanted 3 to 8")


def read_source(path):
    """Split a source file into its head (a dict) and its blocks (lists of lines)."""
    head_text, body = path.read_text(encoding="utf-8").split("\n\n", 1)
    head = dict(line.split(": ", 1) for line in head_text.splitlines())
    blocks = [block.splitlines() for block in re.split(r"\n{2,}", body.strip())]
    return head, blocks


def styles_for(head):
    narrow = head["columns"] == "2"
    size = 10.5 if narrow else 9.5 if head["page"] == "A5" else 11
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=size, leading=size * 1.4, spaceAfter=size * 0.6)
    if narrow:
        body.alignment = TA_JUSTIFY
        # Words cut at line ends are part of what extraction has to put right.
        body.hyphenationLang = "en_GB"
    return {
        "body": body,
        "cell": ParagraphStyle("cell", parent=body, spaceAfter=0, alignment=0, fontSize=size - 0.8, leading=size * 1.2),
        "#": ParagraphStyle("h1", parent=body, fontName="Helvetica-Bold", fontSize=size * 1.9, leading=size * 2.3,
                            spaceAfter=size, alignment=0, hyphenationLang=""),
        "##": ParagraphStyle("h2", parent=body, fontName="Helvetica-Bold", fontSize=size * 1.35, leading=size * 1.7,
                             spaceBefore=size, keepWithNext=1, alignment=0, hyphenationLang=""),
        "###": ParagraphStyle("h3", parent=body, fontName="Helvetica-Bold", fontSize=size * 1.1, leading=size * 1.5,
                              spaceBefore=size * 0.5, keepWithNext=1, alignment=0, hyphenationLang=""),
    }


def flow(blocks, styles, width):
    story = []
    for lines in blocks:
        first = lines[0]
        heading = re.match(r"(#{1,3}) (.*)", first)
        if heading:
            story.append(Paragraph(escape(heading[2]), styles[heading[1]]))
        elif first.startswith("|"):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            rows = [rows[0]] + rows[2:]
            story.append(table(rows, styles, width))
            story.append(Spacer(1, styles["body"].fontSize))
        elif re.match(r"- |\d+\. ", first):
            items = [ListItem(Paragraph(escape(re.sub(r"^(- |\d+\. )", "", line)), styles["body"])) for line in lines]
            kind = "bullet" if first.startswith("- ") else "1"
            story.append(ListFlowable(items, bulletType=kind, leftIndent=16, bulletFontSize=styles["body"].fontSize))
        else:
            story.append(Paragraph(escape(" ".join(lines)), styles["body"]))
    return story


def table(rows, styles, width):
    head = ParagraphStyle("head", parent=styles["cell"], fontName="Helvetica-Bold")
    cells = [[Paragraph(escape(c), head if i == 0 else styles["cell"]) for c in row] for i, row in enumerate(rows)]
    widths = column_widths(rows, head.fontName, head.fontSize, width)
    result = Table(cells, colWidths=widths, repeatRows=1)
    result.setStyle(TableStyle([
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]))
    return result


def column_widths(rows, font, size, width):
    """Give every column its longest word, and share the rest by the need of its longest cell."""
    padding = 13
    columns = list(zip(*rows))
    least = [max(stringWidth(word, font, size) for cell in column for word in (cell.split() or [""])) + padding
             for column in columns]
    wanted = [max(stringWidth(cell, font, size) for cell in column) + padding for column in columns]
    if sum(wanted) <= width:
        return wanted
    spare = (width - sum(least)) / max(sum(wanted) - sum(least), 1)
    return [low + (high - low) * spare for low, high in zip(least, wanted)]


def write_pdf(head, blocks, target):
    page = {"A4": A4, "A5": A5}[head["page"]]
    margin = 16 * mm if head["page"] == "A5" else 22 * mm
    columns, gap = int(head["columns"]), 8 * mm
    inner, tall = page[0] - 2 * margin, page[1] - 2 * margin
    width = (inner - gap * (columns - 1)) / columns
    frames = [Frame(margin + i * (width + gap), margin, width, tall, leftPadding=0, rightPadding=0)
              for i in range(columns)]
    document = BaseDocTemplate(str(target), pagesize=page, title=head["title"], author=head["author"], invariant=1)

    def draw_margins(canvas, _document):
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.drawString(margin, page[1] - margin * 0.6, head["header"])
        canvas.drawString(margin, margin * 0.5, head["footer"])
        canvas.drawRightString(page[0] - margin, margin * 0.5, f"Page {canvas.getPageNumber()}")
        canvas.restoreState()

    document.addPageTemplates(PageTemplate(frames=frames, onPage=draw_margins))
    document.build(flow(blocks, styles_for(head), width))
    return document.page


if __name__ == "__main__":
    main()
