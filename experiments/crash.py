"""kill -9 of a real node under load, again and again: is anything that it acknowledged lost, torn or signed twice?

    python -m experiments.crash [--kills N] [--seconds S] [--seed N] [--json]

Two whole nodes (ledger with synchronous=FULL, QUIC over loopback, courier, content session) trade as fast as they can:
each mints a voucher and proposes to give it in one transaction, agrees to what the other proposes, and witnesses its
own vouchers. The farmer's node is a process of its own. It tells each block through a pipe once its ledger has called
it stored, and is killed at a random moment between its start and `--seconds` later: while it recovers, while it asks
whether it may sign, in the middle of commits and of sending. The baker's node lives on. After each restart:

    lost     a block that was told as stored, or whose receipt the baker has, is not in the farmer's ledger
    torn     half of something: a mint without the proposal of the same transaction, a block without a part of its body,
             without its row in a view, or neither owed to the baker nor there
    reused   one number of the farmer's chain carries two blocks: in its ledger, in the baker's, or in what was told

At the end both come to rest: nothing is owed any more, both see each exchange alike, folding everything anew gives the
same tables, and SQLite finds the file whole (`torn` counts what is not so). With --json the last line is one JSON
object. Exit status 1 says that something was lost, torn or reused.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from experiments.trading import Trader
from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.standing import standing
from overlay.keys import PublicKey
from overlay.network.invitation import parse
from overlay.node.config import load
from overlay.node.node import Node
from overlay.trustchain import block_tables, blocks
from overlay.trustchain.block import MAX_SEQUENCE, BlockHash, HalfBlock, unpack
from overlay.trustchain.ledger import Changes, meaning
from overlay.trustchain.statements import AgreeExchange, Mint, Profile, ProposeExchange, Witness
from tests.simulation.folding import tables

LOOPBACK: dict[str, dict[str, object]] = {"network": {"host": "127.0.0.1"}, "content": {"host": "127.0.0.1"}}
KILLS, SECONDS = 1_000, 0.6
READY = b"ready"
# A node is ready after a tenth of a second; one that is not after this has a fault of its own.
PATIENCE_SECONDS = 60.0
# Until nothing is owed any more, after the last kill.
REST_SECONDS = 120.0
# Where a view keeps what a statement says, by the number of its block.
ROWS: dict[type, str] = {
    ProposeExchange: "voucher_proposal",
    AgreeExchange: "voucher_agreement",
    Witness: "voucher_witness",
}


def live(folder: Path, pipe: Connection, port: int, invitation: str, proposes: bool) -> None:
    """The farmer's process: until it is killed."""
    logging.getLogger("overlay").setLevel(logging.ERROR)
    asyncio.run(_live(folder, pipe, port, invitation, proposes))


async def _live(folder: Path, pipe: Connection, port: int, invitation: str, proposes: bool) -> None:
    config = load(folder, LOOPBACK | {"network": {"host": "127.0.0.1", "port": port}})
    node = await Node.open(folder, config, SystemClock(), SystemRandomness())

    def tell(changes: Changes) -> None:
        for block in changes.blocks:
            pipe.send_bytes(block.pack())

    node.ledger.listeners.append(tell)
    pipe.send_bytes(READY)
    if node.membership is None:
        await node.join_commons(parse(invitation), Profile("farmer", ""))
    trader = Trader(node, parse(invitation).member)
    trader.is_closing = not proposes
    await trader.trade()


