"""What can go wrong with a request, each with the peer that is the culprit and one sentence for people."""

from collections.abc import Callable
from enum import IntEnum

from overlay.keys import PublicKey, short
from overlay.network.quic_limits import LARGEST_VARINT

Address = tuple[str, int]


class Code(IntEnum):
    """Application error codes of this protocol (RFC 9000 section 20.2). Handlers use those from FIRST_FREE_CODE on."""

    DONE = 0
    CANCELLED = 1  # The requester no longer wants the answer.
    TOO_LARGE = 2  # The request is larger than the server takes.
    BUSY = 3  # The server holds as much as it is willing to; try later.
    FAILED = 4  # The handler broke.
    STALLED = 5  # Nothing moved for too long.
    WRONG_PEER = 6  # The certificate is not that of the expected member.


FIRST_FREE_CODE = 0x100
_NAMES = {int(code): code.name for code in Code}


class Refusal(Exception):
    """Raised by a handler to refuse a request: the requester gets StreamRefused with the same code."""

    def __init__(self, code: int) -> None:
        if not FIRST_FREE_CODE <= code <= LARGEST_VARINT:
            raise ValueError(f"a handler refuses with a code from {FIRST_FREE_CODE} to 2^62 - 1, not {code}")
        super().__init__(f"refused with code {code}")
        self.code = code


class StreamError(Exception):
    """A request got no answer. `peer` is whom it was meant for, `address` where it was sent."""

    def __init__(self, peer: PublicKey, address: Address, what: str) -> None:
        super().__init__(f"{short(peer)} at {address[0]}:{address[1]}: {what}")
        self.peer = peer
        self.address = address


# Makes the error for one peer and address.
Failure = Callable[[PublicKey, Address], StreamError]


class PeerUnreachable(StreamError):
    """Nobody answered there, or the connection was lost."""

    def __init__(self, peer: PublicKey, address: Address, reason: str) -> None:
        super().__init__(peer, address, f"cannot be reached ({reason})")
        self.reason = reason


class RequestTimedOut(StreamError):
    """The peer is there but did not answer in time."""

    def __init__(self, peer: PublicKey, address: Address, seconds: float) -> None:
        super().__init__(peer, address, f"no answer within {seconds:g} s")
        self.seconds = seconds


class WrongPeer(StreamError):
    """Somebody else answered there. `presented` is that member's key, None when the certificate names none."""

    def __init__(self, peer: PublicKey, address: Address, presented: PublicKey | None) -> None:
        who = "nobody's valid key" if presented is None else f"the key {short(presented)}"
        super().__init__(peer, address, f"the peer there has {who}")
        self.presented = presented


class AnswerTooLarge(StreamError):
    """The answer is longer than the `limit` bytes that the request allowed."""

    def __init__(self, peer: PublicKey, address: Address, limit: int) -> None:
        super().__init__(peer, address, f"the answer is longer than {limit} bytes")
        self.limit = limit


class StreamRefused(StreamError):
    """The peer refused the request with `code`: a `Code`, or a code of its handler's own."""

    def __init__(self, peer: PublicKey, address: Address, code: int) -> None:
        name = _NAMES.get(code, str(code))
        super().__init__(peer, address, f"refused the request ({name})")
        self.code = code


class NoConnectionLeft(StreamError):
    """This node has as many connections as it may, all in use: that says nothing of the peer."""

    def __init__(self, peer: PublicKey, address: Address) -> None:
        super().__init__(peer, address, "all connections of this node are in use")


class StreamsClosed(StreamError):
    """This node is shutting down its streams."""

    def __init__(self, peer: PublicKey, address: Address) -> None:
        super().__init__(peer, address, "this node is closing its streams")
