"""Mutated and random bytes at every edge of a node: does anything but the documented error come out, or a forgery in?

    python -m experiments.fuzz [--packets N] [--seed N] [--json]

The edges, in turn: datagrams into a whole network stack on an in-memory socket, from a member at its proven address and
from strangers (introductions, QUIC, gossip, and bytes of no commons); half-blocks into a ledger; disclosed parts; every
message of peers and of groups; frames of long answers; statements and parts of bodies; invitations; bundles; pictures;
key files; PSBTs; announcements on a local network; and the queries and JSON bodies of every REST action. What is
mutated are genuine inputs of that edge, recorded from honest members: bits turned, pieces cut out, doubled, spliced in
from another one or replaced by extremes; one in eight is random.

    escaped_exceptions  anything raised but the edge's own typed error; the input is printed as hex
    forgeries_accepted  blocks or parts in the ledger that no honest member has made
    rss_growth_mb       resident memory at the end, compared with after the first tenth

With --json the last line is one JSON object. Exit status 1 says that something escaped or was forged.
"""

import argparse
import asyncio
import base64
import io
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import psutil
from aiohttp import web
from PIL import Image

from experiments.junk_flood import handshakes
from overlay.content.picture import BadPicture, check_picture
from overlay.dao.bitcoin.psbt import from_psbt
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt
from overlay.dao.keyring import messages as dao_messages
from overlay.economy import bundle
from overlay.economy.bundle import BadBundle
from overlay.economy.proof import check as check_bundle
from overlay.keys import InvalidKey, PublicKey, parse_public_key
from overlay.network import messages
from overlay.network.invitation import SCHEME, BadInvitation, Invitation, _check, parse
from overlay.network.lan import Lan
from overlay.network.messages import BadMessage, Unframer, Wire, decode, encode, frames, unpack_all
from overlay.node import vault
from overlay.node.actions import ACTIONS, Action, BadRequest
from overlay.node.rest import _ask
from overlay.trustchain import blocks, statements
from overlay.trustchain.block import HalfBlock, MalformedBlock, unpack
from overlay.trustchain.commitment import BadDisclosure, Disclosure
from overlay.trustchain.statements import MalformedStatement, decode_part
from tests.network.streams_world import VirtualLoop
from tests.network.village import COMMONS, PREFIX, Internet, Station, person, place
from tests.town import HandClock, SeededRandomness, Town

PACKETS = 1_000_000
# How many inputs of one edge in a row, and how much virtual time passes between.
TURN, TURN_SECONDS = 64, 0.25
# Lengths and numbers at their limits, and heads of msgpack values that promise more than there is.
EXTREMES = [b"\x00", b"\xff", b"\x7f", b"\x80", b"\xc1", b"\xff" * 4, bytes(4), b"\xcf" + b"\xff" * 8, b"\x91" * 64]
EXTREMES += [b"\xdd" + b"\xff" * 4, b"\xc6" + b"\xff" * 4, b"\xdc\xff\xff", b"\xd9\xff"]
MAX_BYTES = 4_096


