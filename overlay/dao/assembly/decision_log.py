"""A group's decisions as a list that can be checked against the blocks: who voted, who counted, what came of it.

Every vote and every word names its block; the blocks are signed by their authors and chained, so whoever holds them can
fold them anew and get the same list.
"""

import sqlite3
from collections.abc import Iterator

import msgspec

from overlay.dao.assembly.bylaws import Charter
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.motions import Place, place
from overlay.dao.assembly.payouts import payouts
from overlay.dao.assembly.proposals import Proposal, proposal, versions_of
from overlay.dao.assembly.tallies import Tally, tally
from overlay.dao.assembly.words import marks, words
from overlay.keys import PublicKey

FORMAT = "counterfoil decision log 1"


class Vote(msgspec.Struct, frozen=True):
    """A vote that counts, by its block; `through` are those it was left to."""

    voter: str
    choice: str
    reason: str
    block: str
    through: tuple[str, ...]


class Counted(msgspec.Struct, frozen=True):
    """A word: whose node counted enough votes, where on its chain, and when by its clock (milliseconds)."""

    author: str
    sequence: int
    time: int
    votes: tuple[str, ...]


class Entry(msgspec.Struct, frozen=True):
    """One proposal. `charter` is the version that judges it; ids and keys in hex, times in milliseconds."""

    format: str
    number: str
    id: str
    group: str
    charter: str
    charter_number: int
    kind: str
    title: str
    proposer: str
    opened: int
    deadline: int
    outcome: str
    final: bool
    votes: tuple[Vote, ...]
    words: tuple[Counted, ...]
    counted_by: tuple[str, ...]
    payouts: tuple[str, ...]


def number(group: Charter, asked: Place) -> str:
    """The proposer's place in the group, a dash, and the proposal's place on the proposer's chain.

    Members keep their places for ever, and a chain its order, so all nodes have the same number for a proposal, always.
    It says nothing of the order of proposals of different members: only a chain that all of them share could. Who
    proposes for a group that is a member has place 0, and the first digits of its key behind the number.
    """
    if asked.proposer in group.roster:
        return f"{group.roster.index(asked.proposer) + 1}-{asked.sequence}"
    return f"0-{asked.sequence}-{asked.proposer[42:46].hex()}"


def entries(db: sqlite3.Connection, group: Charter, now: int) -> Iterator[Entry]:
    """All proposals of a group's members, under all versions of its charter, in the order of their deadlines."""
    named = versions_of(db, group)
    rows = db.execute(
        f"SELECT id FROM group_proposal WHERE charter IN ({marks(named)}) ORDER BY deadline, id",  # noqa: S608
        named,
    )
    for (id_,) in rows.fetchall():
        asked, found = proposal(db, id_), place(db, id_)
        version = charter(db, asked.group) if asked else None
        if asked is not None and found is not None and version is not None:
            yield _entry(db, version, asked, found, tally(db, version, asked, now))


def _entry(db: sqlite3.Connection, group: Charter, asked: Proposal, found: Place, stands: Tally) -> Entry:
    return Entry(
        format=FORMAT,
        number=number(group, found),
        id=asked.id.hex(),
        group=group.id.hex(),
        charter=group.version.hex(),
        charter_number=len(group.versions),
        kind=found.kind,
        title=asked.title,
        proposer=asked.proposer.hex(),
        opened=found.opened,
        deadline=asked.deadline,
        outcome=stands.outcome.value,
        final=stands.final,
        votes=tuple(
            Vote(each.voter.hex(), each.choice, each.reason, each.block.hex(), _hex(each.through))
            for each in stands.ballots
        ),
        words=tuple(
            Counted(word.author.hex(), word.sequence, word.time, tuple(vote.hex() for vote in word.votes))
            for word in words(db, asked.id)
        ),
        counted_by=_hex(stands.deciders),
        payouts=tuple(sorted({each.txid.hex() for each in payouts(db, group, asked.id)})),
    )


def _hex(keys: tuple[PublicKey, ...]) -> tuple[str, ...]:
    return tuple(key.hex() for key in keys)
