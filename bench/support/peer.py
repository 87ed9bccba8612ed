"""llama-cpp-python with its prefix cache, for the measurements of this folder."""

import time

import llama_cpp

from support.program import MODELS


def peer(model, threads, context_tokens):
    """The same GGUF, with as many threads and flash attention."""
    return llama_cpp.Llama(
        str(MODELS / model / "model.gguf"),
        n_ctx=context_tokens,
        n_batch=512,
        n_threads=threads,
        n_threads_batch=threads,
        flash_attn=True,
        verbose=False,
    )


def first_token(peer, text):
    """Milliseconds until the first token of an answer to `text`, the tokens of the prompt, and how many of them were known from before."""
    text = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    tokens = peer.tokenize(text.encode(), add_bos=False, special=True)
    held = peer._input_ids.tolist()
    known = next((place for place, (a, b) in enumerate(zip(held, tokens)) if a != b), min(len(held), len(tokens)))
    begun = time.perf_counter()
    next(iter(peer.generate(tokens, temp=0.0, repeat_penalty=1.0)))
    return (time.perf_counter() - begun) * 1e3, len(tokens), known