class Mutator:
    """Makes inputs from genuine ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def mutated(self, seeds: list[bytes]) -> bytes:
        """One input that is like one of these, or like nothing."""
        chance = self._chance
        if not seeds or chance.random() < 0.125:
            return chance.randbytes(chance.choice((0, 1, 7, 30, 90, 300, 1_200, 1_500)))
        made = chance.choice(seeds)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            made = self._change(made, seeds)
        return made

    def _change(self, raw: bytes, seeds: list[bytes]) -> bytes:
        chance = self._chance
        at = chance.randrange(len(raw)) if raw else 0
        to = min(len(raw), at + chance.choice((1, 1, 2, 4, 16, 64)))
        kind = chance.randrange(7)
        if kind <= 1 and raw:
            return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]
        other = chance.choice(seeds)
        there = chance.randrange(len(other)) if other else 0
        return (
            raw[:at] + chance.choice(EXTREMES) + raw[to:],
            raw[:at],
            raw[:at] + raw[to:],
            (raw[:to] + raw[at:])[: len(raw) + MAX_BYTES],
            raw[:at] + other[there : there + 200],
        )[kind - 2]


@dataclass(frozen=True, slots=True)
class Edge:
    """One place where bytes come in: what takes them, what it may raise, and genuine ones."""

    name: str
    take: Callable[[bytes], Awaitable[object] | object]
    raises: tuple[type[Exception], ...]
    seeds: list[bytes]
    is_virtual: bool = False


class Target:
    """Honest members, what they made, and a ledger in which nothing else may ever be."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder, "NORMAL")
        self.victim = self.town.person("mechanic")
        self.blocks: list[HalfBlock] = []
        self.parts: list[Disclosure] = []
        self.bundles: list[bytes] = []

    async def live(self) -> None:
        """Trade a little: whatever an attacker could have recorded comes of it."""
        farmer, baker = self.town.person("farmer"), self.town.person("baker")
        voucher = await farmer.mint("bread", 100)
        for quantity in (5, 3):
            proposal = await farmer.give(baker, voucher, quantity)
            await self.town.carry(without=(self.victim,))
            await baker.agree(proposal)
            await self.town.carry(without=(self.victim,))
        for each in (farmer, baker):
            self.blocks += blocks.chain(each.ledger.db, each.key, 1, 1_000, 1_000)
            self.parts += [part for block in self.blocks for part in blocks.parts(each.ledger.db, block.hash)]
        self.bundles = [bundle.make(baker.ledger.db, baker.key, voucher, self.town.clock.now())]
        # The victim knows half of it: the rest is genuine, too, but new to it.
        await self.victim.ledger.ingest(self.blocks[::2])

    async def take_block(self, raw: bytes) -> None:
        await self.victim.ledger.ingest([unpack(raw)])

    async def take_part(self, raw: bytes) -> None:
        await self.victim.ledger.ingest((), [decode_disclosure(raw)])

    def forgeries(self) -> int:
        """What is in the ledger and was never made."""
        genuine = {block.hash for block in self.blocks}
        db = self.victim.ledger.db
        stored = {bytes(found) for (found,) in db.execute("SELECT hash FROM half WHERE agent IS NOT NULL")}
        made = {(part.block, part.index, part.content, part.salt) for part in self.parts}
        kept = {(part.block, part.index, part.content, part.salt) for each in stored for part in blocks.parts(db, each)}
        return len(stored - genuine) + len(kept - made)


def decode_disclosure(raw: bytes) -> Disclosure:
    """As it comes in a message."""
    facts = decode(raw, messages.Facts)
    if len(facts.parts) != 1:
        raise BadMessage("not one part")
    return facts.parts[0]


class Stack:
    """A member's whole network on an in-memory socket, with one member whose address it has proven."""

    def __init__(self) -> None:
        self.internet = Internet()
        self.heard: list[HalfBlock] = []

    async def open(self, genuine: list[HalfBlock]) -> list[bytes]:
        """Let two members talk; returns the datagrams, without the prefix."""
        members = {person(role).public_key for role in ("farmer", "baker")}
        self.farmer = await Station(self.internet, "farmer", 1, members).open()
        self.baker = await Station(self.internet, "baker", 2, members).open()
        self.baker.network.serve("echo", _echo)
        self.farmer.network.serve("echo", _echo)
        self.farmer.network.add_contact(self.baker.where, self.baker.key)
        await self.farmer.network.call(self.baker.key, "echo", bytes(3_000))
        await self.baker.network.call(self.farmer.key, "echo", b"x")
        self.farmer.network.gossip(genuine[:4])
        await asyncio.sleep(3.0)
        sent = [datagram[len(PREFIX) :] for _, _, datagram in self.internet.sent if datagram.startswith(PREFIX)]
        return [*sent[:400], *(b"\x01" + first for first in await handshakes(8, COMMONS))]

    def take_from_member(self, raw: bytes) -> None:
        self.baker.hear(self.farmer.where, raw)

    def take_from_anyone(self, raw: bytes) -> None:
        self.baker.hear(place(3 + len(raw) % 250), raw)

    def take_bare(self, raw: bytes) -> None:
        self.internet.deliver(place(9), self.baker.where, raw)

    async def settle(self) -> None:
        """Let time pass; the memory internet forgets what was sent."""
        self.internet.sent.clear()
        self.baker.heard.clear()
        await asyncio.sleep(TURN_SECONDS)

    async def close(self) -> None:
        await self.farmer.network.close()
        await self.baker.network.close()


async def _echo(peer: PublicKey, payload: bytes) -> bytes:
    return payload