class Farmer:
    """The node that is killed, as its killer sees it."""

    def __init__(self, folder: Path, invitation: str) -> None:
        self.folder, self._invitation, self._port = folder, invitation, _free_port()
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["experiments.trading"])
        self._process: ForkServerProcess | None = None
        self._pipe: Connection | None = None
        self.told: list[HalfBlock] = []
        self.ready, self.heard = asyncio.Event(), asyncio.Event()

    def start(self, *, proposes: bool = True) -> None:
        """Begin a life."""
        self.ready.clear()
        self._pipe, theirs = self._context.Pipe(duplex=False)
        args = (self.folder, theirs, self._port, self._invitation, proposes)
        self._process = self._context.Process(target=live, args=args, daemon=True)
        self._process.start()
        theirs.close()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._hear)

    async def kill(self) -> None:
        """End it between two instructions; what it had told by then is heard."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        while self._pipe is not None:
            self._hear()

    def _hear(self) -> None:
        assert self._pipe is not None
        try:
            while self._pipe.poll():
                said = self._pipe.recv_bytes()
                if said == READY:
                    self.ready.set()
                else:
                    self.told.append(unpack(said))
                    self.heard.set()
        except (EOFError, OSError):  # the end of its life, perhaps in the middle of a sentence
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._pipe = None

    @contextlib.contextmanager
    def ledger(self) -> Iterator[sqlite3.Connection]:
        """One state of its ledger, read beside it."""
        db = sqlite3.connect(f"file:{self.folder / 'ledger.db'}?mode=ro", uri=True, isolation_level=None)
        block_tables.prepare(db)
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Examiner:
    """Compares the farmer's ledger with what it had told, and with the baker's. Looks at what is new since last."""

    def __init__(self, baker: Node, farmer: PublicKey) -> None:
        self._baker, self._me = baker, farmer
        self._checked, self._baker_checked = 0, 0
        self._at: dict[int, BlockHash] = {}
        self._expected: set[BlockHash] = set()
        self.acknowledged: set[BlockHash] = set()
        self.found: Counter[str] = Counter()

    def restarted(self, farmer: Farmer, told: list[HalfBlock]) -> None:
        """The farmer has opened its ledger again; `told` is what it said since it was examined last."""
        received = self._receipted()  # before the farmer's ledger is looked at: what is there by now was there then
        with farmer.ledger() as db:
            acknowledged = {block.hash for block in told} | received
            self._tell("lost", (found for found in acknowledged if not blocks.contains(db, found)))
            chain = blocks.chain(db, self._me, self._checked + 1, MAX_SEQUENCE, MAX_SEQUENCE)
            self._tell("reused", self._twice(db, chain, told))
            for why, block in self._halves(db, chain):
                self._tell("torn", [block.hash], why)
        self.acknowledged |= acknowledged
        self._checked = max(self._checked, chain[-1].sequence_number - 1) if chain else self._checked

    def at_rest(self, farmer: Farmer) -> None:
        """Everything is delivered: all of it is looked at again."""
        self._checked = 0
        self.restarted(farmer, [])
        mine, now = self._baker.db, self._baker.clock.now()
        with farmer.ledger() as db:
            self._tell("lost", (found for found in self.acknowledged if not blocks.contains(db, found)))
            proposals = [BlockHash(found) for (found,) in db.execute("SELECT proposal FROM voucher_exchange")]
            unlike = (each for each in proposals if standing(db, each, now) is not standing(mine, each, now))
            self._tell("torn", unlike, "stands otherwise with the other party")
            is_whole = db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        self._tell("torn", () if is_whole else (b"",), "the file is damaged")

    def _receipted(self) -> set[BlockHash]:
        """What the baker has written to the farmer, and owes no longer: its receipt has come."""
        with self._baker.ledger.snapshot() as db:
            own = self._baker.identity.public_key
            new = blocks.chain(db, own, self._baker_checked + 1, MAX_SEQUENCE, MAX_SEQUENCE)
            self._baker_checked = new[-1].sequence_number if new else self._baker_checked
            self._expected |= {each.hash for each in new if isinstance(meaning(each), ProposeExchange | AgreeExchange)}
            received = self._expected - _owed(db)
        self._expected -= received
        return received

    def _twice(self, db: sqlite3.Connection, chain: list[HalfBlock], told: list[HalfBlock]) -> Iterator[bytes]:
        """Blocks whose number another block carries."""
        seen = blocks.chain(self._baker.db, self._me, self._checked + 1, MAX_SEQUENCE, MAX_SEQUENCE)
        own = [block for block in told if block.public_key == self._me]
        for block in (*own, *chain, *seen):
            if self._at.setdefault(block.sequence_number, block.hash) != block.hash:
                yield block.hash
        yield from (self._me for each in (db, self._baker.db) if blocks.has_forked(each, self._me))

    def _halves(self, db: sqlite3.Connection, chain: list[HalfBlock]) -> Iterator[tuple[str, HalfBlock]]:
        """Blocks of which something is missing that was to be stored with them, and what."""
        owed = _owed(db)
        for block, behind in itertools.zip_longest(chain, chain[1:]):
            said = meaning(block)
            if behind is not None and behind.previous_hash != block.hash:
                yield "does not follow its predecessor", behind
            if isinstance(said, Mint) and (behind is None or not isinstance(meaning(behind), ProposeExchange)):
                yield "a mint without its proposal", block
            view = ROWS.get(type(said))
            if view is None:
                continue
            if block.hash not in owed and not blocks.contains(self._baker.db, block.hash):
                yield "neither owed nor delivered", block
            if not _is_folded(db, view, block):
                yield f"no row in {view}", block
            if not _is_whole(db, block, said):
                yield "a part of its body is missing", block

    def _tell(self, what: str, found: Iterable[bytes], why: str = "") -> None:
        for each in found:
            self.found[what] += 1
            print(f"{what}: {each.hex()} {why}", file=sys.stderr, flush=True)


def _owed(db: sqlite3.Connection) -> set[BlockHash]:
    return {BlockHash(found) for (found,) in db.execute("SELECT hash FROM outbox JOIN half ON id = block")}


def _is_folded(db: sqlite3.Connection, view: str, block: HalfBlock) -> bool:
    number = blocks.find_id(db, block.hash)
    return db.execute(f"SELECT 1 FROM {view} WHERE block = ?", (number,)).fetchone() is not None


def _is_whole(db: sqlite3.Connection, block: HalfBlock, said: object) -> bool:
    """Whether all parts of a body are there."""
    if not isinstance(said, ProposeExchange):
        return True
    query = "SELECT count(*), max(count) FROM part WHERE block = ?"
    stored, promised = db.execute(query, (blocks.find_id(db, block.hash),)).fetchone()
    return bool(stored and stored == promised)


async def crash(folder: Path, kills: int, seconds: float, seed: int, *, to_rest: bool = True) -> dict[str, float]:
    """The figures; without `to_rest` nobody waits at the end until nothing is owed any more."""
    began, chance, lives = time.monotonic(), random.Random(seed), 0
    baker = await Node.open(folder / "baker", load(folder, LOOPBACK), SystemClock(), SystemRandomness())
    await baker.found_commons("village", "trade", Profile("baker", ""))
    invitation = await baker.home.joining.invite([baker.home.network.address])
    farmer = Farmer(folder / "farmer", invitation.to_text())
    farmer.start()
    key = await _joined(baker, farmer)
    trader, examiner = Trader(baker, key), Examiner(baker, key)
    trading = asyncio.create_task(trader.trade())
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.0, seconds))
        await farmer.kill()
        farmer.start()
        if farmer.told and chance.random() < 0.8:  # otherwise it is killed again while it recovers, perhaps
            lives += await _examine(farmer, examiner)
    trader.is_closing = True
    await farmer.kill()
    farmer.start(proposes=False)
    if to_rest:
        await _come_to_rest(baker, farmer)
    trading.cancel()
    await asyncio.gather(trading, return_exceptions=True)
    await _examine(farmer, examiner)
    await farmer.kill()
    if to_rest:
        examiner.at_rest(farmer)
    exchanges = baker.db.execute("SELECT count(*) FROM voucher_proposal WHERE agreed IS NOT NULL").fetchone()[0]
    await baker.close()
    examiner.found["torn"] += await _refolds_differently(folder / "farmer")
    return {
        "kills": kills,
        "lost": examiner.found["lost"],
        "torn": examiner.found["torn"],
        "reused": examiner.found["reused"],
        "examined": lives,
        "acknowledged": len(examiner.acknowledged),
        "agreed_exchanges": exchanges,
        "seconds": round(time.monotonic() - began, 1),
    }


async def _examine(farmer: Farmer, examiner: Examiner) -> int:
    """Wait until the ledger is open, then look; 1 when that was done."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await farmer.ready.wait()
    told, farmer.told = farmer.told, []
    examiner.restarted(farmer, told)
    return 1


