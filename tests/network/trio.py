"""Three members on an in-memory internet, two of whom know each other: what the tests of asking begin with."""

import asyncio

import pytest

from overlay.keys import Identity, PublicKey
from overlay.network.network import CallFailed
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from tests.network.village import Internet, Station, person

ROLES = ("farmer", "baker", "mechanic")
MEMBERS = {person(role).public_key for role in ROLES}


async def echo(peer: PublicKey, payload: bytes) -> bytes:
    return payload


def block_of(author: Identity, sequence: int = 1) -> HalfBlock:
    return HalfBlock(author.public_key, sequence, ANYONE, 0, GENESIS_HASH, b"note", b"", 0).signed_by(author)


async def two(internet: Internet) -> tuple[Station, Station]:
    """The farmer knows where the baker is."""
    farmer = await Station(internet, "farmer", 1, MEMBERS).open()
    baker = await Station(internet, "baker", 2, MEMBERS).open()
    baker.network.serve("echo", echo)
    farmer.network.add_contact(baker.where, baker.key)
    return farmer, baker


async def close(*stations: Station) -> None:
    for station in stations:
        await station.network.close()


async def seconds(awaited: object) -> float:
    """How long a call takes that fails."""
    started = asyncio.get_running_loop().time()
    with pytest.raises(CallFailed):
        await awaited  # type: ignore[misc]
    return asyncio.get_running_loop().time() - started
