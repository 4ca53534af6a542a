"""How long a treasury takes: to sign, to make its key, to pay what was voted, to count votes in a long ledger.

    python -m experiments.treasury_speed [--json] [--repeat N] [--only PART ...]

`signing`: what one signer and the coordinator of 67 of 100 and of 667 of 1,000 compute, in milliseconds (least of N).
    A signer checks all public shares before it signs. `total_s` is the work of all signers and the coordinator where
    they check them once together, `total_each_checks_s` where each does it for itself. Shares are dealt.
`dkg`: seconds for 26 of 50 and 51 of 100 members to make a key (ChillDKG, three rounds) over as many real IPv8
    endpoints of this machine, all in one process, from the founder's first request until all have their shares, and the
    recovery data on disk; `work_s` of one core, `megabytes` of requests and answers. Charters hold fewer members than
    that, so this is the protocol as it stands in its BIP, without charters. (A node makes its share anew from the
    recovery data before it believes it, which costs as much as the second step.)
`vote_to_payout_s`: seconds from the deciding vote until the payment is in the mempool, 3 of 5 whole nodes on loopback
    in one process with a regtest chain: gossip, counting, two rounds of signing, all promises on disk (median of N).
`tally_ms`: one tally in a ledger of 10,000 proposals with 5 votes each, in milliseconds (median of 1,000).
`look_ms`: what a node does about such a ledger twice a second, a hundred of the proposals being open (median of 10).
`open_ms`: which proposals are open, and the tally of each of the hundred, counted anew (median of 10).
`peers`: the same signature (67 of 100) by `@noble/curves` under node, and by the BIP's reference in pure Python: one
    signer, and the check of one signature share (see `experiments.peers`).
"""

import argparse
import asyncio
import functools
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import frost_speed, peers
from overlay.clock import SystemClock, SystemRandomness
from overlay.dao.assembly.agenda import Agenda, open_now
from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.governance import tally
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.assembly.proposals import payment
from overlay.dao.assembly.shares import threshold_key
from overlay.dao.bitcoin.jsonrpc import CookieFile, JsonRpc
from overlay.dao.bitcoin.regtest import RegtestService, serve
from overlay.dao.frost import chilldkg
from overlay.dao.funds import policy, treasury
from overlay.dao.funds.treasury import signed
from overlay.dao.keyring import custody
from overlay.economy.members import MembersView
from overlay.keys import Identity, PublicKey
from overlay.network import messages
from overlay.network.network import HELLO, Network
from overlay.node import wire
from overlay.node.actions import commons, groups, proposals
from overlay.node.config import load
from overlay.node.node import Node
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import CastVote, Decide, FoundGroup, ProposePayment, encode

PAYING = 5
COMPARED = (67, 100)
PATIENCE = 60.0
# The founder's connections: fewer than a node keeps, so that none is ended for another's sake while it is in use.
AT_ONCE = 24
LOOPBACK: dict[str, dict[str, object]] = {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}}
TABLES = (custody.SCHEMA, policy.SCHEMA, treasury.SCHEMA)
KEPT = "CREATE TABLE IF NOT EXISTS kept (recovery BLOB NOT NULL);"
COMMONS = bytes(20)


@dataclass(frozen=True)
class Sizes:
    """What is measured: t of n for signing and for key generation, and how many proposals are in the ledger."""

    signing: tuple[tuple[int, int], ...] = ((67, 100), (667, 1000))
    dkg: tuple[tuple[int, int], ...] = ((26, 50), (51, 100))
    proposals: int = 10_000


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


@functools.cache
def identity(number: int) -> Identity:
    """A member's key, the same in every run."""
    return Identity.from_seed(hashlib.sha512(f"member {number}".encode()).digest())


def signing(threshold: int, count: int, repeat: int) -> dict[str, float]:
    """Milliseconds of one signer from nothing but bytes, and of the coordinator; seconds of all of them together."""
    outputs = frost_speed.deal(threshold, count)
    runs = [frost_speed.sign_together(threshold, count, outputs) for _ in range(repeat)]
    signer, coordinator, others = (min(column) for column in zip(*runs, strict=True))
    return {
        "signer_ms": round(signer * 1000, 2),
        "coordinator_ms": round(coordinator * 1000, 2),
        "total_s": round(others * threshold / (threshold - 1) + coordinator, 2),
        "total_each_checks_s": round(signer * threshold + coordinator, 2),
    }


