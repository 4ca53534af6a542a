"""The view of groups says the same whatever came first, and nobody's lie becomes a fact in it."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.assembly.ballots import ballots, deciders
from overlay.dao.assembly.charters import charters
from overlay.dao.assembly.governance import tally
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.proposals import payments, texts
from overlay.dao.assembly.shares import host_keys, share_holders, threshold_key
from overlay.keys import Identity
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import (
    Anything,
    CastVote,
    Decide,
    FoundGroup,
    HoldShare,
    ProposePayment,
    ProposeText,
    RecordPayout,
    SignCharter,
    encode,
)
from tests.town import HandClock, SeededRandomness

NOW = 1_800_000_000_000
TABLES = [
    f"group_{name}"
    for name in ("charter", "member", "signature", "share", "payment", "text", "vote", "decision", "payout")
]
FARMER, BAKER, MECHANIC, STRANGER = (Identity.from_seed(bytes([seed]) * 64) for seed in range(1, 5))
MEMBERS = (FARMER, BAKER, MECHANIC)
KEYS = tuple(member.public_key for member in MEMBERS)


class Pen:
    """Signs chains on paper, forks too."""

    def __init__(self) -> None:
        self.written: list[HalfBlock] = []
        self.heads: dict[bytes, tuple[int, bytes]] = {}

    def write(self, author: Identity, said: Anything, *, at: int | None = None) -> BlockHash:
        number, previous = self.heads.get(author.public_key, (0, GENESIS_HASH))
        if at is not None:
            number, previous = at - 1, GENESIS_HASH if at == 1 else bytes(32)
        kind, transaction = encode(said)
        unsigned = HalfBlock(author.public_key, number + 1, ANYONE, 0, BlockHash(previous), kind, transaction, NOW)
        block = unsigned.signed_by(author)
        if at is None:
            self.heads[author.public_key] = (number + 1, block.hash)
        self.written.append(block)
        return block.hash


@pytest.fixture
def pen() -> Pen:
    return Pen()


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator["Shelf"]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


class Shelf:
    """Opens as many ledgers as a test needs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened = folder, list[Ledger]()

    async def holding(self, written: list[HalfBlock]) -> sqlite3.Connection:
        path = self.folder / f"{len(self.opened)}.db"
        ledger = Ledger(path, FARMER, [GroupsView()], HandClock(), SeededRandomness("x"), "NORMAL")
        self.opened.append(ledger)
        assert await ledger.ingest(written) == []
        return ledger.db

    def close(self) -> None:
        for ledger in self.opened:
            ledger.close()


def found(pen: Pen, approvals: int = 2, threshold: int = 2) -> BlockHash:
    return pen.write(FARMER, FoundGroup("bridge", "rebuild it", KEYS, approvals, threshold))


def propose(pen: Pen, group: BlockHash, author: Identity = FARMER, deadline: int = NOW + 1000) -> BlockHash:
    said = ProposePayment(group, "weld", "", KEYS[1], b"\x51\x20" + bytes(32), 1000, 100, deadline)
    return pen.write(author, said)


def everything(pen: Pen) -> BlockHash:
    """A history with every statement, and with lies, strangers and a fork in it."""
    group = found(pen)
    for number, member in enumerate((*MEMBERS, STRANGER)):
        pen.write(member, SignCharter(group, bytes([2]) + bytes([number + 1]) * 32))
        pen.write(member, HoldShare(group, bytes([2]) + bytes([9]) * 32, bytes(32)))
    proposal = propose(pen, group)
    propose(pen, group, STRANGER)
    words = pen.write(BAKER, ProposeText(group, "open on Sundays", "from May on", NOW + 500))
    pen.write(BAKER, CastVote(words, "yes", ""))
    yes = [pen.write(member, CastVote(proposal, "yes", "")) for member in (FARMER, BAKER, STRANGER)]
    pen.write(MECHANIC, CastVote(proposal, "no", "too dear"))
    pen.write(FARMER, Decide(proposal, True, tuple(yes[:2])))
    pen.write(MECHANIC, Decide(proposal, True, tuple(yes)))
    pen.write(BAKER, RecordPayout(proposal, bytes(32), 7, (0, 1)))
    pen.write(MECHANIC, CastVote(proposal, "yes", "well"), at=3)
    return proposal


