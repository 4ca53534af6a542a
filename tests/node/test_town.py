"""Members' nodes trade over loopback, through the same actions that their interfaces call."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from PIL import Image

from overlay.clock import SystemClock, SystemRandomness
from overlay.keys import PublicKey
from overlay.node import wire
from overlay.node.actions import commons, exchanges, people, trust, vouchers
from overlay.node.config import Config, load
from overlay.node.node import Node
from overlay.trustchain.store import StorageError
from tests.node.conftest import LOOPBACK

PATIENCE = 30.0


def picture() -> bytes:
    written = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(written, "PNG")
    return written.getvalue()


class Village:
    """Nodes in this process; each can go away and come back on its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.nodes = folder, dict[str, Node]()

    async def open(self, name: str, *, headless: bool = False) -> Node:
        config: Config = load(self.folder, LOOPBACK | {"node": {"headless": headless}})
        self.nodes[name] = await Node.open(self.folder / name, config, SystemClock(), SystemRandomness())
        return self.nodes[name]

    async def join(self, name: str, host: Node, *, headless: bool = False) -> Node:
        node = await self.open(name, headless=headless)
        invitation = await commons.invite(host, wire.Nothing())
        await commons.join(node, wire.JoinCommons(invitation.text, name))
        return node

    async def leave(self, name: str) -> None:
        await self.nodes.pop(name).close()


async def until(node: Node, what: Callable[[], object]) -> None:
    """Wait, from event to event of the node, until something holds."""
    with node.events.subscribe() as waiting:
        async with asyncio.timeout(PATIENCE):
            while not what():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiting.get(), 0.2)  # what no event announces: others' addresses


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    village = Village(tmp_path)
    yield village
    for name in list(village.nodes):
        await village.leave(name)


async def found(village: Village) -> Node:
    farmer = await village.open("farmer")
    await commons.found(farmer, wire.FoundCommons("bridge", "rebuild it", "farmer"))
    return farmer


def knows(node: Node, name: str) -> bool:
    return bool(node.db.execute("SELECT 1 FROM member_profile WHERE name = ?", (name,)).fetchone())


def standing_of(found: wire.Exchanges, id_: str) -> wire.ExchangeModel:
    return next(each for each in found.exchanges if each.id == id_)


async def exchange(node: Node, id_: str) -> wire.ExchangeModel | None:
    found = await exchanges.exchanges(node, wire.Nothing())
    return next((each for each in found.exchanges if each.id == id_), None)


async def until_exchange(node: Node, id_: str, check: Callable[[wire.ExchangeModel], bool]) -> wire.ExchangeModel:
    with node.events.subscribe() as waiting:
        async with asyncio.timeout(PATIENCE):
            while (seen := await exchange(node, id_)) is None or not check(seen):
                await waiting.get()
    return seen


async def test_a_gift_is_seen_accepted_final_and_counts_for_the_giver(village: Village) -> None:
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await until(farmer, lambda: knows(farmer, "baker"))
    produce = await vouchers.mint(farmer, wire.MintVoucher("produce", "kg", 10))

    given = await exchanges.give(
        farmer, wire.Give("baker", produce.id, 4, deed="baked for us", note="with love", worth=3)
    )
    seen = await until_exchange(baker, given.id, lambda each: each.to_answer)
    assert (seen.proposer_name, seen.deed, seen.note) == ("farmer", "baked for us", "with love")
    assert [(leg.promise, leg.quantity) for leg in seen.legs] == [("produce", 4)]
    await exchanges.accept(baker, wire.AcceptExchange(given.id))
    await until_exchange(baker, given.id, lambda each: each.standing == "final")

    (held,) = (await vouchers.holdings(baker, wire.Nothing())).holdings
    assert (held.promise, held.final, held.issuer_name) == ("produce", 4, "farmer")
    shown = {each.name: each for each in (await people.people(farmer, wire.Nothing())).people}
    assert shown["baker"].score > 0
    reasons = await trust.why(farmer, wire.AskTrust("baker"))
    assert reasons.reasons[0].steps[0].blocks == (given.id,)


async def test_an_offer_is_taken_up_and_both_sides_are_final(village: Village) -> None:
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await until(farmer, lambda: knows(farmer, "baker"))
    produce = await vouchers.mint(farmer, wire.MintVoucher("produce", "kg", 10))
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    await until(farmer, lambda: farmer.ledger.block(bytes.fromhex(bread.id)))

    offered = await exchanges.offer(farmer, wire.OfferSwap("baker", produce.id, 5, bread.id, 7))
    seen = await until_exchange(baker, offered.id, lambda each: each.to_answer)
    assert seen.wants == "7 loaf bread"
    taken = await exchanges.accept(baker, wire.AcceptExchange(offered.id))
    for node in (farmer, baker):
        await until_exchange(node, taken.id, lambda each: each.standing == "final")
    assert standing_of(await exchanges.exchanges(farmer, wire.Nothing()), offered.id).standing == "final"


async def test_a_member_who_was_away_gets_it_later(village: Village) -> None:
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await until(farmer, lambda: knows(farmer, "baker"))
    produce = await vouchers.mint(farmer, wire.MintVoucher("produce", "kg", 10))
    await until(baker, lambda: baker.ledger.block(bytes.fromhex(produce.id)))
    await village.leave("baker")
    given = await exchanges.give(farmer, wire.Give("baker", produce.id, 1))
    back = await village.open("baker")
    assert (await until_exchange(back, given.id, lambda each: each.to_answer)).legs


async def test_what_is_declined_says_why(village: Village) -> None:
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await until(farmer, lambda: knows(farmer, "baker"))
    produce = await vouchers.mint(farmer, wire.MintVoucher("produce", "kg", 10))
    given = await exchanges.give(farmer, wire.Give("baker", produce.id, 1))
    await until_exchange(baker, given.id, lambda each: each.to_answer)
    await exchanges.decline(baker, wire.DeclineExchange(given.id, "the cellar is full"))
    seen = await until_exchange(farmer, given.id, lambda each: each.standing == "cancelled")
    assert seen.reason == "the cellar is full"


async def test_a_carrier_fetches_every_picture_and_is_credited(village: Village) -> None:
    farmer = await found(village)
    carrier = await village.join("carrier", farmer, headless=True)
    await until(farmer, lambda: knows(farmer, "carrier"))
    minted = await vouchers.mint(farmer, wire.MintVoucher("produce", "kg", 10, picture=picture()))
    assert minted.picture is not None
    infohash = minted.picture.infohash
    await until(carrier, lambda: carrier.content.status(infohash).path)
    path = carrier.content.status(infohash).path
    assert path is not None
    assert path.stat().st_size == minted.picture.size
    await until(carrier, lambda: carrier.db.execute("SELECT 1 FROM content_agreed").fetchone())
    (tally,) = (await vouchers.tallies(carrier, wire.Nothing())).tallies
    assert (tally.uploader_name, tally.downloader_name) == ("farmer", "carrier")
    assert (tally.received, tally.countersigned) == (minted.picture.size, True)


async def test_where_a_member_was_met_is_not_missed_when_it_cannot_be_kept(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer = await found(village)

    async def full(_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(farmer.ledger, "transact", full)
        farmer._on_proven(PublicKey(bytes(74)), ("127.0.0.1", 1))
        assert await asyncio.gather(*farmer._remembering, return_exceptions=True) == [None]
