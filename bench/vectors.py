"""The vector index beside hnswlib, faiss, usearch and lancedb, on the same vectors, in one run.

    vectors.py --binary TARGET/release/examples/vector_speed [--count N] DATA/vectors/*/vectors

The files are those of a data folder's sealed segments: vectors of text. 200 of them are taken out and asked for. All build with 16
links and 128 candidates, in one thread, and answer one query after the other with 10 neighbours. hnswlib, faiss and usearch search a
bare index; lancedb its table on the disk, by numbers of 8 bits, and compares twice as many as asked for again in full.
sidenote's time has everything that a search by vector does, the look whether the database has changed included, and two threads.
Memory is what opening and searching add, for sidenote all of the process. Recall is measured against comparing every vector.
Building ends with the index on the disk. Where `--count` asks for more vectors than there are, the others are neighbours of
these, which sidenote's side makes and the peers then do without: only sidenote is measured.
"""

import argparse
import gc
import json
import os
import tempfile
import time

# One thread, before lancedb starts its own; and no warnings on every query.
os.environ.update(LANCE_CPU_THREADS="1", LANCE_LOG="error", RUST_LOG="error")

import numpy

from support.program import bytes_at, measured

QUERIES = 200
NEIGHBOURS = 10
LINKS = 16
CANDIDATES = 128
WIDTHS = (32, 64, 96, 200)


def divide(vectors):
    """Those that are searched and those that are asked for, as the example does it."""
    order = list(range(len(vectors)))
    step = len(order) // QUERIES
    asked = []
    for at in reversed(range(QUERIES)):
        asked.append(order[at * step])
        last = order.pop()
        if at * step < len(order):
            order[at * step] = last
    return vectors[order], vectors[asked]


class Hnswlib:
    name = "hnswlib"

    def __init__(self, vectors, path):
        import hnswlib

        self.make = lambda: hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.index = self.make()
        self.index.init_index(max_elements=len(vectors), ef_construction=CANDIDATES, M=LINKS)
        self.index.add_items(vectors, num_threads=1)
        self.index.save_index(path)

    def load(self, path):
        self.index = self.make()
        self.index.load_index(path)
        self.index.set_num_threads(1)

    def widen(self, width):
        self.index.set_ef(width)

    def search(self, query):
        return self.index.knn_query(query, k=NEIGHBOURS, num_threads=1)[0][0]


class Faiss:
    name = "faiss"

    def __init__(self, vectors, path):
        import faiss

        faiss.omp_set_num_threads(1)
        self.faiss = faiss
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = CANDIDATES
        self.index.add(vectors)
        faiss.write_index(self.index, path)

    def load(self, path):
        self.index = self.faiss.read_index(path)

    def widen(self, width):
        self.index.hnsw.efSearch = width

    def search(self, query):
        return self.index.search(query[None], NEIGHBOURS)[1][0]


class Usearch:
    name = "usearch"

    def __init__(self, vectors, path):
        from usearch.index import Index

        self.make = lambda: Index(
            ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=CANDIDATES
        )
        self.index = self.make()
        self.index.add(numpy.arange(len(vectors)), vectors, threads=1)
        self.index.save(path)

    def load(self, path):
        self.index = self.make()
        self.index.view(path)

    def widen(self, width):
        self.index.expansion_search = width

    def search(self, query):
        return self.index.search(query, NEIGHBOURS, threads=1).keys


class Lancedb:
    name = "lancedb"

    def __init__(self, vectors, path):
        import lancedb
        import pyarrow

        self.connect = lancedb.connect
        dimensions = vectors.shape[1]
        numbers = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), dimensions)
        places = pyarrow.array(range(len(vectors)))
        table = self.connect(path).create_table(self.name, data=pyarrow.table({"place": places, "vector": numbers}))
        graph = {"index_type": "IVF_HNSW_SQ", "num_partitions": 1, "m": LINKS, "ef_construction": CANDIDATES}
        table.create_index(metric="dot", vector_column_name="vector", **graph)

    def load(self, path):
        self.table = self.connect(path).open_table(self.name)
        self.width = WIDTHS[0]

    def widen(self, width):
        self.width = width

    def search(self, query):
        found = self.table.search(query).distance_type("dot").ef(self.width).refine_factor(2).limit(NEIGHBOURS)
        return found.select(["place", "_distance"]).to_arrow()["place"].to_pylist()


def resident_mib():
    """Memory of this process, mapped files included."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(peer, vectors, queries, expected, folder):
    path = os.path.join(folder, peer.name)
    begun = time.perf_counter()
    index = peer(vectors, path)
    build = time.perf_counter() - begun
    # What building left behind is not what searching takes.
    index.index = index.table = None
    gc.collect()
    before = resident_mib()
    begun = time.perf_counter()
    index.load(path)
    index.search(queries[0])
    opened = time.perf_counter() - begun
    searches = []
    for width in WIDTHS:
        index.widen(width)
        begun = time.perf_counter()
        found = [index.search(query) for query in queries]
        seconds = time.perf_counter() - begun
        same = sum(len(set(map(int, some)) & known) for some, known in zip(found, expected))
        searches.append({"ef": width, "ms": 1000 * seconds / len(queries), "recall": same / len(queries) / NEIGHBOURS})
    return {
        "name": peer.name, "build_s": build, "open_s": opened, "mb": bytes_at(path) / 1e6,
        "memory_mib": resident_mib() - before, "searches": searches,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--count", type=int)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    parts = [numpy.fromfile(file, dtype="<f4").reshape(-1, options.dimensions) for file in options.files]
    vectors, queries = divide(numpy.concatenate(parts))
    count = options.count or len(vectors)
    results = [measured([options.binary, str(count), str(options.dimensions), *options.files])]
    if count <= len(vectors):
        vectors = numpy.ascontiguousarray(vectors[:count])
        scores = queries @ vectors.T
        expected = [set(map(int, row)) for row in numpy.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
        with tempfile.TemporaryDirectory(prefix="sidenote-bench-") as folder:
            results += [measure(peer, vectors, queries, expected, folder) for peer in (Hnswlib, Faiss, Usearch, Lancedb)]
    widths = "".join(f" ef {width}: ms, recall@{NEIGHBOURS} |" for width in WIDTHS)
    print(f"| {count} vectors | built in, s | opened in, s | memory, MiB | on the disk, MB |{widths}")
    print("|---" * (5 + len(WIDTHS)) + "|")
    for result in results:
        cells = [result["name"], f"{result['build_s']:.1f}", f"{result['open_s']:.2f}"]
        cells += [f"{result['memory_mib']:.0f}", f"{result['mb']:.0f}"]
        cells += [f"{search['ms']:.2f}, {search['recall']:.3f}" for search in result["searches"]]
        print("| " + " | ".join(cells) + " |")
    print(json.dumps({"bench": "vectors", "count": count, "results": results}))


main()
