"""llama.cpp's own server, in the build of xllamacpp: runs a GGUF until standard input ends.

    llama_server.py MODEL KEY

Prints the address, on a line of its own, once the model is loaded.
"""

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.api_keys = [sys.argv[2]]
params.n_ctx = 4096
params.n_parallel = 1
params.port = 0
# Tests run side by side.
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
