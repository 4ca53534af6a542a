"""A group signs its own chain: what it decided, once, in one order, whoever coordinates and whoever stops."""

import asyncio
import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.dao.assembly import chronicle
from overlay.dao.assembly.turns import TURN_SECONDS
from overlay.dao.chain.group_chain import SHARE
from overlay.dao.chain.order_messages import Answered, AskLock, AskPrepare, AskShare, AskVote, Lock, Prepared, Proof
from overlay.dao.funds import account
from overlay.dao.keyring import group_key
from overlay.keys import PublicKey
from overlay.network.messages import decode, encode
from overlay.network.network import CallFailed, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import Decide, HoldLedgerShare, ProposeText, RecordPayout
from overlay.trustchain.statements import encode as encode_statement
from tests.dao.assembly_town import AssemblyTown
from tests.dao.group_town import GroupTown


def chain_of(town: GroupTown) -> list[HalfBlock]:
    """The group's chain as the members have it together; nobody has another block at any place."""
    found = {
        block.hash: block for member in town.all for block in blocks.chain(member.ledger.db, town.agent, 1, 99, 99)
    }
    chain = sorted(found.values(), key=lambda block: block.sequence_number)
    assert [block.sequence_number for block in chain] == list(range(1, len(chain) + 1))
    assert all(after.previous_hash == before.hash for before, after in itertools.pairwise(chain))
    assert all(block.has_valid_signature() for block in chain)
    return chain


def wait(town: GroupTown, seconds: float = 5 * TURN_SECONDS) -> None:
    town.clock.time += int(seconds * 1000)  # type: ignore[attr-defined]


