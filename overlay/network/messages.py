"""The requests that peers send each other on QUIC streams: typed, bounded, strict msgpack.

request = [service, payload]        answer = [true, payload] or [false, sentence]
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from overlay.trustchain.block import MAX_BLOCK_BYTES, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import Key

M = TypeVar("M", bound=msgspec.Struct)

# A parcel carries at most 64 blocks of 1,441 bytes and 512 parts of about 4.3 kB: 2.3 MB in the worst case.
MAX_PARCEL_BLOCKS = 64
MAX_PARCEL_PARTS = 512
MAX_HEADS = 10_000
MAX_RANGE = 256

RawBlock = Annotated[bytes, Meta(max_length=MAX_BLOCK_BYTES)]
Sequence_ = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]


class BadMessage(ValueError):
    """A request or answer that cannot be read; the message says which and why."""


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of all messages."""


class Request(Wire, frozen=True):
    """What one service of a peer is asked."""

    service: Annotated[str, Meta(max_length=32)]
    payload: bytes


class Answer(Wire, frozen=True):
    """What it says: `payload` when `ok`, otherwise `refusal`, a sentence."""

    ok: bool
    payload: bytes
    refusal: Annotated[str, Meta(max_length=500)]


class Facts(Wire, frozen=True):
    """Blocks, and parts of bodies that the receiver is entitled to."""

    blocks: Annotated[tuple[RawBlock, ...], Meta(max_length=MAX_PARCEL_BLOCKS)]
    parts: Annotated[tuple[Disclosure, ...], Meta(max_length=MAX_PARCEL_PARTS)] = ()


class Head(Wire, frozen=True):
    """How far a node knows one chain: `contiguous` from the genesis, `highest` at all; `forked` when proven."""

    key: Key
    contiguous: Sequence_
    highest: Sequence_
    forked: bool


class Heads(Wire, frozen=True):
    """How far a node knows the chains of the members that it knows."""

    heads: Annotated[tuple[Head, ...], Meta(max_length=MAX_HEADS)]


class AskRange(Wire, frozen=True):
    """For the blocks first..last of one chain; with `forks`, for the proof that its key signed twice."""

    key: Key
    first: Sequence_
    last: Sequence_
    forks: bool = False


class Range(Wire, frozen=True):
    """The answer: the first blocks of what was asked for; the asker goes on behind the last."""

    blocks: Annotated[tuple[RawBlock, ...], Meta(max_length=MAX_RANGE)]


class AskToJoin(Wire, frozen=True):
    """A newcomer shows the one-time code of its invitation."""

    code: Annotated[bytes, Meta(min_length=16, max_length=16)]


class Welcome(Wire, frozen=True):
    """The founding charter and the block that admits the newcomer."""

    charter: RawBlock
    admission: RawBlock


_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    return _encoder.encode(message)


def decode(raw: bytes, kind: type[M]) -> M:
    """Decode exactly one message of a kind; raises BadMessage."""
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(f"a {kind.__name__} message cannot be read: {error}") from error


def unpack_all(raws: tuple[bytes, ...]) -> list[HalfBlock]:
    """Decode blocks; raises BadMessage naming the first that is none."""
    found = []
    for index, raw in enumerate(raws):
        try:
            found.append(unpack(raw))
        except MalformedBlock as error:
            raise BadMessage(f"block {index} of a message is malformed: {error}") from error
    return found
