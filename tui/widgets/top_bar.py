"""The lines at the top of every screen: where one is, which commons, and what is wrong if something is."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tui.actions import SCREENS, Where
from tui.state import State
from tui.theme import AMBER, DIM, GREEN, RED


class ScreenTab(Static):
    """One screen's name; a click goes there."""

    def __init__(self, where: Where, number: int, *, active: bool) -> None:
        super().__init__(markup=False, classes="tab -active" if active else "tab")
        self.where, self._number = where, number

    def put(self, waiting: int) -> None:
        """Show the name, with the count of what waits for an answer there."""
        words = Text.assemble((f"{self._number} ", AMBER), SCREENS[self.where])
        if waiting:
            words.append(f" {waiting}", f"bold {AMBER}")
        self.update(words)

    async def on_click(self) -> None:
        await self.run_action(f"app.go('{self.where}')")


class TopBar(Horizontal):
    """Names of the screens on the left, member and commons on the right."""

    def __init__(self, where: Where) -> None:
        super().__init__()
        self._tabs = [ScreenTab(each, number, active=each == where) for number, each in enumerate(SCREENS, 1)]
        self._place = Static(markup=False, id="place")

    def compose(self) -> ComposeResult:
        yield from self._tabs
        yield self._place

    def put(self, state: State) -> None:
        """Show what the state says."""
        waiting = {"vouchers": len(state.to_answer()), "group": len(state.to_vote()) + len(state.to_sign())}
        for tab in self._tabs:
            tab.put(waiting.get(tab.where, 0))
        self._place.update(_place(state))


def _place(state: State) -> Text:
    words = Text(no_wrap=True, overflow="ellipsis", justify="right")
    if state.status is None:
        return words.append("connecting…", DIM)
    if state.status.commons is not None:
        words.append(state.status.name).append(" in ", DIM).append(state.status.commons.name)
        words.append(f"  {state.status.online}/{state.status.members}", DIM)
    return words.append(" ●", RED if state.lost else GREEN)


class Banner(Static):
    """What is wrong, in one line each; not shown while all is well."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="banner")

    def put(self, state: State) -> None:
        """Show a lost connection, a refusal to sign, and lists that could not be fetched."""
        lines = [f"Connection lost. {state.lost}"] if state.lost else []
        if state.status is not None and state.status.signing:
            lines.append(f"This node signs nothing now: {state.status.signing}")
        lines += [f"{name.capitalize()} can't be shown: {why}" for name, why in sorted(state.troubles.items())]
        self.update("\n".join(f"▲ {line}" for line in lines[:3]))
        self.display = bool(lines)
