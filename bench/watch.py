"""How long `sidenote watch` takes to have a change in the index, counted from the last write.

    watch.py [--changes 20] [--files 200]

A folder of so many files is watched. Then files are added, edited and removed, one by one and ten at a time, after pauses of
random length; each change is timed from its last write to the line in which the program says that the index holds it. At the
end every added word must be found, and no removed one.
"""

import argparse
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from support.program import SIDENOTE


def note(number, word):
    return f"# Note {number}\n\nThe {word} of room {number} was looked after by the caretaker on a Tuesday.\n"


def change(folder, kind, number):
    """Does it; returns the words that are to be found from here on, and those that are not."""
    new = folder / f"new-{number}.md"
    if kind == "added":
        new.write_text(note(number, f"added{number}"))
        return {f"added{number}"}, set()
    if kind == "ten added":
        for part in range(10):
            (folder / f"new-{number}-{part}.md").write_text(note(number, f"ten{number}of{part}"))
            time.sleep(0.05)
        return {f"ten{number}of{part}" for part in range(10)}, set()
    file = folder / f"old-{number}.md"
    if kind == "edited":
        file.write_text(note(number, f"edited{number}"))
        return {f"edited{number}"}, {f"first{number}"}
    file.unlink()
    return set(), {f"first{number}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="sidenote-bench-") as root:
        folder, data = Path(root) / "files", Path(root) / "data"
        folder.mkdir()
        for number in range(options.files):
            (folder / f"old-{number}.md").write_text(note(number, f"first{number}"))
        command = [str(SIDENOTE), "-q", "--json", "--data", str(data), "watch", str(folder)]
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            json.loads(watching.stdout.readline())
            seconds = {"added": [], "edited": [], "removed": [], "ten added": []}
            there, gone = set(), set()
            for number in range(options.changes):
                time.sleep(chance.uniform(1, 6))
                kind = list(seconds)[number % len(seconds)]
                new, old = change(folder, kind, number)
                there, gone = (there | new) - old, gone | old
                begun = time.monotonic()
                wanted, seen = max(len(new), len(old)), 0
                while seen < wanted:
                    report = json.loads(watching.stdout.readline())
                    seen += report["added"] + report["updated"] + report["removed"]
                seconds[kind].append(time.monotonic() - begun)
        finally:
            watching.terminate()
            watching.wait()
        for word in sorted(there | gone):
            search = [str(SIDENOTE), "-q", "--data", str(data), "search", word, "--mode", "lexical"]
            found = subprocess.run([*search, "--json"], capture_output=True, text=True, check=False)
            texts = [hit["text"] for hit in json.loads(found.stdout).get("hits", [])]
            if any(f" {word} " in text for text in texts) != (word in there):
                raise SystemExit(f"`{word}` is {'not found' if word in there else 'still found'}")
    for kind, each in seconds.items():
        print(f"{kind:10} {statistics.median(each):.2f} s at the median, {max(each):.2f} s at most, of {len(each)}")


main()
