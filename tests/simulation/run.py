"""One simulated commons from its founding to its peace: `simulate(seed)` tells what came of it.

A storm of faults while members trade, then fair weather: within `PEACE_SECONDS` all honest nodes must agree. The run
depends on the seed and the plan alone.
"""

import asyncio
import gc
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from overlay.network.invitation import BadInvitation, Invitation
from overlay.network.messages import BadMessage
from overlay.network.network import CallFailed
from overlay.node.node import AlreadyMember
from overlay.trustchain.ledger import SigningRefused
from overlay.trustchain.statements import Mint, Profile
from overlay.trustchain.store import StorageError
from tests.simulation.faults import Faults
from tests.simulation.folding import refold
from tests.simulation.internet import FAIR, Internet
from tests.simulation.invariants import Inspector, Violation
from tests.simulation.member import Member
from tests.simulation.peace import Peace
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.workload import Workload, cheat

ROLES = ("founder", "baker", "farmer", "mechanic", "teacher", "forester", "driver")
STORM_SECONDS = 30.0
# After the storm: a crashed node asks for its own head for 4 s, a lost request takes 10 s, mail waits 5 s.
PEACE_SECONDS = 60.0
# The founding takes some seconds, the restored copy 15: what is not over by then never ends.
LIFETIME_SECONDS = 1_000.0
STEP_SECONDS = 0.1
DEEDS_PER_STEP = 3
# Where the files of a run are: in memory if the machine allows, for a simulated power cut needs no real disk.
MEMORY = Path("/dev/shm")


