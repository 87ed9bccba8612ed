"""Talks to sidenote with the official client of the Model Context Protocol.

Arguments: `legacy` or `auto`, the way in which the versions of the protocol before 2026-07-28 and those since then begin; then
`stdio PROGRAM WORDS...`, or `http ADDRESS TOKEN`. The program gets this process's environment. Prints one line of JSON with what
the client understood; the test compares.
"""
import asyncio
import contextlib
import json
import os
import sys
import time

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

QUESTION = "Who approves travel expenses?"


def told(result):
    """A tool's result; the client has held `structured_content` against the schema."""
    return {
        "error": result.is_error,
        "text": "\n".join(block.text for block in result.content),
        "value": result.structured_content,
    }


async def refused(request):
    try:
        await request
    except MCPError as error:
        return [error.error.code, error.error.message]
    return None


@contextlib.asynccontextmanager
async def connected(mode, way, where, *words):
    if way == "stdio":
        server = StdioServerParameters(command=where, args=list(words), env=dict(os.environ), cwd=os.getcwd())
        async with Client(server, mode=mode) as client:
            yield client
        return
    headers = {"authorization": f"Bearer {words[0]}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120) as http:
        async with Client(streamable_http_client(where + "/mcp", http_client=http), mode=mode) as client:
            yield client


async def all_resources(client):
    """Every page of the list."""
    pages, cursor = [], None
    while True:
        page = await client.list_resources(cursor=cursor)
        pages.append([resource.model_dump(mode="json", exclude_none=True) for resource in page.resources])
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def cancelled(client):
    """What a second question is told, where one at a time may run; how long the first, once cancelled, keeps its place."""
    running = anyio.Event()

    async def hear(done, total, message):
        running.set()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: client.call_tool("ask", {"question": "When does the dishwasher run?"}, progress_callback=hear))
        await running.wait()
        busy = told(await client.call_tool("ask", {"question": QUESTION}))
        group.cancel_scope.cancel()
    begun = time.monotonic()
    again = busy
    # Asked to the end: this client cannot leave while the answer to what it cancelled is under way.
    while again["text"] == busy["text"]:
        await anyio.sleep(0.01)
        before = time.monotonic()
        again = told(await client.call_tool("ask", {"question": QUESTION}))
    return {"busy": busy, "kept": before - begun, "after": again}


async def main():
    mode, *server = sys.argv[1:]
    async with connected(mode, *server) as client:
        tools = await client.list_tools()
        pages = await all_resources(client)
        progress = []

        async def hear(done, total, message):
            progress.append([done, message])

        begun = time.monotonic()
        answer = told(await client.call_tool("ask", {"question": QUESTION}, progress_callback=hear))
        whole_seconds = time.monotonic() - begun
        note = (answer["value"] or {"citations": []})["citations"][:1]
        quotes = {}
        for cited in note:
            id, span = cited["document"]["id"], cited["span"]
            quotes["tool"] = told(await client.call_tool("read_document", {"id": id, **span}))
            resource = await client.read_resource(f"sidenote://document/{id}?start={span['start']}&end={span['end']}")
            quotes["resource"] = resource.contents[0].text
            whole = await client.read_resource(f"sidenote://document/{id}")
            quotes["whole"] = whole.contents[0].text
        seen = {
            "version": client.protocol_version,
            "server": [client.server_info.name, client.server_info.version] if client.server_info else None,
            "instructions": client.instructions,
            "tools": [[tool.name, tool.output_schema is not None, tool.annotations.read_only_hint] for tool in tools.tools],
            "pages": pages,
            "templates": [template.uri_template for template in (await client.list_resource_templates()).resource_templates],
            "answer": answer,
            "progress": progress,
            "quotes": quotes,
            "found": told(await client.call_tool("search", {"query": "hotel night", "limit": 1})),
            "listed": told(await client.call_tool("list_documents", {"limit": 2})),
            "listed_on": told(await client.call_tool("list_documents", {"limit": 2, "offset": 2})),
            "wrong": {
                "limit": told(await client.call_tool("search", {"query": "a", "limit": 0})),
                "type": told(await client.call_tool("search", {"query": "a", "limit": "five"})),
                "unknown": told(await client.call_tool("search", {"query": "a", "qeury": "b"})),
                "missing": told(await client.call_tool("search")),
                "filter": told(await client.call_tool("search", {"query": "a", "filter": {"since": "yesterday"}})),
                "empty": told(await client.call_tool("ask", {"question": "  "})),
                "document": told(await client.call_tool("read_document", {"id": 999})),
                "stretch": told(await client.call_tool("read_document", {"id": 1, "start": 9, "end": 3})),
                "collection": told(await client.call_tool("list_documents", {"collection": "nowhere"})),
                "nothing": told(await client.call_tool("search", {"query": "+zanzibarword", "mode": "lexical"})),
                "tool": await refused(client.call_tool("forget", {"id": 1})),
                "resource": await refused(client.read_resource("sidenote://document/999")),
                "address": await refused(client.read_resource("file:///etc/passwd")),
                "cursor": await refused(client.list_resources(cursor="x")),
            },
            "cancelled": {"whole": whole_seconds, **await cancelled(client)},
        }
    print(json.dumps(seen))


asyncio.run(main())
