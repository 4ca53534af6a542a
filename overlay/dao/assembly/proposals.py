"""Payments and texts that members propose to their group; with `motions`, everything that it can decide."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from overlay.dao.assembly import motions
from overlay.dao.assembly.belonging import belongs
from overlay.dao.assembly.charters import Charter, charter, current
from overlay.dao.assembly.motions import Amendment, Instruction, Work
from overlay.dao.assembly.words import marks
from overlay.keys import PublicKey
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FurtherPayee, ProposePayment, ProposePayments

_more_decoder = msgspec.msgpack.Decoder(tuple[FurtherPayee, ...])


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid: `amount` satoshis to a script, on behalf of the member `key`."""

    key: PublicKey
    script: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A proposed payment from a group's treasury; `amount` and `fee_cap` in satoshis, `deadline` in milliseconds.

    `payee`, `script` and `amount` are those of the first payee, `more` are the others, whom the same transaction pays.
    """

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    reason: str
    payee: PublicKey
    script: bytes
    amount: int
    fee_cap: int
    deadline: int
    more: tuple[Payee, ...] = ()

    @property
    def payees(self) -> tuple[Payee, ...]:
        """All who are paid, in the order of the transaction's outputs."""
        return (Payee(self.payee, self.script, self.amount), *self.more)

    @property
    def total(self) -> int:
        """What all payees get together, in satoshis."""
        return sum(each.amount for each in self.payees)


@dataclass(frozen=True, slots=True)
class Text:
    """Words that a group is asked to agree to; `deadline` in milliseconds."""

    id: BlockHash
    group: BlockHash
    proposer: PublicKey
    title: str
    text: str
    deadline: int


Proposal = Payment | Text | Amendment | Work | Instruction


P = TypeVar("P", Payment, Text)
_COLUMNS = "id, charter, proposer, title, reason, payee, script, amount, fee_cap, deadline, more"


def payees_of(said: ProposePayment) -> tuple[Payee, ...]:
    """All whom a proposed payment names, in its order."""
    first = Payee(PublicKey(said.payee), said.script, said.amount)
    return (first, *_further(said.more)) if isinstance(said, ProposePayments) else (first,)


def _further(more: tuple[FurtherPayee, ...]) -> tuple[Payee, ...]:
    return tuple(Payee(PublicKey(each.payee), each.script, each.amount) for each in more)


def payment(db: sqlite3.Connection, proposal: bytes) -> Payment | None:
    """The proposal of that id, whoever made it."""
    row = db.execute(f"SELECT {_COLUMNS} FROM group_payment WHERE id = ?", (proposal,)).fetchone()  # noqa: S608
    return _payment(row) if row else None


def text(db: sqlite3.Connection, proposal: bytes) -> Text | None:
    """The proposed text of that id, whoever made it."""
    row = db.execute(
        "SELECT id, charter, proposer, title, text, deadline FROM group_text WHERE id = ?", (proposal,)
    ).fetchone()
    return _text(row) if row else None


def texts(db: sqlite3.Connection, group: Charter) -> list[Text]:
    """The texts that members of a group proposed, under any version of its charter, by deadline."""
    named = versions_of(db, group)
    rows = db.execute(
        "SELECT id, charter, proposer, title, text, deadline FROM group_text"  # noqa: S608
        f" WHERE charter IN ({marks(named)}) ORDER BY deadline, id",
        named,
    )
    return _of_members(db, group, map(_text, rows))


def proposal(db: sqlite3.Connection, id_: bytes) -> Proposal | None:
    """The proposal of that id, of any kind."""
    found = motions.place(db, id_)
    return _READERS[found.kind](db, id_) if found else None


def payments(db: sqlite3.Connection, group: Charter) -> list[Payment]:
    """The payments that members of a group proposed, under any version of its charter, by deadline.

    Others' proposals mean nothing.
    """
    named = versions_of(db, group)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM group_payment WHERE charter IN ({marks(named)}) ORDER BY deadline, id",  # noqa: S608
        named,
    )
    return _of_members(db, group, map(_payment, rows))


def paying(db: sqlite3.Connection, group: Charter, script: bytes, amount: int) -> list[Payment]:
    """Those of `payments` whose first payee gets exactly this."""
    named = versions_of(db, group)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM group_payment WHERE charter IN ({marks(named)}) AND script = ? AND amount = ?"  # noqa: S608
        " ORDER BY id",
        (*named, script, amount),
    )
    return _of_members(db, group, map(_payment, rows))


def versions_of(db: sqlite3.Connection, group: Charter) -> tuple[BlockHash, ...]:
    """All versions of its charter, whichever of them this is."""
    now = current(db, group.id)
    return now.versions if now else group.versions


def _of_members(db: sqlite3.Connection, group: Charter, found: Iterable[P]) -> list[P]:
    """Those that somebody proposed who was a member by the version that the proposal names."""
    known: dict[bytes, Charter | None] = {group.version: group}
    kept = []
    for each in found:
        if each.group not in known:
            known[each.group] = charter(db, each.group)
        version = known[each.group]
        if version is not None and belongs(db, version, each.proposer):
            kept.append(each)
    return kept


def _text(row: tuple[bytes, bytes, bytes, str, str, int]) -> Text:
    return Text(BlockHash(row[0]), BlockHash(row[1]), PublicKey(row[2]), row[3], row[4], row[5])


def _payment(row: tuple[bytes, bytes, bytes, str, str, bytes, bytes, int, int, int, bytes]) -> Payment:
    id_, group, proposer, title, reason, payee, script, amount, fee_cap, deadline, more = row
    return Payment(
        BlockHash(id_),
        BlockHash(group),
        PublicKey(proposer),
        title,
        reason,
        PublicKey(payee),
        script,
        amount,
        fee_cap,
        deadline,
        _further(_more_decoder.decode(more)),
    )


_READERS: Final[dict[str, Callable[[sqlite3.Connection, bytes], Proposal | None]]] = {
    "payment": payment,
    "text": text,
    "amendment": motions.amendment,
    "work": motions.work,
    "instruction": motions.instruction,
}
