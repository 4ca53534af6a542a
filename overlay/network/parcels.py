"""Cuts what is owed to one receiver into parcels that each fit one message."""

from collections.abc import Iterable, Sequence

from overlay.network.messages import MAX_PARCEL_BLOCKS, MAX_PARCEL_PARTS, PARCEL_BYTES
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Disclosure
from overlay.trustchain.outbox import Parcel

# What one disclosed part adds to a message beyond its content and path: two hashes, a salt, numbers.
PART_OVERHEAD = 80


def first_that_fit(owed: Parcel, aside: Iterable[BlockHash]) -> Parcel:
    """As many of the rows that are owed as one message holds, without those set aside."""
    skipped, by_hash = set(aside), {block.hash: block for block in owed.blocks}
    chosen, disclosures, receipts, size = list[HalfBlock](), list[Disclosure](), list[tuple[BlockHash, int]](), 0
    parts: dict[bytes, list[Disclosure]] = {}
    for part in owed.disclosures:
        parts.setdefault(part.block, []).append(part)
    for block, mask in owed.receipts:
        own = parts.get(block, [])
        if block in skipped:
            continue
        is_full = len(disclosures) + len(own) > MAX_PARCEL_PARTS or len(chosen) == MAX_PARCEL_BLOCKS
        if size >= PARCEL_BYTES or is_full:
            break
        receipts.append((block, mask))
        disclosures += own
        if block in by_hash:
            chosen.append(by_hash[block])
        size += _size(by_hash.get(block), own)
    return Parcel(tuple(chosen), tuple(disclosures), tuple(receipts))


def _size(block: HalfBlock | None, parts: Sequence[Disclosure]) -> int:
    own = len(block.pack()) if block else 0
    return own + sum(PART_OVERHEAD + len(part.content) + 34 * len(part.path) for part in parts)