class Member:
    """One endpoint that takes part in a key generation, step by step, and keeps the outcome on its disk."""

    def __init__(self, number: int, place: Path, hosts: list[bytes], threshold: int) -> None:
        self.identity = identity(number)
        clock, random = SystemClock(), SystemRandomness()
        self.ledger = Ledger(place / f"{number}.db", self.identity, [], clock, random, tables=(KEPT,))
        self.network = Network(self.identity, COMMONS, clock, random, self._knows, lambda _: None)
        self.host = f"127.0.0.{number + 1}"  # a node grants each address a limited number of connections
        self.key = b""
        self._secret, self._random = host_secret(number), random
        self._params = chilldkg.SessionParams(hosts, threshold)
        self._begun: chilldkg.ParticipantState1 | None = None
        self._certified: chilldkg.ParticipantState2 | None = None
        self.steps = {"begin": self.begin, "certify": self.certify, "finish": self.finish}
        for name, step in self.steps.items():
            self.network.serve(name, step)

    def _knows(self, key: PublicKey) -> bool:
        """The founder deals with all, the others with it alone: nothing else is to be measured than this."""
        founder = identity(0).public_key
        return founder in (key, self.identity.public_key)

    async def begin(self, peer: PublicKey, payload: bytes) -> bytes:
        self._begun, message = chilldkg.participant_step1(self._secret, self._params, self._random.bytes(32))
        return message

    async def certify(self, peer: PublicKey, payload: bytes) -> bytes:
        assert self._begun is not None
        aux_rand = self._random.bytes(32)
        self._certified, message = chilldkg.participant_step2(self._secret, self._begun, payload, aux_rand)
        return message

    async def finish(self, peer: PublicKey, payload: bytes) -> bytes:
        assert self._certified is not None
        output, recovery = chilldkg.participant_finalize(self._certified, payload)
        await self.ledger.transact(lambda tx: tx.db.execute("INSERT INTO kept VALUES (?)", (recovery,)).rowcount)
        self.key = output.thresh_pk
        return b""

    async def close(self) -> None:
        await self.network.close()
        self.ledger.close()


class Founder:
    """The coordinator: it asks all members for each step, some at a time, and counts what is sent."""

    def __init__(self, members: list[Member], threshold: int) -> None:
        self._members, self._places = members, asyncio.Semaphore(AT_ONCE)
        self._params = chilldkg.SessionParams([host_key(number) for number in range(len(members))], threshold)
        self.sent = 0

    async def generate(self) -> None:
        """Find everybody, as this one process is too busy to answer knocks in the midst of it; then three rounds."""
        greeting = messages.encode(messages.AskHello(identity(0).public_key))
        await asyncio.gather(*(self._ask(member, HELLO, greeting) for member in self._members[1:]))
        state, message = chilldkg.coordinator_step1(await self._all("begin", b"please"), self._params)
        certificates = await self._all("certify", message)
        certificate, _, _ = chilldkg.coordinator_finalize(state, certificates)
        await self._all("finish", certificate)

    async def _all(self, step: str, payload: bytes) -> list[bytes]:
        return await asyncio.gather(*(self._ask(member, step, payload) for member in self._members))

    async def _ask(self, member: Member, step: str, payload: bytes) -> bytes:
        me = self._members[0]
        if member is me:
            return await me.steps[step](me.identity.public_key, payload)
        async with self._places:
            answer = await me.network.call(member.identity.public_key, step, payload, PATIENCE)
        self.sent += len(payload) + len(answer)
        return answer


def host_secret(number: int) -> bytes:
    """A member's secret for key generation, the same in every run."""
    return hashlib.sha256(f"host {number}".encode()).digest()


@functools.cache
def host_key(number: int) -> bytes:
    """The public key of it."""
    return bytes(chilldkg.hostpubkey_gen(host_secret(number)))


async def key_generation(threshold: int, count: int) -> dict[str, float]:
    """Seconds until all hold their shares, seconds of one core that it took, and megabytes of messages."""
    with folder() as place:
        hosts = [host_key(number) for number in range(count)]
        members = [Member(number, place, hosts, threshold) for number in range(count)]
        for member in members:
            await member.network.start(member.host, 0)
        for member in members[1:]:
            members[0].network.add_contact(member.network.address, member.identity.public_key)
        founder, begin, worked = Founder(members, threshold), time.perf_counter(), time.process_time()
        await founder.generate()
        seconds, work = time.perf_counter() - begin, time.process_time() - worked
        assert len({member.key for member in members}) == 1
        for member in members:
            await member.close()
    return {"seconds": round(seconds, 2), "work_s": round(work, 2), "megabytes": round(founder.sent / 1e6, 2)}


