"""When who belongs changes, the key is dealt anew: the address and the chain stay, and the new members hold them."""

import asyncio

import pytest

from overlay.dao.assembly import amendments
from overlay.dao.assembly.charters import Charter, current
from overlay.dao.assembly.shares import custodians, threshold_key
from overlay.dao.keyring import custody, group_key
from overlay.dao.keyring.keygen import KeygenFailed
from overlay.dao.keyring.messages import AskDeal
from overlay.keys import PublicKey
from overlay.network.messages import encode
from overlay.network.network import CallFailed
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import AmendCharter, Decide, HandOver, SignCharter
from tests.dao.group_town import MINUTE, GroupTown, Member

DEAL, RECEIVE, FINISH = "keygen.deal", "keygen.receive", "keygen.finish"


async def amend(town: GroupTown, *, admit: tuple[Member, ...], remove: tuple[Member, ...], threshold: int) -> Charter:
    """A version that all voted for, counted and signed."""
    farmer, coming, going = town.farmer, tuple(each.key for each in admit), tuple(each.key for each in remove)
    said = AmendCharter(town.id, "members", "", coming, going, threshold, (), town.clock.now() + 60 * MINUTE)
    id_ = (await farmer.ledger.transact(lambda tx: amendments.propose_amendment(tx, said))).hash
    voters = [member for member in town.all if member not in admit]
    await town.vote(id_, **{member.role: "yes" for member in voters})
    await town.decide(id_, *admit)
    await town.tell()
    for member in town.all:
        if member not in remove:
            await member.say(SignCharter(id_, custody.host_key(member.identity, id_)))
    await town.tell()
    made = current(farmer.ledger.db, id_)
    assert made is not None
    assert made.version == id_
    return made


async def reshare(town: GroupTown, version: Charter) -> None:
    member = next(each for each in town.all if each.keygen.is_due(version))
    await member.keygen.coordinate(version)
    await town.tell()


async def changed(town: GroupTown) -> Charter:
    """Of three, two of whom sign, the mechanic goes, and engineer and welder come; now three of four sign."""
    new = (town.add("engineer"), town.add("welder"))
    await town.tell()
    return await amend(town, admit=new, remove=(town.mechanic,), threshold=3)


def holders(town: GroupTown) -> list[Member]:
    return [town.members[role] for role in ("farmer", "baker", "engineer", "welder")]


async def test_the_new_members_hold_the_same_treasury_and_pay_from_it(three: GroupTown) -> None:
    script, before = three.script, three.farmer.share(three.id)
    version = await changed(three)
    assert custodians(three.baker.ledger.db, version).version == three.id
    await reshare(three, version)
    for member in holders(three):
        share = custody.share_of(member.ledger.db, member.identity, version)
        assert share is not None
        assert share.keepers.version == version.version
        assert share.output.thresh_pk == before.output.thresh_pk
    assert three.script == script
    proposal = await paid(three, version)
    await three.mine()
    assert await three.step(*holders(three)) == []
    assert proposal


async def test_three_become_thirteen_and_pay_together(three: GroupTown) -> None:
    coming = tuple(three.add(f"member {number}") for number in range(10))
    await three.tell()
    version = await amend(three, admit=coming, remove=(), threshold=7)
    await reshare(three, version)
    proposal = await three.propose(coming[-1], group=version.version)
    await three.vote(proposal, **{member.role: "yes" for member in coming})
    await three.decide(proposal)
    assert await three.step(coming[-1]) == []
    assert len(await three.mempool()) == 1
    await three.mine()
    assert await three.step(*three.all) == []


async def paid(town: GroupTown, version: Charter) -> BlockHash:
    """A payment by the new members alone."""
    town.lines.offline.add(town.mechanic.key)
    proposal = await town.propose(town.welder, group=version.version)
    await town.vote(proposal, farmer="yes", engineer="yes", welder="yes")
    await town.decide(proposal, town.mechanic)
    assert await town.step(town.welder) == []
    assert len(await town.mempool()) == 1
    return proposal


async def test_the_chain_is_handed_over_and_goes_on_under_the_same_key(three: GroupTown) -> None:
    agent = three.agent
    version = await changed(three)
    await reshare(three, version)
    for _ in range(6):
        three.clock.time += 60_000  # type: ignore[attr-defined]
        await three.write(*three.all)
        await three.tell()
    chain = blocks.chain(three.welder.ledger.db, agent, 1, 99, 99)
    said = [meaning(block) for block in chain]
    assert any(isinstance(each, HandOver) and each.version == version.version for each in said)
    by = group_key.writers(three.welder.ledger.db, version, agent, len(chain) + 1)
    assert by is not None
    assert by.version == version.version
    three.lines.offline.add(three.mechanic.key)
    proposal = await three.propose(three.welder, group=version.version)
    await three.vote(proposal, farmer="yes", engineer="yes", welder="yes")
    await three.decide(proposal, three.mechanic)
    for _ in range(3):
        three.clock.time += 60_000  # type: ignore[attr-defined]
        await three.write(*holders(three))
    (last,) = blocks.at(three.farmer.ledger.db, agent, len(chain) + 1)
    decided = meaning(last)
    assert isinstance(decided, Decide)
    assert decided.proposal == proposal
    assert not any(blocks.has_forked(member.ledger.db, agent) for member in three.all)


