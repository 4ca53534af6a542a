"""All keys and what they do, made from the registry."""

from rich.text import Text

from tui.actions import SCREENS, Where, of
from tui.screens.modal import DetailScreen
from tui.theme import AMBER

_SHOWN = {"question_mark": "?", "enter": "⏎", "ctrl+p": "^p", "ctrl+r": "^r"}
_WORDS = """
A promise is minted as a voucher by its issuer. Who holds it may give it on, or redeem it with the issuer.
proposed     waits for the other side's answer
provisional  agreed; its issuer has still to confirm that it was not spent before
final        confirmed by its issuer, for good
refused      the issuer had confirmed another use before"""


class HelpScreen(DetailScreen):
    """Opened with the question mark."""

    def __init__(self) -> None:
        words = Text()
        for where, title in (("anywhere", "Anywhere"), *SCREENS.items()):
            words.append(f"{title}\n", f"bold {AMBER}")
            words.append_text(_keys(where))
        words.append("Words", f"bold {AMBER}").append(_WORDS)
        super().__init__("Keys and words", words)


def _keys(where: Where) -> Text:
    words = Text()
    for action in of(where):
        words.append(f"  {_SHOWN.get(action.key, action.key):<4}", AMBER).append(f"{action.help}\n")
    return words.append("\n")
