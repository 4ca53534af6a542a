"""The body of an exchange, in parts that are disclosed one by one: legs, and what stands beside them."""

from typing import Annotated, Final, cast

import msgspec
from msgspec import Meta

from overlay.trustchain.statements.base import (
    Amount,
    Hash,
    Key,
    Line,
    MalformedStatement,
    Mask,
    Quantity,
    Small,
    Statement,
)

# 32 inputs of 37 bytes and 15 other issuers of 82 make a leg of 2.5 kB, below the 4,096 bytes of a part.
MAX_INPUTS: Final = 32
MAX_ISSUERS: Final = 16


class Source(Statement, frozen=True):
    """A holding: output `index` of the mint or exchange proposal `block`."""

    block: Hash
    index: Small


class Issuer(Statement, frozen=True):
    """An issuer whose word an exchange needs too, and which parts of the body (a bit mask) are legs of its vouchers."""

    key: Key
    parts: Mask


class Leg(Statement, frozen=True, tag="leg"):
    """Consumes whole holdings of one voucher and makes two: output 2i for the receiver, 2i + 1 the giver's change.

    `parts` is the bit mask of all legs in vouchers of this voucher's issuer. `others` are the other issuers concerned:
    whoever sees this leg alone knows whose words the exchange waits for. Inputs and issuers come in rising order.
    """

    from_proposer: bool
    voucher: Hash
    inputs: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    quantity: Quantity
    change: Amount
    parts: Mask
    others: Annotated[tuple[Issuer, ...], Meta(max_length=MAX_ISSUERS - 1)]

    def __post_init__(self) -> None:
        sources = [(source.block, source.index) for source in self.inputs]
        keys = [issuer.key for issuer in self.others]
        if sources != sorted(set(sources)) or keys != sorted(set(keys)):
            raise MalformedStatement("a leg names its inputs and issuers in rising order, each once")


class Deed(Statement, frozen=True, tag="deed"):
    """Something outside the ledger that one party does for the other: repair work, a lesson, a ride."""

    from_proposer: bool
    text: Line


class Want(Statement, frozen=True, tag="want"):
    """In an offer to swap: what is wanted in return."""

    voucher: Hash
    quantity: Quantity


class Note(Statement, frozen=True, tag="note"):
    """Words between the parties."""

    text: Line


Part = Leg | Deed | Want | Note

_encode = msgspec.msgpack.Encoder().encode
_part_decoder = msgspec.msgpack.Decoder(Part)


def encode_part(part: Part) -> bytes:
    """The content of one part of a body. Raises MalformedStatement when a field is out of bounds."""
    content = _encode(part)
    decode_part(content)
    return content


def decode_part(content: bytes) -> Part:
    """Decode one part of an exchange's body; raises MalformedStatement."""
    try:
        part = _part_decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedStatement(f"a part of an exchange is malformed: {error}") from error
    if _encode(part) != content:
        raise MalformedStatement("a part of an exchange is not in its shortest encoding")
    return cast(Part, part)
