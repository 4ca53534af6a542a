"""What befalls a simulated commons: weather, partitions, crashes, wrong clocks, full disks, a cheat."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from overlay.trustchain import blocks
from overlay.trustchain.statements import Mint
from tests.simulation.internet import FAIR, FOUL, Internet
from tests.simulation.invariants import Inspector
from tests.simulation.member import Member, move_folder, restore_files, save_files

HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Backup:
    """The ledger of a member as it was; `height` is the number of its last statement in it."""

    files: dict[str, bytes]
    height: int


class Faults:
    """One draw per step (a tenth of a second) while the storm lasts; `end` makes everything whole again."""

    foul = FOUL

    def __init__(self, random: Random, members: list[Member], internet: Internet, inspector: Inspector) -> None:
        self.random, self.members, self.internet, self.inspector = random, members, internet, inspector
        self.crashes = 0
        self.on_cheat: Callable[[Member], None] = lambda cheat: None
        self._cheat: Member | None = None
        self._backup: Backup | None = None
        self._cheats_at = 0.0
        self._down: dict[Member, float] = {}
        self._full: dict[Member, float] = {}

    def begin(self, seconds: float, has_cheat: bool) -> None:
        self.internet.weather = FOUL
        for member in self.members:
            member.disk.crash_before_commit = member.disk.crash_after_commit = 0.002
        self.internet.crash_at_send = 0.001
        if has_cheat:
            self._cheat = self.random.choice(self.members[1:])
            self._cheats_at = self._now + self.random.uniform(0.5, 0.9) * seconds
            self._backup_at = self._now + self.random.uniform(0.1, 0.4) * seconds

    @property
    def _now(self) -> float:
        return self.internet.loop.time()

    def step(self) -> None:
        """Whatever is due, and perhaps something new."""
        self._recover()
        self._cheat_if_due()
        draw = self.random.random()
        if draw < 0.008:
            self._partition()
        elif draw < 0.02:
            self.internet.sides = {}
        elif draw < 0.03:
            self._crash(self.random.choice(self.members))
        elif draw < 0.04:
            self._turn_clock(self.random.choice(self.members))
        elif draw < 0.045:
            self._fill_disk(self.random.choice(self.members))
        elif draw < 0.06:
            self.internet.weather = self.random.choice((FAIR, FOUL, FOUL))

    async def end(self) -> None:
        """Fair weather, everybody is back, and no disk is full."""
        self.internet.weather, self.internet.sides, self.internet.crash_at_send = FAIR, {}, 0.0
        for member in self.members:
            member.disk.crash_before_commit = member.disk.crash_after_commit = 0.0
            member.disk.is_full = False
        self.internet.trace.tell("all", "the storm is over")
        for member in self.members:
            if member.node is None:
                await self._restart(member)
        if self._cheat is not None and self._backup is not None:
            await self._cheat_now(self._cheat, self._backup)

    def backup(self, member: Member) -> Backup:
        head = blocks.head(member.up.db, member.key)
        return Backup(save_files(member.folder), head[0] if head else 0)

    async def restore(self, member: Member, backup: Backup, *, moves: bool) -> None:
        """The member's ledger is what it was once; with `moves` its whole folder is in another place."""
        if member.ending is not None:
            await member.ending
        restore_files(member.folder, backup.files)
        member.acknowledged.clear()
        if moves:
            move_folder(member.folder)
        await self._restart(member)

    def _recover(self) -> None:
        for member, until in list(self._full.items()):
            if until <= self._now:
                del self._full[member]
                member.disk.is_full = False
        for member in self.members:
            if member.node is not None or member.ending is None:
                continue
            if member not in self._down:
                self.crashes += 1
                self._down[member] = self._now + self.random.uniform(0.5, 8.0)
            elif self._down[member] <= self._now and member.ending.done():
                del self._down[member]
                self.internet.loop.create_task(self._restart(member))

    async def _restart(self, member: Member) -> None:
        await member.start()
        if member.node is not None:
            self.inspector.look(lambda: self.inspector.restarted(member))

    def _partition(self) -> None:
        self.internet.sides = {member.role: self.random.randrange(2) for member in self.members}
        self.internet.befallen["partition"] += 1
        sides = "".join(str(self.internet.sides[member.role]) for member in self.members)
        self.internet.trace.tell("all", f"are apart: {sides}")

    def _crash(self, member: Member) -> None:
        if member.node is not None:
            member.crash("at any moment")

    def _turn_clock(self, member: Member) -> None:
        member.clock.skew = self.random.randint(-2 * HOUR, 2 * HOUR) if self.random.random() < 0.7 else 0
        self.internet.befallen["clock jump"] += 1
        self.internet.trace.tell(member.role, f"has its clock off by {member.clock.skew} ms")

    def _fill_disk(self, member: Member) -> None:
        member.disk.is_full = True
        self.internet.befallen["full disk"] += 1
        self._full[member] = self._now + self.random.uniform(0.5, 5.0)
        self.internet.trace.tell(member.role, "has a full disk")

    def _cheat_if_due(self) -> None:
        cheat = self._cheat
        if cheat is None or cheat.is_cheat or cheat.node is None:
            return
        if self._backup is None and self._now >= self._backup_at:
            self._backup = self.backup(cheat)
        elif self._backup is not None and self._now >= self._cheats_at:
            self.internet.loop.create_task(self._cheat_now(cheat, self._backup))

    async def _cheat_now(self, cheat: Member, backup: Backup) -> None:
        """As soon as it has signed more than the copy knows."""
        head = blocks.head(cheat.up.db, cheat.key) if cheat.node is not None else None
        if not cheat.is_cheat and head is not None and head[0] > backup.height:
            await self.go_back(cheat, backup)

    async def go_back(self, cheat: Member, backup: Backup) -> None:
        """A member takes up an old copy, signs on from there whatever its node says, and trades on."""
        cheat.is_cheat, cheat.disk.is_full = True, False
        self.internet.befallen["old copy signed on from"] += 1
        self.internet.trace.tell(cheat.role, f"goes back to its statement {backup.height}")
        cheat.crash("to cheat")
        await self.restore(cheat, backup, moves=False)
        if cheat.node is None:
            return  # it has crashed again meanwhile, and comes back as an old copy that asks before it signs
        cheat.up.ledger.check_may_sign = lambda: None  # type: ignore[method-assign]
        await cheat.spawn(cheat.up.ledger.append(Mint("a promise made twice", "piece", 7, "", 0, None)))
        self.on_cheat(cheat)
