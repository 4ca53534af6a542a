"""A signer that is killed again and again: does a nonce sign twice, and can the group still spend and speak?

    python -m experiments.treasury_crash [--kills N] [--first STEP] [--json]

In each run a group of three, all of whom sign, is founded, makes both its keys, holds coins of a real regtest chain,
decides and makes a payment, and writes the decision on its own chain. One member is a process of its own, which is
killed with SIGKILL at one of its I/O steps: before or after a commit of its ledger, or before an answer leaves it. It
is started anew on the same folder, and the others go on where they were. The step moves on from run to run, so that
N runs go through all of them several times.

`kills` counts the kills, `steps` the different steps of a life at which they struck, `nonce_reuse` nonces of either key
that were committed to twice or signed twice, `unspendable` runs in which the payment was not made in the end,
`unwritten` those in which the group's chain has no block or two at one place. Exit status 1 says that there was any.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from overlay.clock import SystemRandomness
from overlay.dao.assembly import governance
from overlay.dao.assembly.shares import host_keys
from overlay.dao.chain import group_chain
from overlay.dao.chain.group_scribe import NotWritten
from overlay.dao.chain.order_messages import AskLock, AskShare, Locked, ShareGiven
from overlay.dao.funds import signer
from overlay.dao.funds.roast import TooFew
from overlay.dao.keyring import custody
from overlay.dao.keyring.keygen import KeygenFailed
from overlay.dao.keyring.messages import AskCommitments, AskShares, Commitments, SignatureShares
from overlay.keys import PublicKey
from overlay.network.messages import BadMessage, decode
from overlay.network.network import CallFailed, Refusal
from overlay.trustchain import blocks
from overlay.trustchain.block import unpack
from overlay.trustchain.statements import FoundGroup
from tests.dao.group_town import GroupTown, Lines, Member, chain
from tests.town import HandClock

KILLS, TRIES = 200, 6
# Imported once, in the process that the member's processes are forked from.
PRELOADED = ("tests.dao.group_town",)
MORTAL = "welder"
# What a member answers with Refusal, or does not answer at all, in a step that is then made again.
SETBACKS = (CallFailed, Refusal, KeygenFailed, TooFew, NotWritten, RuntimeError)


class Steps:
    """Counts I/O steps in the mortal member's process, and ends it at one of them."""

    def __init__(self, fatal: int) -> None:
        self._left = fatal

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_sql(self, text: str) -> None:
        if text == "COMMIT":
            self.step()


def live(pipe: Connection, folder: str, url: str, cookie: str, now: int, fatal: int) -> None:
    """The mortal member's process: does what the pipe asks for, until it is killed or the pipe is closed."""
    asyncio.run(_live(pipe, Path(folder), (url, Path(cookie)), now, Steps(fatal)))


async def _live(pipe: Connection, folder: Path, service: tuple[str, Path], now: int, steps: Steps) -> None:
    clock = HandClock()
    clock.time = now
    member, lines = Member(MORTAL, folder, clock), Lines()
    ledger = member.open_ledger()
    ledger.random = SystemRandomness()
    ledger._store._writer_db.set_trace_callback(steps.on_sql)
    town = GroupTown.__new__(GroupTown)
    town.service = _Service(*service)  # type: ignore[assignment]
    member.start(lines.line(member.key), town.new_backend())
    loop = asyncio.get_running_loop()
    while True:
        try:
            task, clock.time, given = await loop.run_in_executor(None, pipe.recv)
        except EOFError:
            os._exit(0)
        try:
            answer = await _do(member, lines, task, given)
        except (Refusal, BadMessage) as refusal:
            answer = Refusal(str(refusal))
        steps.step()  # the answer is about to leave; what it rests on was committed, which was a step
        pipe.send(answer)


class _Service:
    """Where the chain is, as a town asks for it."""

    def __init__(self, url: str, cookie_path: Path) -> None:
        self.url, self.cookie_path = url, cookie_path


