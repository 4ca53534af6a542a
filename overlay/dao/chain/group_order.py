"""The order of a group's chain: what one member promises on disk, so that no position ever gets two statements.

One position is one agreement in ballots, after Castro and Liskov (PBFT, view changes) and Lamport (Paxos): a member
*promises* a ballot, *votes* once in it, is *locked* to what a quorum voted for, and gives a share of the group's
signature for what a quorum is locked to. A ballot belongs to one coordinator. A quorum is `quorum(n, t)` members: any
two have at least t in common, of whom one is honest unless t conspire, so what a quorum is locked to is seen by
everybody who prepares a later ballot. Proof: docs/decisions/group-chain-order.md.

All functions work inside the writer's transaction; an answer leaves when that is on disk.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from overlay.dao.assembly.charters import Charter
from overlay.dao.chain.order_messages import Answered, Given, Lock, Proof
from overlay.keys import Identity, verify
from overlay.trustchain.block import HalfBlock

SCHEMA = """
CREATE TABLE IF NOT EXISTS groupchain_promise (
    charter BLOB NOT NULL, position INTEGER NOT NULL, promised INTEGER NOT NULL, voted_ballot INTEGER NOT NULL,
    voted BLOB NOT NULL, locked BLOB NOT NULL, shared BLOB NOT NULL, PRIMARY KEY (charter, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groupchain_share (
    charter BLOB NOT NULL, position INTEGER NOT NULL, ballot INTEGER NOT NULL, given BLOB NOT NULL,
    PRIMARY KEY (charter, position, ballot)) WITHOUT ROWID;
"""
# Shares that a member tells of: a position that needed more sessions than that has other troubles.
MAX_GIVEN = 64

# How far a member follows at once. An attempt goes up by at most 2n; whoever wants to use all ballots up has to be
# answered 2^22 times, each time after a write to disk and within the limits for one member's requests.
MAX_STEP = 1 << 40

_DOMAIN = b"counterfoil group chain\x00"
_lock_decoder = msgspec.msgpack.Decoder(Lock)
_given_decoder = msgspec.msgpack.Decoder(Given)


class OutOfOrder(Exception):
    """What was asked contradicts a promise, or is not proven; the message says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """One position of one group's chain."""

    group: Charter
    position: int

    @property
    def quorum(self) -> int:
        return quorum(len(self.group.members), self.group.threshold)

    def owner(self, ballot: int) -> int:
        """Whose ballot it is: the place in the charter of the only member that may coordinate it."""
        return ballot % len(self.group.members)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a member has promised for one place."""

    promised: int = 0
    voted_ballot: int = 0
    voted: bytes = b""
    lock: Lock | None = None
    shared: bytes = b""


def quorum(n: int, t: int) -> int:
    """The least number of members such that any two sets of so many have `t` in common: (n + t) / 2, rounded up."""
    return (n + t + 1) // 2


def statement(block: HalfBlock) -> bytes:
    """The hash that stands for an unsigned half-block in promises: of what the group's key is to sign."""
    return hashlib.sha256(block.pack(signature=False)).digest()


def said(kind: bytes, place: Place, ballot: int, about: bytes) -> bytes:
    """What a member signs with its own key for others to show around."""
    where = place.group.id + place.position.to_bytes(4) + ballot.to_bytes(8)
    return _DOMAIN + kind + b"\x00" + where + hashlib.sha256(about).digest()


def next_ballot(place: Place, number: int, seen: int) -> int:
    """The lowest ballot of the member at `number` that is above `seen`."""
    size = len(place.group.members)
    return seen + 1 + (number - seen - 1) % size


def promise_of(db: sqlite3.Connection, place: Place) -> Promise:
    """What this member has promised."""
    row = db.execute(
        "SELECT promised, voted_ballot, voted, locked, shared FROM groupchain_promise"
        " WHERE charter = ? AND position = ?",
        (place.group.id, place.position),
    ).fetchone()
    if row is None:
        return Promise()
    lock = _lock_decoder.decode(row[3]) if row[3] else None
    return Promise(row[0], row[1], bytes(row[2]), lock, bytes(row[4]))


def shares_given(db: sqlite3.Connection, place: Place) -> tuple[Given, ...]:
    """The shares that this member gave for one place, newest first."""
    rows = db.execute(
        "SELECT given FROM groupchain_share WHERE charter = ? AND position = ? ORDER BY ballot DESC LIMIT ?",
        (place.group.id, place.position, MAX_GIVEN),
    )
    return tuple(_given_decoder.decode(raw) for (raw,) in rows)


def prepare(db: sqlite3.Connection, identity: Identity, place: Place, ballot: int) -> tuple[Promise, bytes]:
    """Promise a ballot, unless a higher one is promised: what is promised now, and our signature about it.

    Raises OutOfOrder for a ballot that is far above.
    """
    had = promise_of(db, place)
    if ballot > had.promised + MAX_STEP:
        raise OutOfOrder("this ballot is too far above the last one")
    now = _keep(db, place, replace(had, promised=max(had.promised, ballot)))
    return now, identity.sign(said(b"prepared", place, now.promised, _encoded(now.lock)))


def vote(
    db: sqlite3.Connection, identity: Identity, place: Place, ballot: int, block: HalfBlock, answers: Sequence[Answered]
) -> bytes:
    """Vote for a block in a ballot: our signature. Raises OutOfOrder.

    Whoever calls this has judged the block, unless `bound_by(answers)` names it.
    """
    had, about = promise_of(db, place), statement(block)
    bound = bound_by(place, ballot, answers)
    if bound is not None and bound.block != block.pack(signature=False):
        raise OutOfOrder("a quorum may be bound to another block")
    if ballot < had.promised:
        raise OutOfOrder(f"ballot {had.promised} is promised")
    if had.voted_ballot == ballot and had.voted != about:
        raise OutOfOrder("this member voted for another block in this ballot")
    _keep(db, place, replace(had, promised=ballot, voted_ballot=ballot, voted=about))
    return identity.sign(said(b"voted", place, ballot, about))


def lock(db: sqlite3.Connection, identity: Identity, place: Place, to: Lock, about: bytes) -> bytes:
    """Be bound to a block, whose `statement` is `about`, that a quorum voted for: our signature. Raises OutOfOrder."""
    had = promise_of(db, place)
    _check_proof(b"voted", place, to.ballot, about, to.votes)
    if to.ballot < had.promised:
        raise OutOfOrder(f"ballot {had.promised} is promised")
    _keep(db, place, replace(had, promised=to.ballot, lock=to))
    return identity.sign(said(b"locked", place, to.ballot, about))


def give(db: sqlite3.Connection, place: Place, ballot: int, locks: Proof, given: Given) -> None:
    """Promise a share, which may leave when this is on disk. Raises OutOfOrder.

    One session per ballot, none below a promised ballot, and never for another block than the first.
    """
    had = promise_of(db, place)
    _check_proof(b"locked", place, ballot, given.block, locks)
    if ballot < had.promised:
        raise OutOfOrder(f"ballot {had.promised} is promised")
    if had.shared not in (b"", given.block):
        raise OutOfOrder("this member gave a share for another block")
    if share_in(db, place, ballot) is not None:
        raise OutOfOrder("this member gave its share of this ballot")
    _keep(db, place, replace(had, promised=ballot, shared=given.block))
    row = (place.group.id, place.position, ballot, msgspec.msgpack.encode(given))
    db.execute("INSERT INTO groupchain_share VALUES (?,?,?,?)", row)


def share_in(db: sqlite3.Connection, place: Place, ballot: int) -> Given | None:
    """The share that this member gave in one ballot."""
    row = db.execute(
        "SELECT given FROM groupchain_share WHERE charter = ? AND position = ? AND ballot = ?",
        (place.group.id, place.position, ballot),
    ).fetchone()
    return _given_decoder.decode(row[0]) if row else None


def bound_by(place: Place, ballot: int, answers: Iterable[Answered]) -> Lock | None:
    """What the answers of a quorum to the preparation of a ballot leave to be voted for; None leaves the choice.

    Raises OutOfOrder where they are no quorum's or not what their members signed.
    """
    known = {answer.member: answer for answer in answers}
    if len(known) < place.quorum:
        raise OutOfOrder(f"{len(known)} answers are fewer than the quorum of {place.quorum}")
    for number, answer in known.items():
        _check_signed(place, number, said(b"prepared", place, ballot, _encoded(answer.lock)), answer.signature)
    locks = [answer.lock for answer in known.values() if answer.lock is not None]
    for each in locks:
        if each.ballot > ballot:  # whoever is bound by a later ballot has promised it, and answers to no earlier one
            raise OutOfOrder("an answer shows a lock of a later ballot")
        _check_proof(b"voted", place, each.ballot, hashlib.sha256(each.block).digest(), each.votes)
    return max(locks, key=lambda each: each.ballot, default=None)


def _check_proof(kind: bytes, place: Place, ballot: int, about: bytes, proof: Proof) -> None:
    count = len(proof.signers)  # each signature costs a check, so that none may come twice
    if len(set(proof.signers)) < max(place.quorum, count) or count != len(proof.signatures):
        raise OutOfOrder(f"a proof takes the signatures of {place.quorum} members, each once")
    message = said(kind, place, ballot, about)
    for number, signature in zip(proof.signers, proof.signatures, strict=True):
        _check_signed(place, number, message, signature)


def _check_signed(place: Place, number: int, message: bytes, signature: bytes) -> None:
    members = place.group.members
    if number >= len(members) or not verify(members[number], message, signature):
        raise OutOfOrder(f"the signature of member {number} is not its own")


def _keep(db: sqlite3.Connection, place: Place, now: Promise) -> Promise:
    row = (now.promised, now.voted_ballot, now.voted, _encoded(now.lock), now.shared)
    db.execute(
        "INSERT OR REPLACE INTO groupchain_promise VALUES (?,?,?,?,?,?,?)", (place.group.id, place.position, *row)
    )
    return now


def _encoded(lock: Lock | None) -> bytes:
    return msgspec.msgpack.encode(lock) if lock is not None else b""
