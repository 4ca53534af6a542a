"""A node double for every test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from tests.tui.double import NodeDouble


@pytest.fixture
async def node() -> AsyncIterator[NodeDouble]:
    """Answers as the baker's node."""
    async with NodeDouble() as double:
        yield double