async def _joined(baker: Node, farmer: Farmer) -> PublicKey:
    """Wait until the farmer has joined, and says so."""
    own = baker.identity.public_key
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            farmer.heard.clear()
            found = {block.public_key for block in farmer.told} - {own}
            if found:
                return found.pop()
            await farmer.heard.wait()


async def _come_to_rest(baker: Node, farmer: Farmer) -> None:
    """Wait until both owe nothing and everything is agreed and witnessed, or patience ends (what is left is torn)."""
    query = (
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM voucher_proposal WHERE agreed IS NULL)"
        " + (SELECT count(*) FROM voucher_leg WHERE made AND word = 0)"
    )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            left = 1
            while left:
                await asyncio.sleep(0.1)
                with farmer.ledger() as db:
                    left = sum(each.execute(query).fetchone()[0] for each in (db, baker.db))


async def _refolds_differently(folder: Path) -> int:
    """The tables that differ when the farmer's node folds everything anew."""
    node = await Node.open(folder, load(folder, LOOPBACK), SystemClock(), SystemRandomness())
    live = tables(node.db, node.ledger.views)
    await node.ledger.rebuild()
    anew = tables(node.db, node.ledger.views)
    await node.close()
    different = [name for name in live if live[name] != anew[name]]
    for name in different:
        print(f"torn: the table {name} differs when it is folded anew", file=sys.stderr)
    return len(different)


def main() -> int:
    """Parse the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the longest life between two kills")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("overlay").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="counterfoil-crash-") as folder:
        figures = asyncio.run(crash(Path(folder), asked.kills, asked.seconds, asked.seed))
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:>16}  {value:,}" for name, value in figures.items()))
    return 1 if figures["lost"] or figures["torn"] or figures["reused"] else 0


if __name__ == "__main__":
    sys.exit(main())
