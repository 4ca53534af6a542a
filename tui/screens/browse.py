"""Picks a picture from this computer's folders."""

from collections.abc import Iterable
from pathlib import Path

from rich.text import Text, TextType
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree

from tui.sanitize import sanitize

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class PictureTree(DirectoryTree):
    """Folders and pictures; hidden ones are left out, and a file's name is plain text whatever it holds."""

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".") and _is_shown(path)]

    def process_label(self, label: TextType) -> Text:
        return Text(sanitize(str(label)) or "?", no_wrap=True)


def _is_shown(path: Path) -> bool:
    return path.suffix.lower() in PICTURES or path.is_dir()


class BrowseScreen(ModalScreen[Path | None]):
    """Gives back the file that was chosen, or None."""

    BINDINGS = [Binding("escape", "close", "Close")]  # noqa: RUF012 - the toolkit declares it so
    AUTO_FOCUS = "PictureTree"

    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall") as window:
            window.border_title = Content("Choose a picture")
            window.border_subtitle = Content("enter opens and chooses, esc closes")
            yield PictureTree(Path.home())

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)

    def action_close(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