async def _nothing(world: object) -> None:
    """The prologue of most runs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does beside trading; `prologue` comes before the storm, and may break something on purpose."""

    members: int | None = None
    storm_seconds: float = STORM_SECONDS
    has_cheat: bool | None = None
    restores_backup: bool = True
    prologue: Callable[["World"], Awaitable[None]] = _nothing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run. `violation` is empty when every promise was kept."""

    seed: int
    digest: str
    violation: str
    events: int
    commits: int
    deeds: int
    blocks: int
    finals: int
    crashes: int
    proven_cheats: int
    convergence_s: float
    befallen: dict[str, int] = field(repr=False, default_factory=dict)
    last: tuple[str, ...] = field(repr=False, default=())


class World:
    """The members, what befalls them, and who watches."""

    def __init__(self, seed: int, plan: Plan, folder: Path, loop: VirtualLoop) -> None:
        self.seed, self.plan, self.loop = seed, plan, loop
        self.random = Random(f"{seed}/world")
        self.trace = Trace(loop)
        self.internet = Internet(loop, Random(f"{seed}/internet"), self.trace)
        count = plan.members or self.random.randint(4, 7)
        self.members = [Member(at, role, folder / role, self.internet, seed) for at, role in enumerate(ROLES[:count])]
        self.inspector = Inspector(self.members)
        self.peace = Peace(self.members, self.inspector)
        self.workload = Workload(Random(f"{seed}/workload"), self.members)
        self.faults = Faults(Random(f"{seed}/faults"), self.members, self.internet, self.inspector)
        self.faults.on_cheat = lambda member: cheat(self.workload, member)
        self.convergence, self.proven = 0.0, 0
        self.internet.on_leave = self._on_leave
        self.internet.on_crash = lambda name, when: self._called(name).crash(when)
        for member in self.members:
            self._watch(member)

    async def live(self) -> None:
        """The whole story. Raises Violation."""
        await self._found()
        await self.plan.prologue(self)
        await self._storm()
        await self._make_peace()
        if self.plan.restores_backup:
            await self._restore_backup()

    async def close(self) -> None:
        for member in self.members:
            await member.stop()

    async def pass_time(self, seconds: float) -> None:
        """Let everything go on; raises the first violation that anyone has seen."""
        await asyncio.sleep(seconds)
        if self.inspector.violations:
            raise Violation(self.inspector.violations[0])
        if self.loop.alarms:
            raise Violation(f"10: a node failed inside: {self.loop.alarms[0]}")

    async def _found(self) -> None:
        founder = self.members[0]
        for member in self.members:
            await member.start()
        await founder.spawn(founder.up.found_commons("village", "trade", Profile(founder.role, "")))
        for member in self.members[1:]:
            invitation = await founder.spawn(founder.up.home.joining.invite([founder.address]))
            await self._join(member, invitation)
        self.trace.tell("all", "have joined")

    async def _join(self, member: Member, invitation: Invitation) -> None:
        self.internet.weather = self.faults.foul
        while member.up.membership is None:
            try:
                await member.spawn(member.up.join_commons(invitation, Profile(member.role, "")))
            except (CallFailed, BadInvitation, BadMessage) as failure:
                self.trace.tell(member.role, f"has not joined yet: {type(failure).__name__}")
                await self.pass_time(1.0)
            except AlreadyMember:
                break
        self.internet.weather = FAIR

    async def _storm(self) -> None:
        has_cheat = self.random.random() < 0.5 if self.plan.has_cheat is None else self.plan.has_cheat
        self.faults.begin(self.plan.storm_seconds, has_cheat)
        end = self.loop.time() + self.plan.storm_seconds
        while self.loop.time() < end:
            for _ in range(DEEDS_PER_STEP):
                self.workload.step()
            self.faults.step()
            await self.pass_time(STEP_SECONDS)

    async def _make_peace(self) -> None:
        await self.faults.end()
        began = self.loop.time()
        while left := self.peace.obstacles():
            if self.loop.time() - began > PEACE_SECONDS:
                raise Violation(left[0])
            await self.pass_time(1.0)
        self.convergence, self.proven = self.loop.time() - began, len(self.peace.proven())
        self.trace.tell("all", "are at peace")
        self.peace.check()
        for member in self.members:
            await self._refold(member)
        await self.pass_time(0.0)

    async def _refold(self, member: Member) -> None:
        if member.node is None:
            return
        difference = await refold(member, Random(f"{self.seed}/order/{member.role}"))
        if difference:
            raise Violation(f"3: {member.role} folds its own blocks differently {difference}")

    async def _restore_backup(self) -> None:
        """An honest member loses its machine and puts an old backup in another place: it must not fork."""
        honest = [member for member in self.members if not member.is_cheat]
        member = self.random.choice(honest)
        backup = self.faults.backup(member)
        await member.spawn(member.up.ledger.append(_a_mint()))
        await self.pass_time(5.0)
        member.crash("for good")
        await self.faults.restore(member, backup, moves=True)
        for _ in range(100):
            await self.pass_time(STEP_SECONDS)
            try:
                await member.spawn(member.up.ledger.append(_a_mint()))
            except (SigningRefused, StorageError):
                continue
        await self.pass_time(5.0)

    def _watch(self, member: Member) -> None:
        member.disk.on_commit = lambda: self.inspector.look(lambda: self.inspector.committed(member))

    def _on_leave(self, name: str, raw: bytes) -> None:
        member = self._called(name)
        self.inspector.look(lambda: self.inspector.left(member, raw))

    def _called(self, name: str) -> Member:
        return next(each for each in self.members if each.role == name)


USUAL = Plan()


def simulate(seed: int, plan: Plan = USUAL) -> Outcome:
    """Run one seed to its end. Never raises Violation: the outcome tells it."""
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-", dir=MEMORY if MEMORY.is_dir() else None))
    loop = VirtualLoop()
    errors = _Errors(loop)
    logging.getLogger("overlay").addHandler(errors)
    try:
        world = World(seed, plan, folder, loop)
        violation = loop.run_until_complete(_tell(world))
        return _outcome(world, violation)
    finally:
        logging.getLogger("overlay").removeHandler(errors)
        loop.run_until_complete(_end_all(world))
        loop.close()
        shutil.rmtree(folder)


async def _tell(world: World) -> str:
    try:
        async with asyncio.timeout(LIFETIME_SECONDS):
            await world.live()
    except Violation as violation:
        return str(violation)
    except TimeoutError:
        return f"10: after {LIFETIME_SECONDS:g} s it still goes on"
    return ""


async def _end_all(world: World) -> None:
    await world.close()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    gc.collect()


def _outcome(world: World, violation: str) -> Outcome:
    return Outcome(
        seed=world.seed,
        digest=world.trace.digest(),
        violation=violation,
        events=world.trace.count,
        commits=world.inspector.checks,
        deeds=world.workload.done,
        blocks=world.inspector.blocks,
        finals=len(world.inspector.final),
        crashes=world.faults.crashes,
        proven_cheats=world.proven,
        convergence_s=round(world.convergence, 3),
        befallen=dict(world.internet.befallen),
        last=tuple(world.trace.last),
    )


class _Errors(logging.Handler):
    """What the nodes log as errors are parts of them that have stopped."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(logging.ERROR)
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._loop.alarms.append(f"{record.getMessage()}: {error!r}")


def _a_mint() -> Mint:
    return Mint("one more loaf", "piece", 1, "", 0, None)
