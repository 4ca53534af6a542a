"""The one table that all modules of Esplora's routes register in, and what they share."""

from collections.abc import Callable
from typing import Any, NamedTuple

from overlay.dao.bitcoin.regtest.errors import RpcError
from overlay.dao.bitcoin.regtest.table import hash_argument
from overlay.dao.bitcoin.transaction import Txid

# Esplora's own pages: transactions of a script or block.
CHAIN_PAGE = 25
MAX_DIGITS = 10

Answer = str | bytes | dict[str, Any] | list[Any]


class Problem(Exception):
    """A question that has no answer; HTTP status and text."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)


class Route(NamedTuple):
    """A path under the prefix, and the function that answers it from the names in it."""

    method: str
    path: str
    function: Callable[..., Answer]


ROUTES: list[Route] = []


def route(path: str, method: str = "GET") -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Decorator: the function that follows answers `path`."""

    def register(function: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append(Route(method, path, function))
        return function

    return register


def txid_in_path(text: str) -> Txid:
    """`text` as a transaction id; raises Problem."""
    return Txid(hash_in_path(text))


def hash_in_path(text: str) -> str:
    """`text` as 32 bytes in hex; raises Problem."""
    try:
        return hash_argument(text, "hash")
    except RpcError as error:
        raise Problem(400, "Invalid hex string") from error


def number_in_path(text: str, limit: int, beyond: str) -> int:
    """`text` as a number up to `limit`; raises Problem, `beyond` that with its text."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Problem(400, "Invalid number")
    if int(text) > limit:
        raise Problem(404, beyond)
    return int(text)