@asynccontextmanager
async def village(place: Path, chain: RegtestService, count: int) -> AsyncIterator[list[Node]]:
    """Whole nodes that know each other."""
    bitcoin: dict[str, object] = {"rpc": chain.url, "cookie": str(chain.cookie_path)}
    config = load(place, LOOPBACK | {"bitcoin": bitcoin})
    nodes: list[Node] = []
    try:
        for number in range(count):
            nodes.append(await Node.open(place / f"node {number}", config, SystemClock(), SystemRandomness()))
            if number == 0:
                await commons.found(nodes[0], wire.FoundCommons("town", "", "member 0"))
            else:
                invitation = await commons.invite(nodes[0], wire.Nothing())
                await commons.join(nodes[number], wire.JoinCommons(invitation.text, f"member {number}"))
        yield nodes
    finally:
        for node in nodes:
            await node.close()


async def until(what: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not (found := what()):  # noqa: ASYNC110 - a figure needs no news, only the time
            await asyncio.sleep(0.002)
    return found


async def treasury_of(nodes: list[Node], chain: RegtestService, payments: int) -> str:
    """A group of all with a key, and coins for some payments."""
    keys = tuple(node.identity.public_key.hex() for node in nodes)
    await until(lambda: all(len(node.home.members()) == len(nodes) for node in nodes))
    group = (await groups.found(nodes[0], wire.FoundGroup("council", "", keys, 3, 3))).id
    for node in nodes[1:]:
        await until(lambda node=node: charter(node.db, bytes.fromhex(group)))
        await groups.sign(node, wire.GroupId(group))
    found = [charter(node.db, bytes.fromhex(group)) for node in nodes]
    await until(lambda: all(threshold_key(node.db, each) for node, each in zip(nodes, found, strict=True) if each))
    address = (await groups.groups(nodes[0], wire.Nothing())).groups[0].address
    await chain_call(chain, "sendtoaddress", address, f"0.{payments:02d}000000")
    await chain_call(chain, "generatetoaddress", 1, chain.faucet_address)
    return group


async def chain_call(chain: RegtestService, method: str, *params: Any) -> Any:
    """Ask the chain as any client does."""
    rpc = JsonRpc(chain.url, CookieFile(chain.cookie_path))
    try:
        return await rpc.call(Any, method, *params, timeout=PATIENCE)  # type: ignore[arg-type]
    finally:
        await rpc.close()


async def vote_to_payout(repeat: int) -> float:
    """Median seconds from the deciding vote to the mempool."""
    with folder() as place:
        chain = await serve(place / "chain", "127.0.0.1", 0, SystemClock(), SystemRandomness())
        try:
            async with village(place, chain, PAYING) as nodes:
                group = await treasury_of(nodes, chain, repeat + 1)
                return statistics.median([await one_payout(nodes, chain, group) for _ in range(repeat)])
        finally:
            await chain.close()


async def one_payout(nodes: list[Node], chain: RegtestService, group: str) -> float:
    """Seconds from the deciding vote to the mempool; the payment is then mined."""
    to = await chain_call(chain, "getnewaddress")
    payee = nodes[-1].identity.public_key.hex()
    ask = wire.ProposePayment(group, "work", "", payee, to, 500_000)
    proposal = (await proposals.pay(nodes[1], ask)).id
    for node in nodes[:2]:
        await until(lambda node=node: payment(node.db, bytes.fromhex(proposal)))
        await proposals.vote(node, wire.CastVote(proposal, "yes"))
    await until(lambda: all(count_yes(node, proposal) == 2 for node in nodes))
    begin = time.perf_counter()
    await proposals.vote(nodes[2], wire.CastVote(proposal, "yes"))
    await until(lambda: any(signed(node.db, bytes.fromhex(proposal)) for node in nodes))
    await until(lambda: len(chain.node.chain.mempool))
    seconds = time.perf_counter() - begin
    await chain_call(chain, "generatetoaddress", 1, chain.faucet_address)
    await until(lambda: all(treasury.is_paid(node.db, bytes.fromhex(proposal)) for node in nodes))
    return seconds


def count_yes(node: Node, proposal: str) -> int:
    """How many yes votes a node sees."""
    asked = payment(node.db, bytes.fromhex(proposal))
    group = charter(node.db, asked.group) if asked else None
    return tally(node.db, group, asked, 0).count("yes") if asked and group else 0


class Pens:
    """Writes valid chains of members without storing them."""

    def __init__(self, members: list[Identity]) -> None:
        self.blocks: list[HalfBlock] = []
        self._heads: dict[bytes, tuple[int, BlockHash]] = {each.public_key: (0, GENESIS_HASH) for each in members}

    def write(self, author: Identity, said: Any) -> BlockHash:
        number, previous = self._heads[author.public_key]
        kind, transaction = encode(said)
        block = HalfBlock(author.public_key, number + 1, ANYONE, 0, previous, kind, transaction, 0).signed_by(author)
        self._heads[author.public_key] = (number + 1, block.hash)
        self.blocks.append(block)
        return block.hash


def long_history(members: list[Identity], count: int) -> tuple[Pens, BlockHash, list[BlockHash]]:
    """A group with many proposals on which all voted and which all counted; every hundredth is still open."""
    pens, keys = Pens(members), tuple(each.public_key for each in members)
    group = pens.write(members[0], FoundGroup("council", "", keys, 3, 3))
    made = []
    for number in range(count):
        deadline = 2**50 if number % 100 == 0 else 1
        said = ProposePayment(group, "work", "", keys[0], b"\x51\x20" + bytes(32), 1_000 + number, 1_000, deadline)
        made.append(pens.write(members[number % len(members)], said))
        votes = [pens.write(each, CastVote(made[-1], "yes" if number % 100 else "abstain", "")) for each in members]
        if number % 100:
            pens.write(members[0], Decide(made[-1], True, tuple(votes)))
    return pens, group, made


async def counting(count: int) -> dict[str, float]:
    """Milliseconds of one tally, and of one look at all proposals, in a ledger of many."""
    members = [identity(number) for number in range(PAYING)]
    pens, group_id, made = long_history(members, count)
    with folder() as place:
        views = [MembersView(), GroupsView()]
        ledger = Ledger(place / "l.db", members[0], views, SystemClock(), SystemRandomness(), "NORMAL", tables=TABLES)
        for at in range(0, len(pens.blocks), 5_000):
            await ledger.ingest(pens.blocks[at : at + 5_000])
        group = charter(ledger.db, group_id)
        assert group is not None
        asked = [each for each in (payment(ledger.db, id_) for id_ in made) if each]
        tallies = [milliseconds(lambda each=each: tally(ledger.db, group, each, 2)) for each in asked[::10]]
        agenda = Agenda(ledger)
        agenda.of(group)
        looks = [milliseconds(lambda: agenda.of(group)) for _ in range(10)]
        assert len(agenda.of(group)) == len(open_now(ledger.db, group, 2)) == count // 100
        anew = [milliseconds(lambda: open_now(ledger.db, group, 2)) for _ in range(10)]
        ledger.close()
    medians = {"tally_ms": tallies, "look_ms": looks, "open_ms": anew}
    return {name: round(statistics.median(each), 3) for name, each in medians.items()}


def milliseconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def compared(repeat: int) -> dict[str, Any]:
    """Other people's programs on the same machine, or why there is no figure."""
    threshold, count = COMPARED
    told: dict[str, Any] = {}
    try:
        asked = {"do": "time", "min": threshold, "max": count, "repeat": repeat}
        told[peers.NOBLE] = {**_rounded(peers.noble(asked, fetch=True)), "version": peers.noble_version()}
    except peers.Missing as missing:
        told[peers.NOBLE] = {"missing": str(missing)}
    try:
        told["reference"] = _rounded(peers.reference(threshold, count))
    except peers.Missing as missing:
        told["reference"] = {"missing": str(missing)}
    return {"of": f"{threshold}-of-{count}", **told}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in figures.items()}


def parts(repeat: int, sizes: Sizes) -> dict[str, Callable[[], dict[str, Any]]]:
    """What there is to be measured; each gives some of the figures by name."""
    return {
        "signing": lambda: {"signing": {f"{t}-of-{n}": signing(t, n, repeat) for t, n in sizes.signing}},
        "dkg": lambda: {"dkg": {f"{t}-of-{n}": asyncio.run(key_generation(t, n)) for t, n in sizes.dkg}},
        "rounds": lambda: {"rounds": {"dkg": 3, "signing": 2}},
        "payout": lambda: {"vote_to_payout_s": round(asyncio.run(vote_to_payout(repeat)), 2)},
        "counting": lambda: asyncio.run(counting(sizes.proposals)),
        "peers": lambda: {"peers": compared(repeat)},
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", action="append", choices=parts(0, Sizes()), help="measure this part; may be repeated")
    options = parser.parse_args()
    measured = parts(options.repeat, Sizes())
    figures: dict[str, Any] = {}
    for name in options.only or measured:
        figures |= measured[name]()
    for name, value in figures.items():
        print(f"{name:>20}  {value}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
