"""The ledger of one node: stores what is valid, signs its own chain, folds views, tells listeners.

Everything that decides and signs happens in one `transact` at a time, on the store's writer thread: what a decision
has read cannot change before the block that follows from it is stored.
"""

import functools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from overlay.clock import Clock, Randomness
from overlay.keys import Identity, PublicKey
from overlay.trustchain import block_tables, blocks, growth, outbox
from overlay.trustchain.block import (
    ANYONE,
    GENESIS_HASH,
    MAX_CONTENT_BYTES,
    MAX_SEQUENCE,
    BlockHash,
    HalfBlock,
)
from overlay.trustchain.commitment import BadDisclosure, Body, Disclosure
from overlay.trustchain.sealing import Seal
from overlay.trustchain.statements import Anything, MalformedStatement, OfferSwap, ProposeExchange, decode, encode
from overlay.trustchain.store import Store, Synchronous
from overlay.trustchain.validation import Invalid, check
from overlay.trustchain.view import SCHEMA, View, is_current, make_tables

T = TypeVar("T")


class SigningRefused(Exception):
    """This node may not sign now; the message says why and what would help."""


class StatementTooLong(ValueError):
    """A statement does not fit a block; the message gives the figures."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Two different blocks of one key with one sequence number: proof that its owner, or a copy, signed twice."""

    first: HalfBlock
    second: HalfBlock

    @property
    def culprit(self) -> PublicKey:
        return self.first.public_key


@dataclass(slots=True)
class Changes:
    """What one transaction added, told to listeners after it is on disk."""

    blocks: list[HalfBlock] = field(default_factory=list)
    parts: list[Disclosure] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)
    posted: set[PublicKey] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.blocks or self.parts or self.forks or self.posted)

    def add(self, later: "Changes") -> None:
        """Take in what a later transaction added."""
        self.blocks += later.blocks
        self.parts += later.parts
        self.forks += later.forks
        self.posted |= later.posted


class Transaction:
    """What work inside `Ledger.transact` may use: reads through `db`, and the few ways to add."""

    def __init__(self, ledger: "Ledger", db: sqlite3.Connection) -> None:
        self._ledger, self.db, self.changes = ledger, db, Changes()
        self.identity, self.now = ledger.identity, ledger.clock.now()
        self._stored: dict[bytes, HalfBlock] = {}

    def append(
        self,
        statement: Anything,
        *,
        link: HalfBlock | None = None,
        to: PublicKey = ANYONE,
        body: Body | None = None,
    ) -> HalfBlock:
        """Sign the next block of the own chain: one that answers `link`, or one addressed to the member `to`.

        Raises SigningRefused, MalformedStatement, StatementTooLong.
        """
        self._ledger.check_may_sign()
        kind, transaction = encode(statement)
        if len(kind) + len(transaction) > MAX_CONTENT_BYTES:
            raise StatementTooLong(
                f"this {kind.decode()} has {len(transaction)} bytes and a block holds {MAX_CONTENT_BYTES};"
                " use shorter texts"
            )
        sequence, previous = blocks.head(self.db, self.identity.public_key) or (0, GENESIS_HASH)
        if sequence >= MAX_SEQUENCE:
            raise SigningRefused("this chain has reached its last number; the member needs a new key")
        block = HalfBlock(
            public_key=self.identity.public_key,
            sequence_number=sequence + 1,
            link_public_key=link.public_key if link else to,
            link_sequence_number=link.sequence_number if link else 0,
            previous_hash=previous,
            type=kind,
            transaction=transaction,
            timestamp=self.now,
        ).signed_by(self.identity)
        self.store(block)
        for disclosure in body.disclosures(block.hash) if body else ():
            self._keep(block, disclosure)
        return block

    def store(self, block: HalfBlock) -> bool:
        """Keep a block that `check` found valid, prove a fork if it makes one, fold views. False when known."""
        stored = blocks.insert(self.db, block)
        if stored is False:
            return False
        self.changes.blocks.append(block)
        self._stored[block.hash] = block
        if isinstance(stored, HalfBlock):
            self.changes.forks.append(Fork(stored, block))
        self._ledger.fold_block(self.db, block)
        return True

    def disclose(self, disclosure: Disclosure) -> bool:
        """Keep a part of a stored block's body; raises BadDisclosure. False when known or its block is not."""
        block = self._stored.get(disclosure.block) or blocks.by_hash(self.db, disclosure.block)
        if block is None:
            return False
        if disclosure.root() != commitment(block):
            raise BadDisclosure("the part does not belong to the block that it names")
        return self._keep(block, disclosure)

    def _keep(self, block: HalfBlock, disclosure: Disclosure) -> bool:
        if not blocks.insert_part(self.db, disclosure):
            return False
        self.changes.parts.append(disclosure)
        self._ledger.fold_part(self.db, block, disclosure)
        return True

    def post(self, receiver: PublicKey, block: bytes, parts: int = 0) -> None:
        """Owe a block, and the parts of its body whose bits are set, to another member."""
        if receiver != self.identity.public_key:
            outbox.post(self.db, receiver, block, parts)
            self.changes.posted.add(receiver)


