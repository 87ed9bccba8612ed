"""The built program and the public sets, for the measurements of this folder."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIDENOTE = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/sidenote/target")) / "release/sidenote"


def public_set(name):
    """Folder of a public set."""
    return Path(os.environ["SIDENOTE_EVALDATA"]) / name


def eval_retrieval(folder, *options):
    """The report of `sidenote eval retrieval`, whether or not its comparisons hold."""
    command = [SIDENOTE, "-q", "eval", "retrieval", folder, *options, "--json"]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    # 1 means that a comparison does not hold.
    if run.returncode not in (0, 1):
        raise SystemExit(run.stdout + run.stderr)
    return json.loads(run.stdout)
