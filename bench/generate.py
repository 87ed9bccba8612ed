"""First token and decoding: sidenote and llama-cpp-python side by side, on the same GGUF, token ids, threads and context.

    generate.py --binary TARGET/release/examples/generate --model MODEL [--model MODEL ...] [--pairs 5]

The peer runs in this process, sidenote in a child (bench/generate.rs) that stays for all of a model's measurements. Every
pair runs both, one after the other, and the order changes from pair to pair. Nothing is in a cache: each pair has a prompt
of its own, whose first token differs from that of the one before, and the child's report of reused tokens is checked.

The peer is shown as its users call it (`create_completion(stream=True)` with the threads it takes by itself) and at its best:
`generate()`, token ids out, threads as given here, all of the time spent in llama.cpp, without and with flash attention.
"""

import argparse
import glob
import json
import os
import statistics
import sys
import time

import llama_cpp

from support.generator import Generator

# Rest between two measurements, so that one side's threads are asleep when the other begins.
REST_SECONDS = 0.3

TOPICS = [
    "Write a long and detailed story about a lighthouse keeper who finds a map.",
    "Explain step by step and in detail how a steam engine works, from the boiler to the wheels.",
    "Write a long essay about the history of bread in Europe.",
    "Describe in great detail a day in the life of a train driver, hour by hour.",
    "Write a Python program for a library that lends books, with classes and comments, and explain every part.",
    "Explain at length how rivers shape the land, with many examples.",
    "Write a long letter from a traveller who crosses a desert on foot.",
]


class Sidenote(Generator):
    """Ours."""

    def run(self, tokens, count):
        answer = self.ask(tokens=tokens, max_tokens=count)
        if answer["tokens_reused"] > 8:
            sys.exit(f"{answer['tokens_reused']} tokens came from the cache: not a cold prompt")
        return Run(answer["first_token_ms"], answer["decode_ms"], answer["tokens_generated"], answer["text"])


class Run:
    """One measured generation."""

    def __init__(self, first_token_ms, decode_ms, count, text):
        self.first_token_ms = first_token_ms
        self.tokens_per_second = (count - 1) / decode_ms * 1e3 if count > 1 else 0.0
        self.count = count
        self.text = text


class Best:
    """llama-cpp-python's inner loop."""

    def __init__(self, name, llm, threads):
        self.name = name
        self.llm = llm
        self.threads = (threads, threads)

    def run(self, tokens, count):
        self.llm.reset()
        self.llm._ctx.set_n_threads(*self.threads)
        produced = []
        begun = time.perf_counter()
        for token in self.llm.generate(tokens, temp=0.0, repeat_penalty=1.0):
            ended = time.perf_counter()
            if not produced:
                first = ended
            if llama_cpp.llama_vocab_is_eog(self.llm._model.vocab, token):
                break
            produced.append(token)
            if len(produced) == count:
                break
        text = self.llm.detokenize(produced).decode("utf-8", "replace")
        return Run((first - begun) * 1e3, (ended - first) * 1e3, len(produced), text)


