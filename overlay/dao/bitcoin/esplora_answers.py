"""What an Esplora server answers: the shapes that are read, and the checks before anything of it is believed.

Fields that nobody here needs are ignored. Whatever is out of bounds raises BackendError.
"""

from typing import NamedTuple

import msgspec

from overlay.dao.bitcoin import answers, headers
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.bitcoin.transaction import InvalidTransaction, Txid, parse_txid

MAX_DIGITS = 10


class Status(msgspec.Struct, frozen=True):
    """Where a transaction stands."""

    confirmed: bool
    block_height: int | None = None
    block_hash: str | None = None


class Unspent(msgspec.Struct, frozen=True):
    """One coin of a script, waiting ones included."""

    txid: str
    vout: int
    value: int
    status: Status


class Spending(msgspec.Struct, frozen=True):
    """Who spends an output."""

    spent: bool
    txid: str | None = None
    status: Status | None = None


class Branch(msgspec.Struct, frozen=True):
    """A merkle branch as Electrum has it."""

    block_height: int
    merkle: list[str]
    pos: int


class Named(msgspec.Struct, frozen=True):
    """The id of a transaction, of all that is told of it."""

    txid: str


class Prevout(msgspec.Struct, frozen=True):
    """The script of a spent output, of all that is told of it."""

    scriptpubkey: str


class Spender(msgspec.Struct, frozen=True):
    """An input, and what it spends."""

    txid: str
    vout: int
    prevout: Prevout | None = None


class Waiting(msgspec.Struct, frozen=True):
    """The inputs of a transaction that waits, of all that is told of it."""

    txid: str
    vin: list[Spender]


class BlockTimes(msgspec.Struct, frozen=True):
    """The median time of a block, of all that is told of it."""

    mediantime: int


class Place(NamedTuple):
    """A block that holds a transaction."""

    height: int
    block_hash: str


def read_txid(text: str) -> Txid:
    """The id in an answer."""
    try:
        return parse_txid(text)
    except InvalidTransaction as error:
        raise BackendError(f"the Bitcoin server names no transaction: {error}") from error


def read_height(text: str) -> int:
    """The height in an answer."""
    if not (text.isdigit() and len(text) <= MAX_DIGITS):
        raise BackendError("the Bitcoin server gave something else than a height")
    return answers.bounded(int(text), answers.MAX_HEIGHT, "height")


def read_place(status: Status) -> Place:
    """The block in a status that says there is one."""
    if status.block_height is None or status.block_hash is None:
        raise BackendError("the Bitcoin server does not say which block confirms a transaction")
    height = answers.bounded(status.block_height, answers.MAX_HEIGHT, "height")
    return Place(height, answers.block_hash(status.block_hash))


def leads(told: Branch, txid: Txid, place: Place, merkle_root: bytes) -> bool:
    """Whether a branch leads from the transaction to the root of its block."""
    beside = [answers.read_hex(each)[::-1] for each in told.merkle]
    if told.block_height != place.height or len(beside) > headers.MAX_BRANCH or told.pos < 0:
        return False
    if any(len(each) != headers.HASH_BYTES for each in beside):
        return False
    return headers.root(bytes.fromhex(txid)[::-1], told.pos, beside) == merkle_root
