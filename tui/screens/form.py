"""One form for every command: fields, one line for what is wrong, and a worker that asks the node."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static

from overlay.node.wire import Tell
from tui.client import NodeClient
from tui.commands import Command
from tui.problem import NodeProblem
from tui.screens.browse import BrowseScreen
from tui.screens.modal import Modal
from tui.widgets.fields import Field, FieldProblem, FileField

# The node takes pictures of up to 4 MiB; a larger file need not be read at all.
FILE_LIMIT = 4 * 1024**2


class Answered(Message):
    """The node did it."""

    def __init__(self, answer: Tell) -> None:
        super().__init__()
        self.answer = answer


class Refused(Message):
    """The node did not do it, or could not be asked."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class Form(Modal):
    """Asks for the fields of one command and sends it; stays open with the node's sentence when that refuses.

    `fixed` are fields that the member does not choose. `title`, `submit` and `done` are ours; `intro` may hold texts
    of peers.
    """

    AUTO_FOCUS = "Input, Select, SelectionList, #submit"
    BINDINGS = [Binding("ctrl+s", "submit", "Send")]  # noqa: RUF012 - the toolkit declares it so

    def __init__(
        self,
        client: NodeClient,
        command: Command,
        title: str,
        fields: Sequence[Field] = (),
        *,
        fixed: Mapping[str, object] | None = None,
        intro: Text | str = "",
        submit: str = "Send",
        done: str = "Done.",
    ) -> None:
        super().__init__()
        self._client, self._command = client, command
        self._title, self._fields, self._intro = title, fields, intro
        self._fixed = dict(fixed or {})
        self._submit, self._done = submit, done

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = Content(self._title)
            window.border_subtitle = Content("esc cancels")
            if self._intro:
                yield Static(self._intro, markup=False, id="intro")
            with VerticalScroll(id="fields", can_focus=False):
                yield from self._fields
            yield Static(markup=False, id="problem")
            with Horizontal(id="buttons"):
                yield Button(self._submit, variant="primary", id="submit", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    @on(Button.Pressed, "#cancel")
    def action_close(self) -> None:
        """Close; not while an answer is awaited, for it would leave open whether the node did it."""
        if not self.query_one("#submit", Button).disabled:
            self.dismiss()

    @on(Input.Submitted)
    @on(Button.Pressed, "#submit")
    def action_submit(self) -> None:
        """Check the fields and ask the node; nothing happens while an answer is awaited."""
        submit = self.query_one("#submit", Button)
        if submit.disabled:
            return
        values = dict(self._fixed)
        for field in self._fields:
            try:
                values |= field.entries()
            except FieldProblem as problem:
                self._complain(str(problem))
                field.editor.focus()
                return
        submit.disabled = True
        self._say("Asking your node…")
        self.run_worker(self._send(values))

    async def _send(self, values: dict[str, object]) -> None:
        try:
            for key, value in values.items():
                if isinstance(value, Path):
                    values[key] = await asyncio.to_thread(read_file, value)
            request = msgspec.convert(values, self._command.request)
            self.post_message(Answered(await self._client.command(self._command.path, request, self._command.answer)))
        except msgspec.ValidationError as error:
            self.post_message(Refused(f"This can't be sent: {error}."))
        except (FieldProblem, NodeProblem) as problem:
            self.post_message(Refused(str(problem)))

    def on_answered(self) -> None:
        self.app.notify(self._done, markup=False)
        self.dismiss()

    def on_refused(self, message: Refused) -> None:
        self.query_one("#submit", Button).disabled = False
        self._complain(message.sentence[:1].upper() + message.sentence[1:])

    def on_file_field_browse(self, message: FileField.Browse) -> None:
        def chosen(path: Path | None) -> None:
            if path is not None:
                message.field.input.value = str(path)

        self.app.push_screen(BrowseScreen(), chosen)

    def _complain(self, sentence: str) -> None:
        self._say(sentence)
        self.query_one("#problem").add_class("-bad")

    def _say(self, sentence: str) -> None:
        line = self.query_one("#problem", Static)
        line.remove_class("-bad")
        line.update(sentence)


def read_file(path: Path) -> bytes:
    """The file's bytes; raises FieldProblem where it can't be read or has more than FILE_LIMIT bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise FieldProblem("The picture can't be read: is there such a file?") from error
    if len(content) > FILE_LIMIT:
        raise FieldProblem(f"The picture has more than {FILE_LIMIT:,} bytes.")
    return content