class Default:
    """llama-cpp-python as it is called from a program that streams."""

    name = "default call"

    def __init__(self, llm):
        self.llm = llm
        cores = os.cpu_count() or 1
        # What Llama() takes when it is not told: half of the cores for decoding, all of them for the prompt.
        self.threads = (max(cores // 2, 1), cores)

    def run(self, tokens, count):
        self.llm.reset()
        self.llm._ctx.set_n_threads(*self.threads)
        pieces = []
        begun = time.perf_counter()
        for chunk in self.llm.create_completion(tokens, max_tokens=count, temperature=0.0, stream=True):
            ended = time.perf_counter()
            if not pieces:
                first = ended
            pieces.append(chunk["choices"][0]["text"])
        return Run((first - begun) * 1e3, (ended - first) * 1e3, count, "".join(pieces))


def features(system_info):
    """`CPU : AVX2 = 1 | REPACK = 1 |` as a set of names."""
    found = set()
    for part in system_info.replace(":", "|").split("|"):
        name, _, value = part.partition("=")
        if value.strip() == "1":
            found.add(name.strip())
    return found


def cold_prompts(tokens, length, count, seed):
    """Windows of a text, each beginning with another token than the one before it."""
    prompts, start, last = [], (seed * 7919) % (len(tokens) // 2), None
    while len(prompts) < count:
        if start + length > len(tokens):
            start = (start + 13) % (len(tokens) // 3)
        window = tokens[start : start + length]
        start += length // 2 + 1
        if window and window[0] != last and len(window) == length:
            prompts.append(window)
            last = window[0]
    return prompts


def chat(llm, text, turn):
    """A prompt in ChatML, which is what both models speak. The number keeps beginnings apart."""
    text = f"{turn}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    return llm.tokenize(text.encode(), add_bos=False, special=True)


def compare(ours, peer, prompts, count, value, label):
    """Runs all pairs. `value` takes a Run to a figure where more is faster."""
    pairs, same = [], 0
    for turn, prompt in enumerate(prompts):
        runs = {}
        for side in (ours, peer) if turn % 2 == 0 else (peer, ours):
            time.sleep(REST_SECONDS)
            runs[side] = side.run(prompt, count)
        a, b = runs[ours], runs[peer]
        same += a.text == b.text
        pairs.append((value(a), value(b)))
        print(
            f"{label}, {peer.name}, pair {turn + 1}: first token {a.first_token_ms:.0f} / {b.first_token_ms:.0f} ms,"
            f" {a.count} / {b.count} tokens at {a.tokens_per_second:.1f} / {b.tokens_per_second:.1f} a second",
            file=sys.stderr,
            flush=True,
        )
    ratios = [a / b for a, b in pairs]
    return {
        "what": label,
        "peer": peer.name,
        "sidenote": statistics.median(a for a, _ in pairs),
        "llama_cpp_python": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "pairs": len(pairs),
        "same_text": same,
    }


def measure(arguments, model, text):
    path = model
    if not os.path.exists(path):
        data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        folder = os.environ.get("SIDENOTE_MODELS") or os.path.join(data, "sidenote/models")
        path = os.path.join(folder, model, "model.gguf")

    def load(**more):
        threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
        more = {"n_batch": 512} | more | json.loads(arguments.peer_options)
        return llama_cpp.Llama(path, n_ctx=arguments.context, verbose=False, **threads, **more)

    llm, flash = load(), load(flash_attn=True)
    prefill = ["--prefill", arguments.prefill] if arguments.prefill else []
    ours = Sidenote(arguments.binary, path, "--context", arguments.context, "--threads", arguments.threads, *prefill)

    print(f"\n## {model}\n\n{ours.info['machine']}; load average {os.getloadavg()[0]:.1f}")
    print(f"sidenote: {ours.info['model']}, context {ours.info['context_tokens']}, {arguments.threads} threads, prefill in pieces of {ours.info['prefill_tokens']}")
    print(f"llama-cpp-python {llama_cpp.__version__}: context {llm.n_ctx()}, {arguments.threads} threads, n_batch 512 {arguments.peer_options}")
    theirs = features(llama_cpp.llama_print_system_info().decode())
    mine = features(ours.info["system_info"])
    print("llama.cpp's features in both:", " ".join(sorted(mine & theirs)))
    if mine != theirs:
        print("only sidenote:", " ".join(sorted(mine - theirs)), "| only llama-cpp-python:", " ".join(sorted(theirs - mine)))
        if not arguments.any_features:
            sys.exit("the two are built with different kernels: the comparison would say nothing (--any-features goes on)")

    tokens = llm.tokenize(text.encode(), add_bos=False, special=False)
    inner, inner_flash = Best("inner loop", llm, arguments.threads), Best("inner loop, flash attention", flash, arguments.threads)
    peers = (inner, inner_flash) if arguments.best_only else (inner, inner_flash, Default(llm))
    for side in (ours, *peers):
        side.run(tokens[:64], 4)

    rows = []
    for number, length in enumerate(arguments.prompts):
        for peer in peers:
            prompts = cold_prompts(tokens, length, arguments.pairs, number + 1)
            rows.append(compare(ours, peer, prompts, 1, lambda run: length / run.first_token_ms * 1e3, f"{length} tokens to the first"))
    for peer in peers:
        prompts = [chat(llm, TOPICS[turn % len(TOPICS)], turn + 1) for turn in range(arguments.pairs)]
        rows.append(compare(ours, peer, prompts, arguments.decode, lambda run: run.tokens_per_second, f"decoding {arguments.decode} tokens"))
    ours.close()
    llm.close()
    flash.close()

    print("\n| what | llama-cpp-python | its tokens/s | sidenote's tokens/s | ratio, median | ratio, min..max | same text |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['what']} | {row['peer']} | {row['llama_cpp_python']:.1f} | {row['sidenote']:.1f} | {row['ratio']:.2f}"
            f" | {row['ratio_min']:.2f}..{row['ratio_max']:.2f} | {row['same_text']} of {row['pairs']} |"
        )
    print()
    print(
        json.dumps(
            {
                "bench": "generate",
                "model": model,
                "sha256": ours.info["sha256"],
                "machine": ours.info["machine"],
                "features": sorted(mine),
                "llama_cpp_python": llama_cpp.__version__,
                "context": arguments.context,
                "threads": arguments.threads,
                "prefill_tokens": ours.info["prefill_tokens"],
                "peer_options": json.loads(arguments.peer_options),
                "rows": rows,
            }
        ),
        flush=True,
    )


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="First token and decoding speed beside llama-cpp-python.")
    parser.add_argument("--binary", required=True, help="bench/generate.rs, built")
    parser.add_argument("--model", action="append", required=True, help="name of a model of sidenote's, or a GGUF; may be repeated")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompts", type=lambda text: [int(part) for part in text.split(",") if part], default=[128, 512, 1000])
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prefill", type=int, default=0, help="tokens of a piece of the prompt; 0 is sidenote's default")
    parser.add_argument("--peer-options", default="{}", help='more for Llama(), as JSON, such as {"flash_attn": true}')
    parser.add_argument("--best-only", action="store_true", help="leave out the peer's default call")
    parser.add_argument("--any-features", action="store_true")
    arguments = parser.parse_args()

    files = sorted(glob.glob(os.path.join(here, "../corpus/**/*.md"), recursive=True))
    text = "\n\n".join(open(path, encoding="utf-8").read() for path in files)
    for model in arguments.model:
        measure(arguments, model, text)


main()
