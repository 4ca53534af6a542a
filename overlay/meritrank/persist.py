"""Walks on disk, so that a restart recomputes none. The layout, all integers big-endian:

    magic 8 | graph digest 32 | viewer digest 32 | alpha, gamma 8+8 (IEEE) | epoch 8 | walks 4 | draws used 8
    steps of each walk 4*walks | member at each place 4*places | SHA-256 of all before 32

A member is written as its place among the members that have an edge, in the order of keys, plus 2; 0 is the sink
and 1 the viewer. So the bytes depend neither on arrival order nor on memory layout.
"""

import hashlib
import struct

import numpy as np

from overlay.meritrank.arrays import Longs, Nodes
from overlay.meritrank.decay import Decay
from overlay.meritrank.errors import DamagedWalks, StaleWalks
from overlay.meritrank.graph import FeedbackGraph
from overlay.meritrank.walks import MAX_WALKS, Walks, survival

MAGIC = b"CFWALKS1"
_HEADER = struct.Struct(">8s32s32sddqIQ")
_DIGEST_BYTES = 32


def _viewer(ego: bytes, seed: bytes) -> bytes:
    return hashlib.sha256(len(ego).to_bytes(8, "big") + ego + seed).digest()


def save(walks: Walks, graph: FeedbackGraph, ego: bytes, seed: bytes, decay: Decay, epoch: int, position: int) -> bytes:
    """The walks and the place in their stream of repair numbers, as bytes."""
    head = (graph.digest(), _viewer(ego, seed), decay.alpha, decay.gamma, epoch, walks.count, position)
    code = np.zeros(len(graph) + 1, ">u4")
    used = graph.used()
    code[used] = np.arange(2, len(used) + 2)
    code[graph.find(ego)] = 1
    steps = (np.diff(walks.first) - 1).astype(">u4")
    body = _HEADER.pack(MAGIC, *head) + steps.tobytes() + code.take(walks.at).tobytes()
    return body + hashlib.sha256(body).digest()


def load(data: bytes, graph: FeedbackGraph, ego: bytes, seed: bytes, decay: Decay, epoch: int) -> tuple[Walks, int]:
    """Read what `save` wrote: the walks, not yet indexed, and the place in the stream of repair numbers.

    Raises DamagedWalks when the bytes are not whole, StaleWalks when graph, viewer, seed or decay differ.
    """
    if len(data) < _HEADER.size + _DIGEST_BYTES or not data.startswith(MAGIC):
        raise DamagedWalks("this is not a file of walks")
    body = data[:-_DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
        raise DamagedWalks("the checksum does not fit")
    _, digest, viewer, alpha, gamma, age, count, position = _HEADER.unpack_from(body)
    if viewer != _viewer(ego, seed):
        raise StaleWalks("viewer or seed")
    if (alpha, gamma) != (decay.alpha, decay.gamma) or (gamma and age != epoch):
        raise StaleWalks("decay or epoch")
    if digest != graph.digest():
        raise StaleWalks("state of the ledger")
    steps, codes = _columns(body, count, alpha)
    return _walks(steps, codes, graph, graph.node(ego)), position


def _columns(body: bytes, count: int, alpha: float) -> tuple[Longs, Longs]:
    numbers = np.frombuffer(body, ">u4", offset=_HEADER.size).astype(np.int64)
    if not 1 <= count <= min(MAX_WALKS, len(numbers)):
        raise DamagedWalks(f"{count} walks are announced")
    steps, codes = numbers[:count], numbers[count:]
    if np.any(np.diff(steps) > 0) or steps[0] > len(survival(alpha)):
        raise DamagedWalks("the lengths are not those of walks")
    if len(codes) != int(steps.sum()) + count:
        raise DamagedWalks("the places do not fit the lengths")
    return steps, codes


def _walks(steps: Longs, codes: Longs, graph: FeedbackGraph, ego: int) -> Walks:
    members: Nodes = np.concatenate([[0, ego], graph.used()]).astype(np.int32)
    if codes.max() >= len(members):
        raise DamagedWalks("a walk visits a member that the ledger does not have")
    walks = Walks(steps, ego)
    walks.at[:] = members.take(codes)
    if np.any(walks.at[walks.first[:-1]] != ego):
        raise DamagedWalks("a walk does not begin at the viewer")
    return walks
