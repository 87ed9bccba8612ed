"""The built program and the public sets, for the measurements of this folder."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIDENOTE = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/sidenote/target")) / "release/sidenote"

MODELS = Path(
    os.environ.get("SIDENOTE_MODELS")
    or Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share", "sidenote/models")
)
EMBEDDER = MODELS / "all-minilm-l6-v2-int8"


def public_set(name):
    """Folder of a public set."""
    return Path(os.environ["SIDENOTE_EVALDATA"]) / name


def rows(path):
    """The objects of a file with one JSON object a line."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def evaluated(what, folder, *options):
    """The report of `sidenote eval` on `retrieval` or `answers`, whether or not its comparisons hold."""
    command = [SIDENOTE, "-q", "eval", what, folder, *options, "--json"]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    # 1 means that a comparison does not hold.
    if run.returncode not in (0, 1):
        raise SystemExit(run.stdout + run.stderr)
    return json.loads(run.stdout)


def measured(command):
    """What an example measured: the last line that it prints, which is JSON."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def bytes_at(path):
    """Bytes of a file, or of all files below a folder."""
    files = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names] or [path]
    return sum(map(os.path.getsize, files))


def ingest(data, files):
    """Ingests files or a folder into a data folder."""
    subprocess.run([SIDENOTE, "--data", data, "ingest", files, "-q"], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def serving(data):
    """A client of `sidenote serve` on a data folder."""
    command = [SIDENOTE, "--data", data, "serve", "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(server.stdout.readline())
        with open(ready["token_file"], encoding="utf-8") as file:
            yield Client(ready["url"], file.read().strip())
    finally:
        server.terminate()
        server.wait()


class Client:
    """One connection that is kept."""

    def __init__(self, url, token):
        self.address, self.token = url.removeprefix("http://"), token
        self.connection = http.client.HTTPConnection(self.address)

    def again(self):
        return Client("http://" + self.address, self.token)

    def send(self, path, body):
        """The response to a request, its body not read yet."""
        headers = {"authorization": "Bearer " + self.token, "content-type": "application/json"}
        self.connection.request("POST", path, json.dumps(body), headers)
        response = self.connection.getresponse()
        assert response.status == 200, response.read()
        return response

    def post(self, path, body):
        begun = time.perf_counter()
        text = self.send(path, body).read()
        return (time.perf_counter() - begun) * 1e3, json.loads(text)
