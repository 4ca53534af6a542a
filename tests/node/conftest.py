"""A node on loopback with its REST interface, in this process; everything in it is real."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from overlay.node.config import load
from overlay.node.node import Node
from overlay.node.rest import Rest
from overlay.node.running import serving

LOOPBACK: dict[str, dict[str, object]] = {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}}


class Served:
    """A running node, and a client that knows its token."""

    def __init__(self, node: Node, rest: Rest, client: aiohttp.ClientSession) -> None:
        self.node, self.rest, self.client = node, rest, client

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """(status, decoded answer) of a request with the right token."""
        headers = {"Authorization": f"Bearer {self.node.folder.token}"} | more.pop("headers", {})
        async with self.client.request(method, self.rest.url + path, headers=headers, **more) as answer:
            return answer.status, await answer.json()

    async def found_commons(self) -> None:
        fields = {"commons": "bridge", "purpose": "", "name": "farmer"}
        status, told = await self.ask("POST", "/v1/commons/found", json=fields)
        assert status == 200, told


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "node", load(tmp_path, LOOPBACK)) as (node, rest), aiohttp.ClientSession() as client:
        yield Served(node, rest, client)