class _Asked:
    """As much of a web request as is read before an action runs."""

    def __init__(self, raw: bytes) -> None:
        self.query_string = raw.decode("latin-1")
        self.query = dict(pair.partition("=")[::2] for pair in self.query_string.split("&"))
        self._raw = raw

    async def read(self) -> bytes:
        return self._raw


def edges(target: Target, stack: Stack, datagrams: list[bytes]) -> list[Edge]:
    """All of them."""
    raws, parts = [block.pack() for block in target.blocks], [encode(messages.Facts((), (p,))) for p in target.parts]
    lan = Lan(COMMONS, HandClock(), SeededRandomness("lan"), lambda _: None, lambda _: None)
    invitation = Invitation(COMMONS, person("baker").public_key, (("203.0.113.5", 7_759),), bytes(16))
    protected = vault.protect(
        person("baker"), "a passphrase", vault.Work(1, 8_192, bytes(16)), SeededRandomness("vault")
    )
    return [
        Edge("datagram of a member", stack.take_from_member, (), datagrams, is_virtual=True),
        Edge("datagram of anyone", stack.take_from_anyone, (), datagrams, is_virtual=True),
        Edge("bare datagram", stack.take_bare, (), [PREFIX + each for each in datagrams], is_virtual=True),
        Edge("block", target.take_block, (MalformedBlock,), raws),
        Edge("part", target.take_part, (BadMessage, BadDisclosure), parts),
        *_messages(raws, parts, target),
        Edge("frames", lambda raw: unpack_all(Unframer().feed(raw)), (BadMessage,), [frames(raws[:2])]),
        *(
            Edge(f"statement {kind.decode()}", _statement(kind), (MalformedStatement,), _said(target, kind))
            for kind in statements.KINDS
        ),
        Edge("part of a body", decode_part, (MalformedStatement,), [part.content for part in target.parts]),
        Edge("invitation", _text(parse), (BadInvitation,), [invitation.to_text().encode()]),
        Edge("invitation, rechecked", _rechecked, (BadInvitation,), [msgspec.msgpack.encode(invitation)]),
        Edge("bundle", lambda raw: check_bundle(raw, 0), (BadBundle,), target.bundles),
        Edge("picture", check_picture, (BadPicture,), _pictures()),
        Edge("public key", parse_public_key, (InvalidKey,), [person("baker").public_key]),
        Edge("key file", vault.public_key_of, (InvalidKey,), [person("baker").secret, protected]),
        Edge("PSBT", from_psbt, (InvalidPsbt,), [b"psbt\xff\x01\x00\x00", b"psbt\xff" + bytes(60)]),
        Edge("announcement", lambda raw: lan._hear("10.0.0.7", raw), (), [lan._announcement()]),
        *(Edge(f"REST {each.path}", _rest(each), (BadRequest,), _asks(each)) for each in ACTIONS.values()),
    ]


def _messages(raws: list[bytes], parts: list[bytes], target: Target) -> list[Edge]:
    """Every message that peers or members of a group send each other."""
    key, facts = person("baker").public_key, messages.Facts(tuple(raws[:3]), tuple(target.parts[:2]))
    genuine: list[Wire] = [messages.Request("facts", encode(facts)), messages.Answer(True, encode(facts), ""), facts,
        messages.Receipt((messages.Refused(0, "no"),)), messages.Hello((messages.Known(key, "10.0.0.1", 1),)),
        messages.AskHeads((bytes(8),) * 64, key), messages.Heads((messages.Head(key, 1, 2, 0),) * 5, True),
        messages.AskRange(key, 1, 9), messages.AskToJoin(bytes(16)), messages.Welcome(raws[0], raws[1])]  # fmt: skip
    kinds = {type(each): [encode(each)] for each in genuine}
    every = [encode(each) for each in genuine]
    for module in (messages, dao_messages):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Wire) and kind is not Wire:
                kinds.setdefault(kind, every)
    return [Edge(f"message {kind.__name__}", _message(kind), (BadMessage,), kinds[kind]) for kind in kinds]


def _message(kind: type[Wire]) -> Callable[[bytes], object]:
    return lambda raw: decode(raw, kind)


def _statement(kind: bytes) -> Callable[[bytes], object]:
    return lambda raw: statements.decode(kind, raw)


def _said(target: Target, kind: bytes) -> list[bytes]:
    return [each.transaction for each in target.blocks if each.type == kind] or [
        each.transaction for each in target.blocks
    ]


