"""A node with little room fetches whole only the chains of members that its own member has to do with."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.dao.assembly.groups import GroupsView
from overlay.economy.holdings import HoldingsView
from overlay.economy.members import MembersView
from overlay.economy.standing import Standing
from overlay.keys import PublicKey
from overlay.network import heads
from overlay.network.lan import Lan
from overlay.node import following, keeping, wire
from overlay.node.actions import commons, vouchers
from overlay.node.actions import following as following_actions
from overlay.node.config import ANY, load
from overlay.node.keeping import MEGABYTE, Keeping, concerned
from overlay.node.node import Node
from overlay.trustchain import blocks, pruning
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import FoundGroup, Mint, Profile
from tests.node.conftest import LOOPBACK
from tests.node.test_town import Village, found, knows, until
from tests.town import HOUR, Town, Townsperson


@pytest.fixture
def farmer(tmp_path: Path) -> Townsperson:
    """A farmer with the tables that a node has."""
    town = Town(tmp_path)
    made = town.person("farmer")
    with_tables(made)
    return made


def test_at_the_limit_and_above_it_strangers_chains_are_not_kept(farmer: Townsperson) -> None:
    stranger = PublicKey(b"s" * 74)
    assert Keeping(farmer.ledger, farmer.clock, 0).keeps(stranger)
    choice = Keeping(farmer.ledger, farmer.clock, 1)
    for size, kept in ((MEGABYTE - 1, True), (MEGABYTE, False), (MEGABYTE + 1, False)):
        choice.size = lambda size=size: size  # type: ignore[method-assign]
        assert choice.keeps(stranger) is kept
        assert choice.keeps(farmer.key)
        assert choice.is_full is not kept
    farmer.ledger.close()


async def test_whom_one_follows_deals_with_owes_or_shares_a_group_with_is_kept(tmp_path: Path) -> None:
    town = Town(tmp_path)
    me, *others = (town.person(role) for role in ("me", "issuer", "holder", "neighbour", "stranger"))
    issuer, holder, neighbour, stranger = others
    bread, soup = await issuer.mint("bread", 10), await me.mint("soup", 10)
    for giver, taker, voucher in ((issuer, me, bread), (me, holder, soup)):
        given = await giver.give(taker, voucher, 5)
        await town.carry()
        await taker.agree(given)
        await town.carry()
    with_tables(me)
    assert concerned(me.ledger.db, me.key, town.clock.now()) == {me.key, issuer.key, holder.key}

    pie = await stranger.mint("pie", 1)
    await stranger.give(me, pie, 1)
    await town.carry()
    assert concerned(me.ledger.db, me.key, town.clock.now()) == {me.key, issuer.key, holder.key, stranger.key}
    town.clock.time += 2 * HOUR  # nobody has answered: the proposal has lapsed
    assert concerned(me.ledger.db, me.key, town.clock.now()) == {me.key, issuer.key, holder.key}
    await me.do(lambda tx: following.follow(tx.db, neighbour.key))
    assert neighbour.key in concerned(me.ledger.db, me.key, town.clock.now())
    await me.do(lambda tx: following.unfollow(tx.db, neighbour.key))
    assert neighbour.key not in concerned(me.ledger.db, me.key, town.clock.now())
    await me.ledger.append(FoundGroup("choir", "", (me.key, neighbour.key), 1, 1))
    assert neighbour.key in concerned(me.ledger.db, me.key, town.clock.now())
    town.close()


async def test_what_proves_ones_own_outlives_the_chains_that_it_came_through(tmp_path: Path) -> None:
    town = Town(tmp_path)
    baker, carrier, me, cheat, next_one = (town.person(role) for role in ("baker", "carrier", "me", "cheat", "next"))
    bread = await baker.mint("bread", 10)
    trades = []
    for giver, taker in ((baker, carrier), (carrier, me)):
        trades.append(await giver.give(taker, bread, 10))
        await town.carry()
        await taker.agree(trades[-1])
        await town.carry()
    for number in range(30):
        await carrier.ledger.append(Mint("pie", "piece", 1, f"{number}", 0, None))
        await cheat.ledger.append(Mint("pie", "piece", 1, f"{number}", 0, None))
    twice = replace(blocks.at(cheat.ledger.db, cheat.key, 30)[0], timestamp=0).signed_by(cheat.identity)
    strangers = [b for who in (carrier, cheat) for b in blocks.everything(who.ledger.db) if b.public_key == who.key]
    await me.ledger.ingest([*strangers, twice])
    with_tables(me)
    about_me = {block.hash for block in strangers if block.link_public_key == me.key}

    gone = await me.do(lambda tx: pruning.forget(tx.db, keeping.forgettable(tx.db, me.key, tx.now, 10**9)))
    await me.ledger.rebuild()

    assert gone == {carrier.key, cheat.key}
    assert about_me <= {block.hash for block in blocks.everything(me.ledger.db)}
    assert len(blocks.chain(me.ledger.db, carrier.key, 1, 99, 99)) == 2  # what it proposed to me, and had agreed to
    assert len(blocks.forks(me.ledger.db)) == 1
    assert [block.sequence_number for block in blocks.chain(me.ledger.db, cheat.key, 1, 99, 99)] == [30, 30]
    assert me.holds(bread) == 10
    assert all(me.standing(trade) is Standing.FINAL for trade in trades)
    given = await me.give(next_one, bread, 10)
    await town.carry()
    await next_one.agree(given)
    await town.carry()
    assert next_one.standing(given) is Standing.FINAL
    town.close()


def with_tables(person: Townsperson) -> None:
    """From now on with the tables that a node has."""
    path = person.ledger._store.path
    person.ledger.close()
    views = [MembersView(), HoldingsView(), GroupsView()]
    tables = [following.SCHEMA, keeping.SCHEMA]
    person.ledger = Ledger(path, person.identity, views, person.clock, person.random, tables=tables)


async def open_small(village: Village, host: Node) -> Node:
    """A node with room for one megabyte."""
    config = load(village.folder, LOOPBACK | {"ledger": {"keep_mb": 1}})
    small = await Node.open(village.folder / "small", config, SystemClock(), SystemRandomness())
    village.nodes["small"] = small
    invitation = await commons.invite(host, wire.Nothing())
    await commons.join(small, wire.JoinCommons(invitation.text, "small"))
    return small


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    village = Village(tmp_path)
    yield village
    for name in list(village.nodes):
        await village.leave(name)


async def test_a_full_node_forgets_what_concerns_nobody_and_fetches_it_again_when_it_does(village: Village) -> None:
    farmer = await found(village)
    small = await open_small(village, farmer)
    key = farmer.identity.public_key
    mints = [Mint("soup", "bowl", 1, "x" * 250, 0, None) for _ in range(500)]
    while blocks.first_gap(farmer.db, key) < 2_500:
        await farmer.ledger.transact(lambda tx: [tx.append(mint) for mint in mints])
    await until(small, lambda: small.db.execute("SELECT 1 FROM node_pruned").fetchone())
    await until(small, lambda: not small.home.keeping.is_full)
    assert blocks.first_gap(small.db, key) < 2_500
    assert small.home.sync._heads.of(key) == heads._read_head(small.db, key)
    assert knows(small, "farmer")  # what it declared is kept
    before = blocks.count(small.db)
    await small.home.sync.with_peer(key)
    assert blocks.count(small.db) == before  # nor is it fetched for ever
    assert not small.home.keeping.keeps(key)
    for more, wanted in ((1, False), (2, True)):
        assert Keeping(small.ledger, small.clock, more).keeps(key) is wanted

    await following_actions.follow(small, wire.FollowMember("farmer"))
    await until(small, lambda: blocks.first_gap(small.db, key) == blocks.first_gap(farmer.db, key))


async def test_a_full_node_hears_who_there_is_and_fetches_whom_it_follows(village: Village) -> None:
    farmer = await found(village)
    small = await open_small(village, farmer)
    while small.home.keeping.size() < MEGABYTE:
        await small.ledger.transact(lambda tx: [tx.append(Profile("small", "x" * 200)) for _ in range(500)])

    baker = await village.join("baker", farmer)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    await baker.ledger.append(Profile("the new baker", ""))
    await until(farmer, lambda: farmer.ledger.block(bytes.fromhex(bread.id)))
    await until(small, lambda: knows(small, "the new baker"))
    assert small.ledger.block(bytes.fromhex(bread.id)) is None

    await following_actions.follow(small, wire.FollowMember("the new baker"))
    await until(small, lambda: small.ledger.block(bytes.fromhex(bread.id)))


@pytest.mark.parametrize("wanted", [True, False])
async def test_members_are_looked_for_on_the_local_network_where_the_user_wants_it(
    village: Village, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    opened: list[int] = []
    monkeypatch.setattr(Lan, "open", lambda self, port: opened.append(port))
    settings: dict[str, dict[str, object]] = {"network": {"host": ANY, "lan": wanted}}
    config = load(village.folder, LOOPBACK | settings)
    node = village.nodes["farmer"] = await Node.open(
        village.folder / "farmer", config, SystemClock(), SystemRandomness()
    )
    await commons.found(node, wire.FoundCommons("bridge", "", "farmer"))
    assert opened == ([node.home.network.address[1]] if wanted else [])
