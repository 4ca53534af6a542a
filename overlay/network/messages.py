"""The requests that peers send each other on QUIC streams: typed, bounded, strict msgpack.

request = [service, payload]        answer = [true, payload, ""] or [false, "", sentence]

An answer of many blocks is a sequence of frames (4 bytes of length, then that many bytes): first such an answer, then
one block a frame. Whoever reads it stores what came and goes on behind it another time.
"""

import struct
from collections.abc import Iterable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from overlay.trustchain.block import MAX_BLOCK_BYTES, HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.statements import Key

M = TypeVar("M", bound=msgspec.Struct)

# A request holds at most 1 MiB (StreamLimits.request_bytes). A parcel is filled up to 768 KiB and may be exceeded by
# its last block: 1,441 bytes and 32 parts of at most 4,096 + 5 x 34 + 80 = 4,346 bytes, 137 KiB. 768 + 137 < 1,024.
PARCEL_BYTES = 768 << 10
MAX_PARCEL_BLOCKS = 64
MAX_PARCEL_PARTS = 512
# Heads of one answer: 1,000 x 100 bytes are 100 kB. Larger commons take several.
MAX_HEADS = 1_000
# As many bytes of a block's hash tell two histories apart; who finds two blocks alike in them has signed both.
TIP_BYTES = 8
# Chains are compared in so many buckets, by a digest each: 64 x 8 bytes are half a kilobyte per comparison.
HEAD_BUCKETS = 64
DIGEST_BYTES = 8
# Proofs against one key that are told: 64 x 2 blocks of 1,441 bytes are 185 kB. One alone is damning.
MAX_FORKS = 64
# Members named in one greeting: 32 x 130 bytes are 4 kB.
MAX_KNOWN = 32
MAX_REFUSAL = 500
# The first frame of a long answer is a refusal at most; the others are blocks.
MAX_FRAME_BYTES = 2_048

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
    refusal: Annotated[str, Meta(max_length=MAX_REFUSAL)]


class Facts(Wire, frozen=True):
    """Blocks, and parts of bodies that the receiver is entitled to."""

    blocks: Annotated[tuple[RawBlock, ...], Meta(max_length=MAX_PARCEL_BLOCKS)]
    parts: Annotated[tuple[Disclosure, ...], Meta(max_length=MAX_PARCEL_PARTS)] = ()


class Known(Wire, frozen=True):
    """A member, and where a handshake has proven it to be."""

    key: Key
    host: Annotated[str, Meta(max_length=39)]
    port: Annotated[int, Meta(ge=1, le=65_535)]


class AskHello(Wire, frozen=True):
    """Asks for a sign of life, and for members near to this one: the asker itself, or somebody whom it looks for."""

    near: Key


class Hello(Wire, frozen=True):
    """A sign of life. To a member it names others, so that one call finds a whole neighbourhood."""

    known: Annotated[tuple[Known, ...], Meta(max_length=MAX_KNOWN)] = ()


class Refused(Wire, frozen=True):
    """One block of a parcel that the receiver does not take, by its place in the parcel, and why."""

    index: Annotated[int, Meta(ge=0, lt=MAX_PARCEL_BLOCKS)]
    reason: Annotated[str, Meta(max_length=MAX_REFUSAL)]


class Receipt(Wire, frozen=True):
    """The receiver has stored the blocks of a parcel and their parts, but for these."""

    refused: Annotated[tuple[Refused, ...], Meta(max_length=MAX_PARCEL_BLOCKS)] = ()


class Head(Wire, frozen=True):
    """How far a node knows one chain: `contiguous` from the genesis, `highest` at all; `forks` counts the places at
    which its key is proven to have signed twice, up to MAX_FORKS. `tip` is the beginning of the hash of the block at
    `contiguous` (the lowest, where there are two), so that two histories of one length differ too."""

    key: Key
    contiguous: Sequence_
    highest: Sequence_
    forks: Annotated[int, Meta(ge=0, le=MAX_FORKS)]
    tip: Annotated[bytes, Meta(max_length=TIP_BYTES)] = b""


class AskHeads(Wire, frozen=True):
    """For the chains in which a peer knows more or less: those of the buckets whose digest differs from the asker's,
    behind the key `after` (empty: from the first)."""

    digests: Annotated[tuple[bytes, ...], Meta(min_length=HEAD_BUCKETS, max_length=HEAD_BUCKETS)]
    after: Annotated[bytes, Meta(max_length=74)] = b""


class Heads(Wire, frozen=True):
    """One page, in the order of buckets and keys; with `more` the asker goes on behind the last."""

    heads: Annotated[tuple[Head, ...], Meta(max_length=MAX_HEADS)]
    more: bool = False


class AskRange(Wire, frozen=True):
    """For one block at each place first..last of one chain, in order; with `forks`, for the proofs, two blocks each,
    that its key signed twice; with `declares`, only for those among them that declare something: who belongs, how a
    member shows itself, charters."""

    key: Key
    first: Sequence_
    last: Sequence_
    forks: bool = False
    declares: bool = False


class AskToJoin(Wire, frozen=True):
    """A newcomer shows the one-time code of its invitation."""

    code: Annotated[bytes, Meta(min_length=16, max_length=16)]


class Welcome(Wire, frozen=True):
    """The founding charter and the block that admits the newcomer."""

    charter: RawBlock
    admission: RawBlock


_LENGTH = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """The bytes of one message."""
    return _encoder.encode(message)


def decode(raw: bytes, kind: type[M]) -> M:
    """Decode exactly one message of a kind; raises BadMessage."""
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(f"a {kind.__name__} message cannot be read: {error}") from error


def unpack_all(raws: Iterable[bytes]) -> list[HalfBlock]:
    """Decode blocks; raises BadMessage naming the first that is none."""
    found = []
    for index, raw in enumerate(raws):
        try:
            found.append(unpack(raw))
        except MalformedBlock as error:
            raise BadMessage(f"block {index} of a message is malformed: {error}") from error
    return found


def frames(parts: Iterable[bytes]) -> bytes:
    """Frame each part."""
    return b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))


class Unframer:
    """Takes frames out of a stream of bytes, holding at most one unfinished frame of `MAX_FRAME_BYTES`."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_whole(self) -> bool:
        """Whether the bytes so far end where a frame ends."""
        return not self._rest

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that are complete now. Raises BadMessage for one that claims to be longer than any may be."""
        data, at, found = self._rest + piece, 0, []
        while len(data) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > MAX_FRAME_BYTES:
                raise BadMessage(f"a frame claims {length} bytes and may have {MAX_FRAME_BYTES}")
            start, end = at + _LENGTH.size, at + _LENGTH.size + length
            if end > len(data):
                break
            found.append(data[start:end])
            at = end
        self._rest = data[at:]
        return found