async def test_what_restores_old_shares_is_deleted_once_nothing_needs_it(three: GroupTown) -> None:
    version = await changed(three)
    await reshare(three, version)
    assert custody.keeps_older(three.farmer.ledger.db, version)
    for _ in range(6):
        three.clock.time += 60_000  # type: ignore[attr-defined]
        await three.write(*three.all)
        await three.tell()
    assert three.farmer.keygen.is_due(version)
    await three.farmer.keygen.coordinate(version)
    assert not custody.keeps_older(three.farmer.ledger.db, version)
    assert not three.farmer.keygen.is_due(version)
    assert custody.share_of(three.farmer.ledger.db, three.farmer.identity, version) is not None


async def test_a_new_member_that_loses_its_device_gets_its_share_back(three: GroupTown) -> None:
    version = await changed(three)
    await reshare(three, version)
    welder = three.welder
    before = custody.share_of(welder.ledger.db, welder.identity, version)
    await three.stop(welder)
    (three.folder / "welder.db").unlink()
    await three.restart_from_nothing(welder)
    three.lines.offline.add(three.farmer.key)
    assert await welder.keygen.restore(version)
    assert custody.share_of(welder.ledger.db, welder.identity, version) == before
    three.lines.offline.clear()
    await paid(three, version)


@pytest.mark.parametrize("at", range(1, 14, 5))
async def test_a_coordinator_that_dies_after_any_call_goes_on_after_its_restart(three: GroupTown, at: int) -> None:
    version = await changed(three)
    calls, died = 0, asyncio.Event()

    async def dies(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls > at:
            died.set()
            await asyncio.Event().wait()
        return None

    three.lines.instead = dies
    dealing = asyncio.create_task(three.farmer.keygen.coordinate(version))
    await asyncio.wait([dealing, asyncio.create_task(died.wait())], return_when=asyncio.FIRST_COMPLETED)
    dealing.cancel()
    await asyncio.gather(dealing, return_exceptions=True)
    three.lines.instead = None
    await three.restart(three.farmer)
    await three.tell()
    if three.farmer.keygen.is_due(version):
        await reshare(three, version)
    keys = {threshold_key(member.ledger.db, version) for member in holders(three)}
    assert custodians(three.welder.ledger.db, version).version == version.version
    assert len(keys) == 1
    assert None not in keys


async def test_a_dealer_that_is_away_or_deals_wrongly_is_replaced(three: GroupTown) -> None:
    version = await changed(three)
    asked: list[PublicKey] = []

    async def spoils(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        if service == DEAL:
            asked.append(peer)
            if peer == three.baker.key:
                return bytes(300)
        return None

    three.lines.instead = spoils
    await reshare(three, version)
    assert three.mechanic.key in asked  # who leaves may still deal
    assert custodians(three.welder.ledger.db, version).version == version.version


async def test_without_enough_dealers_nothing_changes_and_the_old_members_still_pay(three: GroupTown) -> None:
    version = await changed(three)
    three.lines.offline |= {three.baker.key, three.mechanic.key}
    with pytest.raises(KeygenFailed, match="tried again"):
        await three.farmer.keygen.coordinate(version)
    assert custodians(three.farmer.ledger.db, version).version == three.id


async def test_nobody_deals_for_a_version_that_was_not_adopted_or_not_signed(three: GroupTown) -> None:
    line = three.farmer.keygen.treasury._network
    said = AmendCharter(three.id, "coup", "", (), (three.mechanic.key,), 2, (), three.clock.now() + 60 * MINUTE)
    id_ = (await three.farmer.ledger.transact(lambda tx: amendments.propose_amendment(tx, said))).hash
    await three.tell()
    with pytest.raises(CallFailed, match="no such version"):
        await line.call(three.baker.key, DEAL, encode(AskDeal(id_, (0, 1))))
    version = await changed(three)
    stranger = three.mechanic.keygen.treasury._network
    with pytest.raises(CallFailed, match="another member coordinates"):
        await stranger.call(three.baker.key, DEAL, encode(AskDeal(version.version, (0, 1))))
