"""Server-sent events (HTML standard, section 9.2) out of bytes: no input or output of its own."""

from typing import get_args

import msgspec

from overlay.node.wire import Event
from tui.problem import NodeProblem

# An event is a topic, one sentence, an id and a time: under 1 KB. A longer line is no event of ours.
LINE_LIMIT = 64 * 1024
_TOPICS = frozenset(get_args(Event.__annotations__["topic"]))


class EventStream:
    """Feed it what arrives, it gives back the events that are complete.

    Events of topics that this version does not know, and comments, are passed over, as the standard asks; an event of a
    known topic that can't be decoded, or a line over LINE_LIMIT, raises NodeProblem.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._topic = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by this chunk, in order."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if max(map(len, (*lines, self._rest))) > LINE_LIMIT:
            raise NodeProblem("The node sent an event that is far too long.", "internal")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._topic = value.decode("utf-8", "replace")
        elif name == b"data":
            self._data.append(value)
        return None

    def _dispatch(self) -> Event | None:
        topic, data = self._topic, b"\n".join(self._data)
        self._topic, self._data = "", []
        if topic not in _TOPICS or not data:
            return None
        try:
            return msgspec.json.decode(data, type=Event)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NodeProblem("The node sent an event that can't be read.", "internal") from error
