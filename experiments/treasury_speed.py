"""How long a treasury takes: to sign, to make its key, to pay what was voted, to count votes in a long ledger.

    python -m experiments.treasury_speed [--json] [--repeat N]

`signing`: what one signer and the coordinator of 67 of 100 compute, in milliseconds (least of N).
`dkg`: seconds for 26 of 50 members to make a key over 50 real IPv8 endpoints of this machine, all in one process, each
    with a ledger on disk; from the founder's first request until all hold their shares. A charter of 50 does not fit a
    block, so it is put into the members' ledgers by hand.
`vote_to_payout_s`: seconds from the deciding vote until the payment is in the mempool, 3 of 5 whole nodes on loopback
    in one process with a regtest chain: gossip, counting, two rounds of signing, all promises on disk (median of N).
`tally_ms`: one tally in a ledger of 10,000 proposals with 5 votes each, in milliseconds (median of 1,000).
`look_ms`: what a node does about such a ledger twice a second, a hundred of the proposals being open (median of 10).
`peers`: the nodes of `dkg` and of `vote_to_payout_s`.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from experiments import frost_speed
from overlay.clock import SystemClock, SystemRandomness
from overlay.dao import custody, policy, treasury
from overlay.dao.agenda import Agenda
from overlay.dao.bitcoin.jsonrpc import CookieFile, JsonRpc
from overlay.dao.bitcoin.regtest import RegtestService, serve
from overlay.dao.charters import charter, share_holders, threshold_key
from overlay.dao.governance import tally
from overlay.dao.groups import GroupsView
from overlay.dao.keygen import KeyGeneration
from overlay.dao.proposals import payment
from overlay.dao.treasury import signed
from overlay.economy.members import MembersView
from overlay.keys import Identity
from overlay.network.network import Network
from overlay.node import wire
from overlay.node.actions import commons, groups, proposals
from overlay.node.config import load
from overlay.node.node import Node
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger, Transaction
from overlay.trustchain.statements import CastVote, Decide, FoundGroup, ProposePayment, Rule, encode

SIGNING = (67, 100)
KEY_GENERATION = (26, 50)
PAYING = 5
PROPOSALS = 10_000
PATIENCE = 60.0
LOOPBACK: dict[str, dict[str, object]] = {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}}
TABLES = (custody.SCHEMA, policy.SCHEMA, treasury.SCHEMA)
COMMONS = bytes(20)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def identity(number: int) -> Identity:
    """A member's key, the same in every run."""
    return Identity.from_seed(hashlib.sha512(f"member {number}".encode()).digest())


def signing(repeat: int) -> dict[str, float]:
    """Milliseconds of one signer and of the coordinator."""
    outputs = frost_speed.generate(*SIGNING).outputs
    runs = [frost_speed.sign(*SIGNING, outputs) for _ in range(repeat)]
    signer, coordinator = frost_speed.milliseconds(runs)
    return {"signer_ms": signer, "coordinator_ms": coordinator}


class Peer:
    """One endpoint with a ledger and key generation."""

    def __init__(self, number: int, place: Path) -> None:
        self.identity = identity(number)
        clock, random = SystemClock(), SystemRandomness()
        self.ledger = Ledger(place / f"{number}.db", self.identity, [GroupsView()], clock, random, tables=TABLES)
        self.network = Network(self.identity, COMMONS, clock, random, lambda _: True, lambda _: None)
        self.keygen = KeyGeneration(self.ledger, self.network)
        self.host = f"127.0.0.{number + 1}"  # a node grants each address a limited number of connections

    async def close(self) -> None:
        await self.network.close()
        self.ledger.close()


def write_charter(tx: Transaction, peers: list[Peer], threshold: int) -> None:
    """Put a charter that all have signed into the tables."""
    id_, keys = bytes(32), [peer.identity.public_key for peer in peers]
    rule = msgspec.msgpack.encode(Rule("majority"))
    tx.db.execute("INSERT INTO group_charter VALUES (?,?,?,?,?,?,?)", (id_, keys[0], "town", "", threshold, rule, rule))
    tx.db.executemany("INSERT INTO group_member VALUES (?,?,?)", [(id_, at, key) for at, key in enumerate(keys)])
    bound = [(id_, peer.identity.public_key, 1, id_, custody.host_key(peer.identity, id_)) for peer in peers]
    tx.db.executemany("INSERT INTO group_signature VALUES (?,?,?,?,?)", bound)


async def key_generation(threshold: int, count: int) -> float:
    """Seconds until all hold their shares."""
    with folder() as place:
        peers = [Peer(number, place) for number in range(count)]
        for peer in peers:
            await peer.network.start(peer.host, 0)
            await peer.ledger.transact(lambda tx: write_charter(tx, peers, threshold))
        founder, *others = peers
        for peer in others:
            founder.network.add_contact(peer.network.address, peer.identity.public_key)
        group = charter(founder.ledger.db, bytes(32))
        assert group is not None
        begin = time.perf_counter()
        await founder.keygen.coordinate(group)
        seconds = time.perf_counter() - begin
        assert all(peer.identity.public_key in share_holders(peer.ledger.db, group) for peer in peers)
        for peer in peers:
            await peer.close()
    return seconds


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


def long_history(members: list[Identity]) -> tuple[Pens, BlockHash, list[BlockHash]]:
    """A group with many proposals on which all voted and which all counted; every hundredth is still open."""
    pens, keys = Pens(members), tuple(each.public_key for each in members)
    group = pens.write(members[0], FoundGroup("council", "", keys, 3, 3))
    made = []
    for number in range(PROPOSALS):
        deadline = 2**50 if number % 100 == 0 else 1
        said = ProposePayment(group, "work", "", keys[0], b"\x51\x20" + bytes(32), 1_000 + number, 1_000, deadline)
        made.append(pens.write(members[number % len(members)], said))
        votes = [pens.write(each, CastVote(made[-1], "yes" if number % 100 else "abstain", "")) for each in members]
        if number % 100:
            pens.write(members[0], Decide(made[-1], True, tuple(votes)))
    return pens, group, made


async def counting() -> dict[str, float]:
    """Milliseconds of one tally, and of one look at all proposals, in a ledger of many."""
    members = [identity(number) for number in range(PAYING)]
    pens, group_id, made = long_history(members)
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
        ledger.close()
    return {"tally_ms": round(statistics.median(tallies), 3), "look_ms": round(statistics.median(looks), 2)}


def milliseconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def measure(repeat: int) -> dict[str, Any]:
    """All figures by name."""
    threshold, count = KEY_GENERATION
    return {
        "signing": {"of": list(SIGNING), **signing(repeat)},
        "dkg": {"of": [threshold, count], "seconds": round(asyncio.run(key_generation(threshold, count)), 2)},
        "vote_to_payout_s": round(asyncio.run(vote_to_payout(repeat)), 2),
        **asyncio.run(counting()),
        "peers": {"dkg": count, "vote_to_payout": PAYING},
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures = measure(options.repeat)
    for name, value in figures.items():
        print(f"{name:>20}  {value}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