async def test_what_is_decided_stands_on_the_groups_chain_as_its_half_of_an_agreement(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    assert await five.write(five.farmer) == []
    (block,) = chain_of(five)
    asked = blocks.by_hash(five.farmer.ledger.db, proposal)
    assert asked is not None
    said = meaning(block)
    assert isinstance(said, Decide)
    assert said.proposal == proposal
    assert len(said.votes) == 3
    assert (block.link_public_key, block.link_sequence_number) == (asked.public_key, asked.sequence_number)
    assert await five.farmer.ledger.ingest([block]) == []


async def test_nothing_is_said_twice_and_nothing_that_is_not_decided(five: GroupTown) -> None:
    await five.propose(five.baker)
    await five.tell()
    assert await five.write() == []
    await five.approved(five.engineer)
    for _ in range(3):
        assert await five.write() == []
        await five.tell()
        wait(five)
    assert len(chain_of(five)) == 1


async def test_a_payout_that_no_reorganisation_undoes_is_said_too(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    await five.write(five.farmer)
    await five.tell()
    assert await five.step(five.engineer) == []
    await five.mine(chronicle.SETTLED_DEPTH)
    assert await five.step() == []
    assert await five.write(five.farmer) == []
    decided, paid = chain_of(five)
    said = meaning(paid)
    assert isinstance(said, RecordPayout)
    assert said.proposal == proposal
    assert paid.previous_hash == decided.hash


async def test_the_group_says_of_no_proposal_made_to_look_alike_that_it_was_paid(
    five: GroupTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "LOCKTIME_BITS", 5)
    decided = await five.approved(five.engineer)
    await five.ground(five.welder, decided, lower=True)
    await five.tell()
    assert await five.step(five.engineer) == []
    await five.mine(chronicle.SETTLED_DEPTH)
    assert await five.step() == []
    for _ in range(3):
        assert await five.write() == []
        await five.tell()
        wait(five)
    about = [said.proposal for block in chain_of(five) if isinstance(said := meaning(block), Decide | RecordPayout)]
    assert about == [decided, decided]


async def test_the_group_is_silent_below_its_quorum_and_speaks_when_enough_are_back(five: GroupTown) -> None:
    await five.approved(five.engineer)
    five.lines.offline |= {five.welder.key, five.baker.key}
    assert "takes 4" in (await five.write(five.farmer))[0]
    assert chain_of(five) == []
    five.lines.offline.remove(five.baker.key)
    wait(five)
    assert await five.write(five.farmer) == []
    assert len(chain_of(five)) == 1


@pytest.mark.parametrize("at", range(2, 21, 4))
async def test_a_coordinator_that_dies_after_any_call_leaves_nothing_that_another_cannot_finish(
    five: GroupTown, at: int
) -> None:
    await five.approved(five.engineer)
    calls, died = 0, asyncio.Event()

    async def dies(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls > at:
            died.set()
            await asyncio.Event().wait()
        return None

    five.lines.instead = dies
    writing = asyncio.create_task(five.write(five.farmer))
    await asyncio.wait([writing, asyncio.create_task(died.wait())], return_when=asyncio.FIRST_COMPLETED)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    five.lines.instead = None
    await five.restart(five.farmer)
    for _ in range(3):
        wait(five)
        await five.write(five.baker, five.mechanic)
    assert len(chain_of(five)) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_two_coordinators_at_once_write_one_block(five: GroupTown, seed: int) -> None:
    await five.approved(five.engineer)
    chance = random.Random(seed)

    async def dawdles(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        for _ in range(chance.randint(0, 6)):
            await asyncio.sleep(0)
        if chance.random() < 0.1:
            raise CallFailed(peer, "lost")
        return None

    five.lines.instead = dawdles
    await five.write(five.baker, five.mechanic)  # they begin to wait for their turns
    wait(five)
    await asyncio.gather(*(five.write(member) for member in (five.farmer, five.baker, five.mechanic)))
    five.lines.instead = None
    for _ in range(4):
        wait(five)
        await five.write(five.farmer, five.baker)
    assert len(chain_of(five)) == 1


@pytest.mark.parametrize("at", range(1, 21, 6))
async def test_a_member_may_restart_before_any_call_and_keeps_its_promises(five: GroupTown, at: int) -> None:
    await five.approved(five.engineer)
    calls = 0

    async def restarts(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            await five.restart(next(member for member in five.all if member.key == peer))
        return None

    five.lines.instead = restarts
    for _ in range(3):
        wait(five)
        await five.write(five.farmer)
    assert len(chain_of(five)) == 1


async def test_shares_that_were_given_are_joined_by_whoever_comes_next(five: GroupTown) -> None:
    """The first coordinator got all shares and vanished with them: the next makes the very same block of them."""
    await five.approved(five.engineer)
    given: list[tuple[PublicKey, bytes]] = []

    async def vanishes(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        if service == SHARE:
            given.append((peer, await five.lines.services[peer][service](asker, payload)))
            raise CallFailed(peer, "the answer is lost")
        return None

    five.lines.instead = vanishes
    (failure,) = await five.write(five.farmer)
    assert "gave no valid share" in failure
    assert len(given) == 2  # beside the coordinator's own
    five.lines.instead = None
    await five.write(five.baker)
    wait(five)
    asked = len(five.lines.tapped)
    assert await five.write(five.baker) == []
    services = {service for _, _, service, _, _ in five.lines.tapped[asked:]}
    assert SHARE not in services  # nothing was signed anew
    assert len(chain_of(five)) == 1


async def test_a_member_answers_no_ballot_of_anothers_and_no_strangers(five: GroupTown) -> None:
    ask = encode(AskPrepare(five.id, 1, 1))  # the first ballot belongs to the second member
    with pytest.raises(Refusal, match="belongs to another member"):
        await five.welder.words.chain.prepare(five.farmer.key, ask)
    stranger = PublicKey(b"LibNaCLPK:" + bytes(64))
    with pytest.raises(Refusal, match="not a group of both"):
        await five.welder.words.chain.prepare(stranger, ask)
    with pytest.raises(Refusal, match="no such group"):
        await five.welder.words.chain.prepare(five.baker.key, encode(AskPrepare(bytes(32), 1, 1)))


async def test_a_member_signs_nothing_that_a_quorum_is_not_bound_to(five: GroupTown) -> None:
    five_chain = five.welder.words.chain
    proof = Proof((0, 1, 2, 3), (bytes(64),) * 4)
    nonces = (bytes([88]) + bytes([102]) * 31,) * 2
    ask = AskShare(five.id, 1, 1, proof, (1, 4), (b"".join(nonces),) * 2)
    with pytest.raises(Refusal, match="no nonce for this ballot"):
        await five_chain.share(five.baker.key, encode(ask))
    lock = Lock(1, draft(five, five.baker.key).pack(signature=False), proof)
    with pytest.raises(Refusal, match="is not its own"):
        await five_chain.lock(five.baker.key, encode(AskLock(five.id, 1, lock)))


async def test_a_member_votes_for_nothing_that_its_own_ledger_does_not_say(five: GroupTown) -> None:
    proposal = await five.propose(five.baker)
    await five.tell()
    answers = []
    for number, member in enumerate(five.all):
        told = decode(await member.words.chain.prepare(five.baker.key, encode(AskPrepare(five.id, 1, 1))), Prepared)
        answers.append(Answered(number, told.lock, told.signature))
    said = draft(five, five.baker.key, Decide(proposal, True, ()), blocks.by_hash(five.baker.ledger.db, proposal))
    ask = AskVote(five.id, 1, 1, said.pack(signature=False), tuple(answers))
    with pytest.raises(Refusal, match="not decided"):
        await five.welder.words.chain.vote(five.baker.key, encode(ask))
    for wrong, why in (
        (draft(five, five.baker.key), "nothing else"),
        (replace(said, sequence_number=2), "for this position"),
        (replace(said, previous_hash=BlockHash(bytes(32))), "the block before"),
        (replace(said, public_key=five.baker.key), "for this position"),
    ):
        asked = encode(AskVote(five.id, 1, 1, wrong.pack(signature=False), tuple(answers)))
        with pytest.raises(Refusal, match=why):
            await five.welder.words.chain.vote(five.baker.key, asked)


def draft(
    town: GroupTown, to: PublicKey, said: Decide | ProposeText | None = None, about: HalfBlock | None = None
) -> HalfBlock:
    """An unsigned block of the group."""
    kind, transaction = encode_statement(said or ProposeText(town.id, "We are", "all fools", 0))
    link = about.sequence_number if about else 0
    return HalfBlock(town.agent, 1, to, link, GENESIS_HASH, kind, transaction, 0)


@pytest.mark.parametrize("speaks_late", [False, True])
async def test_no_late_word_of_a_removed_member_takes_the_groups_key_back(tmp_path: Path, speaks_late: bool) -> None:
    """The first key lacks one word when its holder is removed; those who stay make another, and that is the group's."""
    town = AssemblyTown(tmp_path)
    farmer, baker, mechanic = town.add("farmer", "baker", "mechanic")
    id_ = await town.found((farmer.key, baker.key, mechanic.key))
    first, second, recovery = bytes([1]) * 32, bytes([2]) * 32, bytes(32)
    for person in (farmer, baker):
        await person.say(HoldLedgerShare(id_, first, recovery))
    change = await farmer.amend(id_, remove=(mechanic.key,))
    await town.vote(change, farmer="yes", baker="yes")
    for person in (farmer, baker):
        await person.say(HoldLedgerShare(change, second, recovery))
    if speaks_late:
        await mechanic.say(HoldLedgerShare(id_, first, recovery))
    await town.tell()
    db, group = farmer.ledger.db, farmer.group(id_)
    agent = group_key.agent_of(db, group)
    assert agent == group_key.agent_key(id_, second)
    for position in (1, 2):
        by = group_key.writers(db, group, agent, position)
        assert by is not None
        assert by.members == (farmer.key, baker.key)
    town.close()


async def test_a_key_shared_anew_is_written_with_by_its_first_holders_until_the_group_hands_over(
    tmp_path: Path,
) -> None:
    town = AssemblyTown(tmp_path)
    farmer, baker, mechanic = people = town.add("farmer", "baker", "mechanic")
    id_ = await town.found(person.key for person in people)
    for person in people:
        await person.say(HoldLedgerShare(id_, bytes([1]) * 32, bytes(32)))
    change = await farmer.amend(id_, remove=(mechanic.key,))
    await town.vote(change, farmer="yes", baker="yes")
    for person in (farmer, baker):
        await person.say(HoldLedgerShare(change, bytes([1]) * 32, bytes([9]) * 32))
    await town.tell()
    group = farmer.group(id_)
    agent = group_key.agent_of(farmer.ledger.db, group)
    assert agent == group_key.agent_key(id_, bytes([1]) * 32)
    by = group_key.writers(farmer.ledger.db, group, agent, 1)
    assert by is not None
    assert by.version == id_
    town.close()
