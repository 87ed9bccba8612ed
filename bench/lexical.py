"""The full-text index beside bm25s and tantivy, on the same sets, in one run.

    lexical.py --binary TARGET/release/examples/lexical_quality FOLDER/scifact FOLDER/cranfield

Folders in the BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv). A document is indexed whole, its title before its text, and a
query is answered with 100 of them, one query after the other. bm25s has English stop words and stemming, as its README
advises; tantivy its English analyser and any-term queries. sidenote keeps every document in its database too, reads names and
codes as they are written beside the stems, and tells languages; its time has all of that, the look whether the database has
changed included.
"""

import argparse
import json
import math
import os
import re
import tempfile
import time

from support.program import bytes_at, measured

DEPTH = 100


class Bm25s:
    name = "bm25s"

    def __init__(self, texts, folder):
        import bm25s
        import Stemmer

        self.bm25s, self.stemmer, self.folder = bm25s, Stemmer.Stemmer("english"), os.path.join(folder, "bm25s")
        index = bm25s.BM25()
        index.index(self.tokens(texts), show_progress=False)
        index.save(self.folder)

    def tokens(self, texts):
        return self.bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def open(self):
        self.index = self.bm25s.BM25.load(self.folder, mmap=True)

    def search(self, query):
        found, scores = self.index.retrieve(self.tokens([query]), k=DEPTH, show_progress=False)
        return [int(place) for place, score in zip(found[0], scores[0]) if score > 0]


class Tantivy:
    name = "tantivy"

    def __init__(self, texts, folder):
        import tantivy

        self.tantivy, self.folder = tantivy, os.path.join(folder, "tantivy")
        os.mkdir(self.folder)
        schema = tantivy.SchemaBuilder().add_text_field("text", tokenizer_name="en_stem").add_integer_field("place", stored=True).build()
        index = tantivy.Index(schema, path=self.folder)
        writer = index.writer()
        for place, text in enumerate(texts):
            writer.add_document(tantivy.Document(text=text, place=place))
        writer.commit()
        writer.wait_merging_threads()

    def open(self):
        self.index = self.tantivy.Index.open(self.folder)
        self.searcher = self.index.searcher()

    def search(self, query):
        words = " ".join(re.findall(r"\w+", query))
        hits = self.searcher.search(self.index.parse_query(words, ["text"]), DEPTH).hits
        return [self.searcher.doc(address)["place"][0] for _, address in hits]


def read_set(folder):
    """Ids and texts of the documents, queries, and what is relevant to each, by id."""
    with open(os.path.join(folder, "corpus.jsonl"), encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    texts = ["\n".join(filter(None, [document.get("title"), document["text"]])) for document in documents]
    relevant = {}
    with open(os.path.join(folder, "qrels.tsv"), encoding="utf-8") as lines:
        for line in list(lines)[1:]:
            query, document, score = line.split()
            if float(score) > 0:
                relevant.setdefault(query, {})[document] = float(score)
    with open(os.path.join(folder, "queries.jsonl"), encoding="utf-8") as lines:
        queries = {query["_id"]: query["text"] for query in map(json.loads, lines) if query["_id"] in relevant}
    return [document["_id"] for document in documents], texts, queries, relevant


def ndcg(found, relevant):
    def discounted(gains):
        return sum(gain / math.log2(place) for place, gain in enumerate(gains[:10], 2))

    return discounted([relevant.get(document, 0) for document in found]) / discounted(sorted(relevant.values(), reverse=True))


def measure(peer, ids, texts, queries, relevant):
    with tempfile.TemporaryDirectory(prefix="sidenote-bench-") as folder:
        begun = time.perf_counter()
        index = peer(texts, folder)
        build = time.perf_counter() - begun
        begun = time.perf_counter()
        index.open()
        index.search(next(iter(queries.values())))
        opened = time.perf_counter() - begun
        begun = time.perf_counter()
        found = {query: index.search(text) for query, text in queries.items()}
        seconds = time.perf_counter() - begun
        gains = [ndcg([ids[place] for place in some], relevant[query]) for query, some in found.items()]
        return {
            "name": peer.name,
            "build_s": build,
            "open_s": opened,
            "mb": bytes_at(index.folder) / 1e6,
            "ms": 1000 * seconds / len(queries),
            "ndcg": sum(gains) / len(gains),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    print("| set | index | built in, s | opened in, s | on the disk, MB | a query, ms | nDCG@10 |")
    print("|---|---|---|---|---|---|---|")
    lines = []
    for folder in options.folders:
        name = os.path.basename(os.path.normpath(folder))
        ids, texts, queries, relevant = read_set(folder)
        results = [measured([options.binary, folder]), *(measure(peer, ids, texts, queries, relevant) for peer in (Bm25s, Tantivy))]
        for result in results:
            cells = [f"{result['build_s']:.1f}", f"{result['open_s']:.3f}", f"{result['mb']:.1f}", f"{result['ms']:.2f}"]
            print("| " + " | ".join([name, result["name"], *cells, f"{result['ndcg']:.3f}"]) + " |", flush=True)
        lines.append({"set": name, "documents": len(ids), "queries": len(queries), "results": results})
    print(json.dumps({"bench": "lexical", "sets": lines}))


main()
