"""Talks to a running `sidenote serve` with OpenAI's own client. Arguments: the server's address, the token.

Prints one line of JSON with what the client understood; the test compares.
"""
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0)
QUESTION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who approves travel expenses?"},
]


def streamed(model, messages, **options):
    stream = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options={"include_usage": True}, **options
    )
    text, reasons, usage, annotations = "", [], None, []
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            annotations += getattr(choice.delta, "annotations", None) or []
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
        usage = chunk.usage or usage
    return {"text": text, "reasons": reasons, "completion_tokens": usage.completion_tokens, "notes": len(annotations)}


def refused(ask):
    try:
        ask()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code]
    return None


whole = client.chat.completions.create(model="sidenote", messages=QUESTION)
message = whole.choices[0].message
cited = [
    {"title": note.url_citation.title, "url": note.url_citation.url,
     "mark": message.content[note.url_citation.start_index:note.url_citation.end_index]}
    for note in message.annotations
]
follow_up = QUESTION + [{"role": "assistant", "content": message.content}, {"role": "user", "content": "Why?"}]
followed = client.chat.completions.create(model="sidenote", messages=follow_up)
vectors = client.embeddings.create(model="sidenote-embedding", input=["travel expenses", "the dishwasher"])
stranger = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="wrong", max_retries=0)
print(json.dumps({
    "models": [model.id for model in client.models.list()],
    "content": message.content,
    "cited": cited,
    "answer": whole.model_extra["sidenote"],
    "follow_up": followed.model_extra["sidenote"],
    "streamed": streamed("sidenote", QUESTION),
    "raw": streamed("sidenote-raw", [{"role": "user", "content": "Say hello."}], max_tokens=8),
    "dimensions": [len(row.embedding) for row in vectors.data],
    "norm": sum(value * value for value in vectors.data[0].embedding),
    "unknown_model": refused(lambda: client.chat.completions.create(model="gpt-9", messages=QUESTION)),
    "bad_field": refused(lambda: client.chat.completions.create(model="sidenote", messages=QUESTION, n=3)),
    "wrong_token": refused(lambda: stranger.models.list()),
}))