def seen(db: sqlite3.Connection) -> list[object]:
    """All tables and all that is judged from them."""
    rows: list[object] = [sorted(db.execute(f"SELECT * FROM {table}").fetchall()) for table in TABLES]
    for group in charters(db):
        rows += [host_keys(db, group), share_holders(db, group), threshold_key(db, group)]
        for asked in (*payments(db, group), *texts(db, group)):
            rows += [tally(db, group, asked, NOW), payouts(db, group, asked.id)]
    return rows


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
async def test_blocks_in_any_order_and_twice_give_the_same_tables_and_tallies(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    pen = Pen()
    everything(pen)
    shuffled = pen.written + random.Random(seed).sample(pen.written, 5)
    random.Random(seed).shuffle(shuffled)
    shelf = Shelf(tmp_path_factory.mktemp("order"))
    try:
        assert seen(await shelf.holding(pen.written)) == seen(await shelf.holding(shuffled))
    finally:
        shelf.close()


async def test_a_rebuild_gives_the_live_state(pen: Pen, ledgers: Shelf) -> None:
    everything(pen)
    db = await ledgers.holding(pen.written)
    live = seen(db)
    await ledgers.opened[0].rebuild()
    assert seen(db) == live


@pytest.mark.parametrize(
    ("members", "approvals", "threshold"),
    [
        (KEYS, 4, 2),
        (KEYS, 2, 3),
        ((*KEYS, KEYS[0]), 2, 2),
        (KEYS[1:], 2, 2),
    ],
    ids=["more yes votes than members", "more shares than yes votes", "a member twice", "a founder outside"],
)
async def test_a_charter_that_cannot_work_founds_nothing(
    pen: Pen, ledgers: Shelf, members: tuple[bytes, ...], approvals: int, threshold: int
) -> None:
    pen.write(FARMER, FoundGroup("bridge", "", members, approvals, threshold))
    assert charters(await ledgers.holding(pen.written)) == []


async def test_strangers_neither_propose_nor_vote_nor_decide_nor_record(pen: Pen, ledgers: Shelf) -> None:
    group = found(pen)
    theirs, ours = propose(pen, group, STRANGER), propose(pen, group)
    votes = tuple(pen.write(each, CastVote(ours, "yes", "")) for each in (FARMER, STRANGER))
    pen.write(STRANGER, Decide(ours, True, votes))
    pen.write(STRANGER, RecordPayout(ours, bytes(32), 7, ()))
    db = await ledgers.holding(pen.written)
    (charter,) = charters(db)
    assert [each.id for each in payments(db, charter)] == [ours]
    assert [each.voter for each in ballots(db, charter, ours)] == [FARMER.public_key]
    assert deciders(db, charter, ours, 2) == {}
    assert payouts(db, charter, ours) == []
    assert theirs != ours


async def test_the_latest_vote_on_a_members_own_chain_counts_and_counts_once(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    for choice in ("yes", "yes", "abstain", "no"):
        last = pen.write(BAKER, CastVote(proposal, choice, ""))
    db = await ledgers.holding(pen.written[::-1])
    assert [(each.choice, each.block) for each in ballots(db, charters(db)[0], proposal)] == [("no", last)]


async def test_a_member_proven_to_have_signed_two_histories_has_no_vote(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    votes = tuple(pen.write(member, CastVote(proposal, "yes", "")) for member in MEMBERS)
    for member in MEMBERS:
        pen.write(member, Decide(proposal, True, votes))
    pen.write(BAKER, CastVote(proposal, "no", ""), at=1)
    db = await ledgers.holding(pen.written)
    (group,) = charters(db)
    stands = tally(db, group, payments(db, group)[0], NOW)
    assert (stands.count("yes"), stands.final, BAKER.public_key in stands.missing) == (2, False, False)


async def test_a_right_decision_counts_only_from_members_who_signed_one_history(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    votes = tuple(pen.write(member, CastVote(proposal, "yes", "")) for member in (FARMER, BAKER))
    for author in (FARMER, MECHANIC, STRANGER):
        pen.write(author, Decide(proposal, True, votes))
    pen.write(BAKER, Decide(proposal, False, votes))
    pen.write(MECHANIC, CastVote(proposal, "no", ""), at=1)
    db = await ledgers.holding(pen.written)
    assert tuple(deciders(db, charters(db)[0], proposal, 2)) == (FARMER.public_key,)


@pytest.mark.parametrize("wrong", ["no vote", "another proposal", "one voter twice", "too few", "unknown"])
async def test_a_decision_that_names_wrong_votes_counts_for_nothing(pen: Pen, ledgers: Shelf, wrong: str) -> None:
    group = found(pen)
    proposal, other = propose(pen, group), propose(pen, group, deadline=NOW + 2000)
    yes = pen.write(FARMER, CastVote(proposal, "yes", ""))
    again = pen.write(FARMER, CastVote(proposal, "yes", "really"))
    named = {
        "no vote": (yes, pen.write(BAKER, CastVote(proposal, "no", ""))),
        "another proposal": (yes, pen.write(BAKER, CastVote(other, "yes", ""))),
        "one voter twice": (yes, again),
        "too few": (yes,),
        "unknown": (yes, bytes(32)),
    }[wrong]
    for member in MEMBERS:
        pen.write(member, Decide(proposal, True, named))
    db = await ledgers.holding(pen.written)
    assert deciders(db, charters(db)[0], proposal, 2) == {}


async def test_less_than_the_threshold_cannot_revive_a_proposal_after_its_deadline(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    votes = tuple(pen.write(member, CastVote(proposal, "yes", "")) for member in (FARMER, BAKER))
    pen.write(FARMER, Decide(proposal, True, votes))
    pen.write(FARMER, Decide(proposal, True, votes[::-1]))
    db = await ledgers.holding(pen.written)
    (group,) = charters(db)
    late = NOW + 5000
    assert tally(db, group, payments(db, group)[0], late).outcome.value == "lapsed"
    pen.write(BAKER, Decide(proposal, True, votes))
    db = await ledgers.holding(pen.written)
    assert tally(db, group, payments(db, group)[0], late).final


async def test_a_vote_changed_after_the_decision_takes_nothing_back(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    votes = tuple(pen.write(member, CastVote(proposal, "yes", "")) for member in (FARMER, BAKER))
    for member in (FARMER, BAKER):
        pen.write(member, Decide(proposal, True, votes))
    pen.write(BAKER, CastVote(proposal, "no", "changed my mind"))
    db = await ledgers.holding(pen.written)
    (group,) = charters(db)
    assert tally(db, group, payments(db, group)[0], NOW + 5000).outcome.value == "approved"


async def test_a_payout_is_one_when_the_threshold_recorded_the_same_transaction(pen: Pen, ledgers: Shelf) -> None:
    proposal = propose(pen, found(pen))
    pen.write(MECHANIC, RecordPayout(proposal, b"\xff" * 32, 1, (0, 1, 2, 9)))
    pen.write(FARMER, RecordPayout(proposal, bytes(32), 7, ()))
    db = await ledgers.holding(pen.written)
    assert payouts(db, charters(db)[0], proposal) == []
    pen.write(BAKER, RecordPayout(proposal, bytes(32), 6, (0, 1)))
    pen.write(BAKER, RecordPayout(proposal, bytes(32), 7, (0, 1)))
    db = await ledgers.holding(pen.written)
    agreed = payouts(db, charters(db)[0], proposal)
    assert [(each.txid, each.height, each.signers) for each in agreed] == [
        (bytes(32), 7, KEYS[:2]),
        (bytes(32), 7, ()),
    ]


async def test_nobody_can_take_back_a_key_that_all_have_said_they_hold(pen: Pen, ledgers: Shelf) -> None:
    group = found(pen)
    key, other = bytes([2]) + bytes([9]) * 32, bytes([2]) + bytes([8]) * 32
    for member in MEMBERS:
        pen.write(member, SignCharter(group, bytes([2]) + bytes([7]) * 32))
        pen.write(member, HoldShare(group, key, bytes(32)))
    pen.write(BAKER, HoldShare(group, other, bytes(32)))
    pen.write(BAKER, HoldShare(group, other, bytes(32)), at=1)
    db = await ledgers.holding(pen.written)
    assert threshold_key(db, charters(db)[0]) == key
    assert blocks.has_forked(db, BAKER.public_key)