def _text(take: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: take(raw.decode("utf-8", "replace"))


def _rechecked(raw: bytes) -> Invitation:
    """With check digits that fit, so that what is behind them is reached."""
    return parse(SCHEME + base64.urlsafe_b64encode(raw + _check(raw)).decode().rstrip("="))


def _pictures() -> list[bytes]:
    found = []
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        written = io.BytesIO()
        Image.new("RGB", (16, 16), "red").save(written, kind)
        found.append(written.getvalue())
    return found


def _rest(action: Action) -> Callable[[bytes], Awaitable[object]]:
    return lambda raw: _ask(action, cast(web.Request, _Asked(raw)))


def _asks(action: Action) -> list[bytes]:
    """A query or body with every field of the action in it."""
    names = action.ask.__struct_encode_fields__
    if action.query:
        return ["&".join(f"{name}=7" for name in names).encode()]
    values: tuple[Any, ...] = ("00" * 32, 7, True, None, ["x"])
    return [json.dumps(dict.fromkeys(names, value)).encode() for value in values]


class Fuzzer:
    """Feeds the edges in turn. Networks run on virtual time; ledgers wait for their disk in real time."""

    def __init__(self, chance: random.Random, target: Target, stack: Stack) -> None:
        self._chance, self._mutator, self._target, self._stack = chance, Mutator(chance), target, stack
        self.edges: list[Edge] = []
        self.packets, self.escaped = 0, 0
        self.taken: Counter[str] = Counter()

    def feed(self, packets: int, real: asyncio.Runner, virtual: asyncio.Runner) -> int:
        """So many inputs; datagrams and blocks come up as often as all the others together. Returns the growth."""
        process, before = psutil.Process(), 0
        while self.packets < packets:
            some = self.edges[:5] if self._chance.random() < 0.5 else self.edges[5:]
            edge = self._chance.choice(some)
            (virtual if edge.is_virtual else real).run(self._turn(edge))
            if not before and self.packets >= packets / 10:
                before = process.memory_info().rss
        return int(process.memory_info().rss - before)

    async def _turn(self, edge: Edge) -> None:
        for _ in range(TURN):
            await self._feed(edge, self._mutator.mutated(edge.seeds))
        if edge.is_virtual:
            await self._stack.settle()

    async def _feed(self, edge: Edge, raw: bytes) -> None:
        self.packets += 1
        try:
            answer = edge.take(raw)
            if isinstance(answer, Awaitable):
                await answer
            self.taken[edge.name] += 1
        except edge.raises:
            return
        except Exception as error:  # what this experiment is after
            self.escape(f"{edge.name}: {error!r}\n{raw.hex()}")

    def escape(self, what: str) -> None:
        """Something came out that nobody had promised."""
        self.escaped += 1
        print(f"escaped from {what}", file=sys.stderr, flush=True)


def fuzz(folder: Path, packets: int, seed: int) -> dict[str, float]:
    """The figures."""
    began = time.monotonic()
    with asyncio.Runner() as real, asyncio.Runner(loop_factory=VirtualLoop) as virtual:
        target, stack = Target(folder), Stack()
        fuzzer = Fuzzer(random.Random(seed), target, stack)
        for each in (real, virtual):
            each.get_loop().set_exception_handler(lambda _, context: fuzzer.escape(f"an event loop: {context}"))
        real.run(target.live())
        fuzzer.edges = edges(target, stack, virtual.run(stack.open(target.blocks)))
        growth = fuzzer.feed(packets, real, virtual)
        forged, dropped = target.forgeries(), sum(stack.baker.network.drops.values())
        virtual.run(stack.close())
        target.town.close()
    return {
        "packets": fuzzer.packets,
        "escaped_exceptions": fuzzer.escaped,
        "forgeries_accepted": forged,
        "rss_growth_mb": round(growth / (1 << 20), 1),
        "edges": len(fuzzer.edges),
        "well_formed": sum(fuzzer.taken.values()),
        "dropped_datagrams": dropped,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("quic").setLevel(logging.CRITICAL)  # every broken handshake is a line of its own
    with tempfile.TemporaryDirectory(prefix="counterfoil-fuzz-") as folder:
        figures = fuzz(Path(folder), asked.packets, asked.seed)
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:>18}  {value:,}" for name, value in figures.items()))
    return 1 if figures["escaped_exceptions"] or figures["forgeries_accepted"] else 0


if __name__ == "__main__":
    sys.exit(main())
