"""Three members who compare only when told to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.network.village import Host


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[list[Host]]:
    """Farmer, baker, mechanic: members of one commons who compare only when told to."""
    made = [Host(role, tmp_path) for role in ("farmer", "baker", "mechanic")]
    await made[0].found(*made[1:], syncing=False)
    yield made
    for host in made:
        await host.close()
