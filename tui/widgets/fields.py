"""The fields of forms: a label, an editor, and the check of what was entered against the request's own limits."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Select, SelectionList, Static

from overlay.node.wire import Ask
from tui.widgets.limits import limits

Option = tuple[str, str]  # what is read, what is sent


class FieldProblem(ValueError):
    """What was entered can't be sent; the message is one sentence for people."""


class Field(Horizontal):
    """One line of a form. `key` is the name of the request's field."""

    def __init__(self, request: type[Ask], key: str, label: str, editor: Widget) -> None:
        super().__init__(id=f"field-{key}", classes="field")
        self.key, self.label = key, label
        self.limits = limits(request, key)
        self.editor = editor

    def compose(self) -> ComposeResult:
        yield Static(self.label, markup=False, classes="label")
        yield self.editor

    def value(self) -> object:
        """What is to be sent; raises FieldProblem."""
        raise FieldProblem(f"{self.label} is missing.")

    def entries(self) -> dict[str, object]:
        """What the field adds to the request; raises FieldProblem."""
        return {self.key: self.value()}


class TextField(Field):
    """A line of text. One that is `needed` may not stay empty, whatever the request would take."""

    def __init__(
        self, request: type[Ask], key: str, label: str, hint: str = "", value: str = "", *, needed: bool = False
    ) -> None:
        self._needed = needed
        most = limits(request, key).most
        self.input = Input(value, placeholder=hint, max_length=most, compact=True)
        super().__init__(request, key, label, self.input)

    def value(self) -> object:
        entered = self.input.value.strip()
        if len(entered) < max(self.limits.least, int(self._needed)):
            raise FieldProblem(f"{self.label} is missing.")
        if len(entered) > self.limits.most:
            raise FieldProblem(f"{self.label} has more than {self.limits.most} characters.")
        return entered


class NumberField(Field):
    """A whole number; separators between thousands are allowed."""

    def __init__(self, request: type[Ask], key: str, label: str, hint: str = "", value: int | None = None) -> None:
        shown = "" if value is None else f"{value:,}"
        self.input = Input(shown, placeholder=hint, max_length=24, restrict=r"[0-9 ,.'_]*", compact=True)
        super().__init__(request, key, label, self.input)

    def value(self) -> object:
        digits = re.sub(r"[ ,.'_]", "", self.input.value)
        number = int(digits) if digits.isascii() and digits.isdecimal() else None
        if number is None or not self.limits.least <= number <= self.limits.most:
            raise FieldProblem(
                f"{self.label} must be a whole number from {self.limits.least:,} to {self.limits.most:,}."
            )
        return number


class ChoiceField(Field):
    """One of several; typing searches. `value` is chosen at first, if it is among them."""

    def __init__(self, request: type[Ask], key: str, label: str, options: Sequence[Option], value: str = "") -> None:
        chosen = value if value in {sent for _, sent in options} else Select.NULL
        self.select: Select[str] = Select(
            [(Text(shown, no_wrap=True, overflow="ellipsis"), sent) for shown, sent in options],
            value=chosen,
            prompt="choose…",
            compact=True,
        )
        super().__init__(request, key, label, self.select)

    def value(self) -> object:
        if not isinstance(self.select.value, str):
            raise FieldProblem(f"{self.label}: choose one.")
        return self.select.value


class TermField(ChoiceField):
    """How long something stands, in minutes."""

    TERMS = (("1 hour", 60), ("1 day", 1_440), ("3 days", 4_320), ("1 week", 10_080), ("4 weeks", 40_320))

    def __init__(self, request: type[Ask], key: str, label: str, value: int) -> None:
        super().__init__(request, key, label, [(words, str(term)) for words, term in self.TERMS], str(value))

    def value(self) -> object:
        return int(str(super().value()))


class SeveralField(Field):
    """Any number of several."""

    def __init__(self, request: type[Ask], key: str, label: str, options: Iterable[Option]) -> None:
        self.list: SelectionList[str] = SelectionList(
            *((Text(shown, no_wrap=True, overflow="ellipsis"), sent) for shown, sent in options), compact=True
        )
        super().__init__(request, key, label, self.list)

    def value(self) -> object:
        chosen = tuple(self.list.selected)
        if not self.limits.least <= len(chosen) <= self.limits.most:
            raise FieldProblem(f"{self.label}: choose {self.limits.least} to {self.limits.most}.")
        return chosen


class TickField(Field):
    """Yes or no."""

    def __init__(self, request: type[Ask], key: str, label: str, hint: str) -> None:
        self.box = Checkbox(Text(hint), compact=True)
        super().__init__(request, key, label, self.box)

    def value(self) -> object:
        return self.box.value


class FileField(Field):
    """A file of this computer, or none."""

    class Browse(Message):
        """The member wants to look for the file."""

        def __init__(self, field: "FileField") -> None:
            super().__init__()
            self.field = field

    def __init__(self, request: type[Ask], key: str, label: str, hint: str) -> None:
        self.input = Input(placeholder=hint, max_length=4_096, compact=True)
        super().__init__(request, key, label, self.input)

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Button("Browse", compact=True, classes="browse")

    @on(Button.Pressed)
    def browse(self, event: Button.Pressed) -> None:
        """Ask the form for a picker."""
        event.stop()
        self.post_message(self.Browse(self))

    def value(self) -> object:
        entered = self.input.value.strip()
        return Path(entered).expanduser() if entered else None
