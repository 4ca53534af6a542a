"""An invitation as text and as a QR code."""

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from overlay.node.wire import InvitationModel
from tui.screens.modal import Modal


class InvitationScreen(Modal):
    """Good for one newcomer."""

    BINDINGS = [Binding("c", "copy", "Copy the text")]  # noqa: RUF012 - the toolkit declares it so
    AUTO_FOCUS = "#detail"

    def __init__(self, invitation: InvitationModel) -> None:
        super().__init__()
        self._invitation = invitation

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="detail", classes="window") as window:
            window.border_title = Content("An invitation for one newcomer")
            window.border_subtitle = Content("c copies the text, esc closes")
            yield Static("They join with this text, or with the code below:\n", markup=False)
            yield Static(Text(self._invitation.text, "bold"), markup=False, id="invitation-text")
            # The node draws the light modules. Scanners want dark on light, so these are white whatever the theme.
            yield Static(Text(self._invitation.qr, "#ffffff on #000000", no_wrap=True), markup=False, id="qr")

    def action_copy(self) -> None:
        """Put the text on the terminal's clipboard."""
        self.app.copy_to_clipboard(self._invitation.text)
        self.app.notify("The invitation is on your clipboard.", markup=False)
