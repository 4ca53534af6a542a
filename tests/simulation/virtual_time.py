"""An event loop in which time passes only when nothing is left to do: it then leaps to the next timer.

Tasks belong to an owner (a member, or nobody), so that a crash can end what one member's node was doing.
"""

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

OWNER: contextvars.ContextVar[str] = contextvars.ContextVar("owner", default="")
START = 1_800_000_000_000  # milliseconds since 1970: the moment at which every simulation begins


class Stuck(RuntimeError):
    """No timer is set and no task can go on: nothing will ever happen again."""


class _Leap(selectors.SelectSelector):
    """Waits for nothing real: what it is asked to wait is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("every task waits for another, and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is in virtual seconds since the loop was made. `alarms` collects what nobody handled."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)
        self.alarms: list[str] = []
        self._owned: dict[str, dict[asyncio.Task[Any], None]] = {}
        self.set_task_factory(_own)  # type: ignore[arg-type]
        self.set_exception_handler(_alarm)

    def time(self) -> float:
        return self._leap.now

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)  # there is one thread

    def run_in_executor(  # type: ignore[override]
        self, executor: object, work: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Other threads would end their work whenever they like: it is done here and now."""
        future = self.create_future()
        try:
            future.set_result(work(*args))
        except Exception as error:  # whoever awaits the future gets it
            future.set_exception(error)
        return future

    def tasks_of(self, owner: str) -> list[asyncio.Task[Any]]:
        """What an owner is doing, the oldest first."""
        return list(self._owned.get(owner, ()))

    def adopt(self, task: asyncio.Task[Any]) -> None:
        mine = self._owned.setdefault(OWNER.get(), {})
        mine[task] = None
        task.add_done_callback(lambda _: mine.pop(task, None))


def _own(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **options)
    assert isinstance(loop, VirtualLoop)
    context = options.get("context")
    if context is None:
        loop.adopt(task)
    else:
        context.run(loop.adopt, task)
    return task


def _alarm(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, VirtualLoop)
    error, task = context.get("exception"), context.get("future")
    what = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
    loop.alarms.append(f"{context.get('message', '')} {what}: {error!r}")


class MemberClock:
    """One member's clock: it can be wrong, and it can jump. `skew` in milliseconds."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self.skew = loop, 0

    def now(self) -> int:
        return START + round(self._loop.time() * 1000) + self.skew

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
