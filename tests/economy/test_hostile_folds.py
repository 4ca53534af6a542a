"""No valid block and no committed part can make a view fail: a fold that raises would stop a node from learning."""

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from overlay.keys import Identity
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import MAX_PART_BYTES, Body
from overlay.trustchain.statements import (
    CONSENT,
    Anything,
    MalformedStatement,
    Part,
    SucceedKey,
    encode,
    encode_part,
)
from tests.economy.observing import History, judgements, observer, show, tables
from tests.town import START, HandClock, SeededRandomness

ROGUES = [Identity.from_seed(bytes([at]) * 64) for at in range(3)]
TEXTS = ("", "x", "\x00", "\x1b[31m", "‮", "ü" * 140, "'; DROP TABLE half; --", "[/]", "\U0010ffff")


class Rogue:
    """Draws statements of every kind, at the limits of every field, about each other's blocks."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.random = SeededRandomness(str(chance.random()))
        self.hashes = [b"h" * 32, bytes(32), b"\xff" * 32]
        self.blocks: list[HalfBlock] = []
        self.parts: list[Any] = []

    def draw(self, kind: inspect.Type) -> Any:
        match kind:
            case inspect.StructType(cls=cls, fields=fields):
                return cls(*(self.draw(field.type) for field in fields))
            case inspect.UnionType(types=types):
                return self.draw(self.chance.choice(types))
            case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
                size = self.chance.choice([least or 0, min(most or 3, 3), most or 3])
                return self.rising([self.draw(item) for _ in range(size)])
            case inspect.IntType(ge=least, le=most):
                low, high = least or 0, most or 1 << 62
                return self.chance.choice([low, low, high, min(high, low + 1), self.chance.randint(low, high)])
            case inspect.BytesType(min_length=least, max_length=most):
                return self.raw(least or 0, most or 64)
            case inspect.StrType(pattern=pattern, min_length=least, max_length=most):
                return self.chance.choice(["yes", "no", "abstain"]) if pattern else self.text(least or 0, most or 60)
        return self.chance.random() < 0.5 if isinstance(kind, inspect.BoolType) else None

    def text(self, least: int, most: int) -> str:
        text = self.chance.choice(TEXTS)[:most]
        return text if len(text) >= least else "x" * least

    def rising(self, drawn: list[Any]) -> tuple[Any, ...]:
        keys = {msgspec.msgpack.encode(each): each for each in drawn}
        return tuple(keys[each] for each in sorted(keys))

    def raw(self, least: int, most: int) -> bytes:
        if least == 74:
            return self.chance.choice([*(rogue.public_key for rogue in ROGUES), ANYONE, b"k" * 74])
        if 32 in (least, most):
            return self.chance.choice(self.hashes)
        return self.random.bytes(self.chance.choice([least, most]))

    def sign(self) -> None:
        """One more block of somebody, at a place of its chain that may be taken, answering or addressing anybody."""
        rogue, other = self.chance.choice(ROGUES), self.chance.choice([*ROGUES, None])
        statement, body = self.draw(inspect.type_info(self.chance.choice(get_args(Anything)))), None
        if self.chance.random() < 0.1:  # claims to each other's keys, in circles too
            old = self.chance.choice(ROGUES)
            statement = SucceedKey(
                old.public_key, self.chance.choice(self.hashes), old.sign(CONSENT + rogue.public_key)
            )
        if hasattr(statement, "body") and self.chance.random() < 0.9:
            body = Body([self.part() for _ in range(self.chance.choice([1, 2, 32]))], self.random)
            statement = msgspec.structs.replace(statement, body=body.root)
        try:
            kind, content = encode(statement)
        except MalformedStatement:
            return
        sequence = 1 if isinstance(statement, SucceedKey) else self.chance.choice([1, 2, 3, 4, 0xFFFFFFFF])
        block = HalfBlock(
            public_key=rogue.public_key,
            sequence_number=sequence,
            link_public_key=other.public_key if other else ANYONE,
            link_sequence_number=self.chance.choice([0, 0, 1, 2, 3, 0xFFFFFFFF]) if other else 0,
            previous_hash=GENESIS_HASH if sequence == 1 else BlockHash(self.chance.choice(self.hashes)),
            type=kind,
            transaction=content,
            timestamp=self.chance.choice([0, START, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
        ).signed_by(rogue)
        self.blocks.append(block)
        self.hashes.append(block.hash)
        if body is not None:
            self.parts += body.disclosures(block.hash)

    def part(self) -> bytes:
        """The content of a part: ours at its limits, or nothing that means anything."""
        kind = self.chance.choice([*get_args(Part), None])
        if kind is None:
            return self.random.bytes(self.chance.choice([0, 1, MAX_PART_BYTES]))
        try:
            return encode_part(self.draw(inspect.type_info(kind)))
        except MalformedStatement:
            return b""


async def look_at(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    rogue = Rogue(chance)
    for _ in range(120):
        rogue.sign()
    history, seen = History(rogue.blocks, rogue.parts), []
    for at in range(2):
        ledger = observer(folder / f"{at}.db", HandClock())
        try:
            await show(ledger, history, chance)
            raw = list(ledger.db.iterdump())
            members = [each.public_key for each in ROGUES]
            seen.append((tables(ledger.db), [judgements(ledger.db, members, now) for now in (0, START, 1 << 60)]))
            await ledger.rebuild()
            assert list(ledger.db.iterdump()) == raw
        finally:
            ledger.close()
    assert seen[0] == seen[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_whatever_is_validly_signed_is_folded_the_same_in_any_order(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(look_at(Path(folder), seed))
