"""Groups whose treasury stands."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dao.group_town import GroupTown, town


@pytest.fixture
async def empty_town(tmp_path: Path) -> AsyncIterator[GroupTown]:
    """A town without members, and a chain."""
    async with town(tmp_path) as made:
        yield made
    shutil.rmtree(tmp_path / "chain", ignore_errors=True)  # the kernel reserves 17 MB in it


@pytest.fixture
async def five(empty_town: GroupTown) -> GroupTown:
    """Five members, three yes votes and three shares, one coin of 0.05 bitcoin."""
    await empty_town.found(3, 3)
    await empty_town.generate()
    await empty_town.fund(5_000_000)
    return empty_town


@pytest.fixture
async def three(empty_town: GroupTown) -> GroupTown:
    """Three members, two yes votes and two shares, two coins."""
    await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    await empty_town.generate()
    await empty_town.fund(5_000_000, 4_000_000)
    return empty_town
