"""The command palette's source: the registry of actions, whichever screen they belong to."""

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.actions import ACTIONS, SCREENS, Action

if TYPE_CHECKING:
    from tui.app import CounterfoilApp


def title(action: Action) -> str:
    """The line that the palette searches: the screen's name, then what the action does."""
    return f"{SCREENS[action.where]}: {action.help}" if action.where in SCREENS else action.help


class Actions(Provider):
    """Finds actions by their sentence; choosing one goes to its screen and does it."""

    async def discover(self) -> Hits:
        """All actions, before anything is typed."""
        for action in ACTIONS:
            yield DiscoveryHit(title(action), partial(self._do, action))

    async def search(self, query: str) -> Hits:
        """The actions whose sentence matches."""
        matcher = self.matcher(query)
        for action in ACTIONS:
            if (score := matcher.match(title(action))) > 0:
                yield Hit(score, matcher.highlight(title(action)), partial(self._do, action))

    async def _do(self, action: Action) -> None:
        await cast("CounterfoilApp", self.app).perform(action)
