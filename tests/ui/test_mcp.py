"""The named endpoints as tools of an MCP client, behind the same checks as the pages."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from gradio_client import Client

PATH = "/gradio_api/mcp/"

pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp: pip install 'p5rec[mcp]'")


def ask(address: str, question: Callable[[Any], Awaitable[Any]]) -> Any:
    """What an MCP client is told; in a thread of its own, since the browser's event loop is in this one."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def asked() -> Any:
        async with (
            streamable_http_client(address + PATH) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await question(session)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked()).result()


def test_tools_are_the_named_endpoints(ui, script: Client) -> None:
    tools = {one.name: one for one in ask(ui.address, lambda session: session.list_tools()).tools}
    assert {f"/{name}" for name in tools} == script.view_api(return_format="dict")["named_endpoints"].keys()
    assert all(one.description for one in tools.values())
    assert tools["recommend"].inputSchema["required"] == ["run", "history"]


def test_a_tool_answers(ui) -> None:
    found = ask(ui.address, lambda session: session.call_tool("figures", {"run": "first"}))
    assert not found.isError
    assert ast.literal_eval(found.content[0].text) == ui.workspace.run("first").metrics().model_dump(mode="json")
    refused = ask(ui.address, lambda session: session.call_tool("figures", {"run": "../first"}))
    assert refused.isError
    assert "is no run folder" in refused.content[0].text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"Host": "evil.example"}, 400), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403)],
)
def test_who_may_use_the_tools(ui, headers: dict[str, str], status: int) -> None:
    accepted = {"Accept": "application/json, text/event-stream", **headers}
    for path in (PATH, PATH + "http/"):
        question = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert httpx.post(ui.address + path, json=question, headers=accepted, timeout=20).status_code == status