async def _do(member: Member, lines: Lines, task: str, given: Any) -> Any:
    if task == "call":
        asker, service, payload = given
        return await lines.services[member.key][service](asker, payload)
    if task == "take":
        refused = await member.ledger.ingest([unpack(raw) for raw in given])
        assert refused == []
        return [block.pack() for block in blocks.everything(member.ledger.db)]
    if task == "sign":
        if member.key in host_keys(member.ledger.db, member.group(given)):
            return None
        key = custody.host_key(member.identity, given)
        await member.ledger.transact(lambda tx: governance.sign_charter(tx, given, key))
    elif task == "vote":
        await member.vote(given)
    elif task == "count":
        await member.count(given)
    return None


class Watch:
    """Every nonce that the mortal member committed to, in which session, and what it signed with each."""

    def __init__(self) -> None:
        self.committed: Counter[bytes] = Counter()
        self.signed: dict[bytes, set[bytes]] = {}
        self._sessions: dict[bytes, tuple[bytes, ...]] = {}
        self._ballots: dict[tuple[bytes, int, int], bytes] = {}

    def saw(self, service: str, payload: bytes, answer: bytes) -> None:
        if service == signer.COMMIT:
            nonces = decode(answer, Commitments).nonces
            self._sessions[decode(payload, AskCommitments).session] = nonces
            self.committed.update(nonces)
        elif service == signer.SIGN:
            session = self._sessions[decode(payload, AskShares).session]
            for nonce, share in zip(session, decode(answer, SignatureShares).shares, strict=True):
                self.signed.setdefault(nonce, set()).add(share)
        elif service == group_chain.LOCK:
            asked, nonce = decode(payload, AskLock), decode(answer, Locked).commitment
            self._ballots[asked.group, asked.position, asked.lock.ballot] = nonce
            self.committed.update((nonce,))
        elif service == group_chain.SHARE:
            told = decode(payload, AskShare)
            nonce = told.commitments[told.signers.index(2)]
            self.signed.setdefault(nonce, set()).add(decode(answer, ShareGiven).share)

    @property
    def reused(self) -> int:
        """Nonces that served twice."""
        return sum(n > 1 for n in self.committed.values()) + sum(len(each) > 1 for each in self.signed.values())


