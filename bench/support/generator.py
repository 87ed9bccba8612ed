"""The example `generate`, which has a model of llama.cpp answer requests."""

import json
import subprocess
import sys


class Generator:
    """The child process."""

    def __init__(self, binary, model, *options):
        command = [str(part) for part in (binary, model, *options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.info = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench/generate.rs ended, see above")
        answer = json.loads(line)
        if "error" in answer:
            sys.exit(f"bench/generate.rs: {answer['error']}")
        return answer

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