class Ledger:
    """One node's ledger over one file. `listeners` are called on the event loop after each durable change."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        views: Sequence[View],
        clock: Clock,
        random: Randomness,
        synchronous: Synchronous = "FULL",
        tables: Sequence[str] = (),
    ) -> None:
        """Open or create the file; `tables` are what a node keeps beside the ledger. Raises StorageError."""
        self.identity, self.clock, self.random, self.views = identity, clock, random, tuple(views)
        self.listeners: list[Callable[[Changes], None]] = []
        self.signing_refusal: str | None = None
        schema = (block_tables.SCHEMA, outbox.SCHEMA, SCHEMA, *tables)
        prepare = functools.partial(block_tables.prepare, seal=Seal(identity))
        self._store = Store(path, schema, synchronous, prepare, self._fold_what_is_new)

    @property
    def db(self) -> sqlite3.Connection:
        """For reading on the event loop's thread; sees committed state only."""
        return self._store.db

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` alone; its changes are on disk when this returns. Raises what `work` raises, or StorageError.

        Listeners are told of what is on disk even when the caller has been cancelled meanwhile.
        """

        def job(db: sqlite3.Connection) -> tuple[T, Changes]:
            transaction = Transaction(self, db)
            result = work(transaction)
            growth.settle(db)
            return result, transaction.changes

        result, _ = await self._store.write(job, self._tell)
        return result

    async def append(self, statement: Anything) -> HalfBlock:
        """Sign and store one block; it is on disk when this returns."""
        return await self.transact(lambda tx: tx.append(statement))

    async def ingest(self, found: Iterable[HalfBlock], parts: Iterable[Disclosure] = ()) -> list[Invalid]:
        """Store what is valid and new of what a peer sent; returns the refusals. Raises BadDisclosure."""
        fresh, refused = [], []
        for block in found:
            if blocks.contains(self.db, block.hash):
                continue  # cheap check first: a known block has been verified
            verdict = check(block)
            if verdict is None:
                fresh.append(block)
            else:
                refused.append(verdict)
        disclosures = list(parts)
        if fresh or disclosures:
            await self.transact(lambda tx: _ingest(tx, fresh, disclosures))
        return refused

    async def rebuild(self) -> None:
        """Drop what the views have folded and fold everything again."""
        await self._store.write(self.refold)

    def refold(self, db: sqlite3.Connection) -> None:
        """The same, as part of the work in a transaction of this ledger."""
        self._refold(db, self.views)

    def _fold_what_is_new(self, db: sqlite3.Connection) -> None:
        block_tables.check_version(db)
        self._refold(db, [view for view in self.views if not is_current(db, view)])

    def _refold(self, db: sqlite3.Connection, views: Sequence[View]) -> None:
        for view in views:
            make_tables(db, view)
        for block in blocks.everything(db) if views else ():
            self.fold_block(db, block, views)
            for part in blocks.parts(db, block.hash):
                self.fold_part(db, block, part, views)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """`db`, for as long as this lasts without what is committed meanwhile: what is read fits together. Nothing may
        be awaited inside, and writing is impossible."""
        if self.db.in_transaction:
            yield self.db
            return
        self.db.execute("BEGIN")
        try:
            yield self.db
        finally:
            self.db.execute("ROLLBACK")

    def _tell(self, done: tuple[object, Changes]) -> None:
        _, changes = done
        if changes:
            for listener in self.listeners:
                listener(changes)

    def check_may_sign(self) -> None:
        """Raises SigningRefused while the own head or place has not been confirmed."""
        if self.signing_refusal is not None:
            raise SigningRefused(self.signing_refusal)

    def fold_block(self, db: sqlite3.Connection, block: HalfBlock, views: Sequence[View] | None = None) -> None:
        statement = meaning(block)
        if statement is not None:
            for view in self.views if views is None else views:
                view.fold_block(db, block, statement)

    def fold_part(
        self, db: sqlite3.Connection, block: HalfBlock, part: Disclosure, views: Sequence[View] | None = None
    ) -> None:
        for view in self.views if views is None else views:
            view.fold_part(db, block, part)

    def block(self, block: bytes) -> HalfBlock | None:
        return blocks.by_hash(self.db, block)

    def close(self) -> None:
        self._store.close()


def meaning(block: HalfBlock) -> Anything | None:
    """What a block of ours says; None where it is foreign or malformed: stored, but in force for nothing."""
    if not block.said:
        try:
            block.said.append(decode(block.type, block.transaction))
        except MalformedStatement:
            block.said.append(None)
    return cast(Anything | None, block.said[0])


def commitment(block: HalfBlock) -> bytes | None:
    """The root over the body that a block commits to; None where it commits to none."""
    statement = meaning(block)
    return statement.body if isinstance(statement, ProposeExchange | OfferSwap) else None


def _ingest(tx: Transaction, found: Sequence[HalfBlock], parts: Sequence[Disclosure]) -> None:
    for block in found:
        tx.store(block)
    for part in parts:
        tx.disclose(part)


__all__ = [
    "BlockHash",
    "Changes",
    "Fork",
    "Ledger",
    "SigningRefused",
    "StatementTooLong",
    "Transaction",
    "meaning",
]