class Run:
    """One group's life, with one death of the mortal member in it."""

    def __init__(self, town: GroupTown, fatal: int) -> None:
        self.town, self.watch, self.deaths = town, Watch(), 0
        self._line = asyncio.Lock()
        self._fatal, self._context = fatal, multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*PRELOADED])
        self.mortal = Member(MORTAL, town.folder, town.clock)
        self._begin()

    def _begin(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        place = (str(self.town.folder), self.town.service.url, str(self.town.service.cookie_path))
        now, fatal = self.town.clock.now(), 0 if self.deaths else self._fatal
        self._process = self._context.Process(target=live, args=(theirs, *place, now, fatal), daemon=True)
        self._process.start()
        theirs.close()

    async def ask(self, task: str, given: Any) -> Any:
        """Raises CallFailed when the member has just died; it is started again.

        Whoever asks may be cancelled; the question is still answered before the next one is put.
        """
        return await asyncio.shield(self._exchange(task, given))

    async def _exchange(self, task: str, given: Any) -> Any:
        async with self._line:
            return await self._put(task, given)

    async def _put(self, task: str, given: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            self._pipe.send((task, self.town.clock.now(), given))
            answer = await loop.run_in_executor(None, self._pipe.recv)
        except (EOFError, OSError) as error:
            self._process.join()
            if self._process.exitcode != -signal.SIGKILL or self.deaths:
                raise AssertionError(f"the member's process ended by itself: {self._process.exitcode}") from error
            self.deaths += 1
            self._begin()
            raise CallFailed(self.mortal.key, "it was killed") from error
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def serve(self, asker: PublicKey, service: str, payload: bytes) -> bytes:
        return await asyncio.shield(self._serve(asker, service, payload))

    async def _serve(self, asker: PublicKey, service: str, payload: bytes) -> bytes:
        answer: bytes = await self.ask("call", (asker, service, payload))
        self.watch.saw(service, payload, answer)
        return answer

    async def end(self) -> None:
        async with self._line:
            self._pipe.close()
            self._process.join()

    async def again(self, what: Callable[[], Awaitable[Any]]) -> Any:
        """Do something until it is done; what is waited for in between has passed."""
        for _ in range(TRIES):
            try:
                return await what()
            except SETBACKS:
                self.town.clock.time += 120_000  # type: ignore[attr-defined]
        return await what()

    async def tell(self) -> None:
        """Everybody hears of everything."""
        local = [block.pack() for member in self.town.all for block in blocks.everything(member.ledger.db)]
        theirs = await self.again(lambda: self.ask("take", local))
        everything = [unpack(raw) for raw in {*local, *theirs}]
        for member in self.town.all:
            await member.ledger.ingest(everything)

    async def live(self) -> None:
        """From the charter to the payment and the group's word about it. Raises what does not come about."""
        town, lines = self.town, self.town.lines
        farmer, baker = town.add("farmer"), town.add("baker")
        lines.services[self.mortal.key] = _Everything(self)
        said = FoundGroup("bridge group", "", (farmer.key, baker.key, self.mortal.key), 3, 3)
        town.id = (await farmer.ledger.transact(lambda tx: governance.found_group(tx, said))).hash
        await self.tell()
        for member in town.all:
            key = custody.host_key(member.identity, town.id)
            await member.ledger.transact(lambda tx, key=key: governance.sign_charter(tx, town.id, key))  # type: ignore[misc]
        await self.again(lambda: self.ask("sign", town.id))
        await self.tell()
        await self.again(lambda: farmer.keygen.coordinate(farmer.group(town.id)))
        await self.tell()
        await town.fund(5_000_000)
        proposal = await town.propose(farmer)
        await self.tell()
        for each in town.all:
            await each.vote(proposal)
        await self.again(lambda: self.ask("vote", proposal))
        await self.tell()
        for each in town.all:
            await each.count(proposal)
        await self.again(lambda: self.ask("count", proposal))
        await self.tell()
        await self.again(lambda: town.pay(farmer, proposal))
        await self.again(self._write)

    async def _write(self) -> None:
        if failures := await self.town.write(self.town.farmer):
            raise NotWritten(failures[0])
        if blocks.first_gap(self.town.farmer.ledger.db, self.town.agent) == 1:
            raise NotWritten("not yet")


class _Everything(dict[str, Any]):
    """All services of the member in the other process."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def __missing__(self, service: str) -> Callable[[PublicKey, bytes], Awaitable[bytes]]:
        return lambda asker, payload: self._run.serve(asker, service, payload)


async def measure(kills: int, first: int = 1) -> dict[str, int]:
    """The figures of that many deaths, beginning at one step of a life."""
    told = {"kills": 0, "runs": 0, "steps": 0, "nonce_reuse": 0, "unspendable": 0, "unwritten": 0}
    fatal = first
    while told["kills"] < kills:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            died = await _one(Path(place), fatal, told)
        told["steps"] = max(told["steps"], fatal if died else 0)
        fatal = fatal + 1 if died else 1  # a life that ended by itself had fewer steps
    return told


async def _one(folder: Path, fatal: int, told: dict[str, int]) -> bool:
    async with chain(folder) as service:
        town = GroupTown(folder, service, HandClock())
        run = Run(town, fatal)
        try:
            await run.live()
        except SETBACKS as failure:
            print(f"step {fatal}: {failure}", file=sys.stderr)
        told["runs"] += 1
        told["kills"] += run.deaths
        told["nonce_reuse"] += run.watch.reused
        told["unspendable"] += len(await town.mempool()) != 1
        told["unwritten"] += len(blocks.at(town.farmer.ledger.db, town.agent, 1)) != 1
        await run.end()
        await town.close()
    return run.deaths > 0


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=KILLS, help="how many times the member is killed")
    asked.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked.add_argument("--first", type=int, default=1, help="the I/O step of the first kill")
    options = asked.parse_args()
    told = asyncio.run(measure(options.kills, options.first))
    print(json.dumps(told) if options.json else "\n".join(f"{name}: {value}" for name, value in told.items()))
    return 1 if told["nonce_reuse"] or told["unspendable"] or told["unwritten"] else 0


if __name__ == "__main__":
    sys.exit(main())
