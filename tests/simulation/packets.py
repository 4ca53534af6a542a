"""Finds the blocks in what leaves a node: a datagram, a request, or a piece of a long answer."""

from overlay.network.messages import BadMessage, Facts, Request, Unframer, decode
from overlay.trustchain.block import HalfBlock, MalformedBlock, unpack


def blocks_in(raw: bytes) -> list[HalfBlock]:
    """All of them; none where the bytes are something else."""
    found = []
    for packed in (raw, *_packed_in(raw)):
        try:
            found.append(unpack(packed))
        except MalformedBlock:
            continue
    return found


def _packed_in(raw: bytes) -> list[bytes]:
    """What may be blocks: those in the payload of a request, or the frames of a long answer."""
    try:
        return list(decode(decode(raw, Request).payload, Facts).blocks)
    except BadMessage:
        pass
    try:
        return Unframer().feed(raw)
    except BadMessage:
        return []
