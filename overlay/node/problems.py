"""From the errors of every layer to one sentence, a short word and an HTTP status."""

import msgspec

from overlay.content import BadPicture, ContentError, FolderError
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.bitcoin.address import InvalidAddress
from overlay.dao.bitcoin.backend import BackendError, Rejected
from overlay.dao.bitcoin.payment import PaymentError
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt
from overlay.dao.bitcoin.transaction import InvalidTransaction
from overlay.dao.funds.policy import Violation
from overlay.economy.bundle import BadBundle
from overlay.economy.errors import TooLongAHistory
from overlay.economy.exchange import Refused
from overlay.keys import InvalidKey
from overlay.network.endpoint import PortInUse
from overlay.network.invitation import BadInvitation
from overlay.network.messages import BadMessage
from overlay.network.network import CallFailed
from overlay.node.actions import BadRequest, NotFound
from overlay.node.events import TooManyListeners
from overlay.node.export import ExportFailed
from overlay.node.node import AlreadyMember, NoCommons
from overlay.node.rule_words import BadRule
from overlay.node.wire import Problem
from overlay.trustchain.ledger import SigningRefused, StatementTooLong
from overlay.trustchain.statements import MalformedStatement
from overlay.trustchain.store import StorageError

# What each error is to whoever asked: kind and HTTP status. The first that fits counts.
_KINDS: list[tuple[tuple[type[Exception], ...], str, int]] = [
    ((NotFound,), "not-found", 404),
    (
        (msgspec.ValidationError, msgspec.DecodeError, BadRequest, BadInvitation, BadPicture, InvalidAddress),
        "bad-request",
        400,
    ),
    ((MalformedStatement, StatementTooLong, InvalidKey, InvalidPsbt, InvalidTransaction), "bad-request", 400),
    ((BadBundle, BadRule), "bad-request", 400),
    ((Refused, NotAllowed, SigningRefused, AlreadyMember, NoCommons, TooLongAHistory), "refused", 409),
    ((Violation, PaymentError, Rejected), "refused", 409),
    ((StorageError, FolderError, ExportFailed), "storage", 507),
    ((CallFailed, BackendError, ContentError, BadMessage, PortInUse, TooManyListeners), "unavailable", 503),
]

EXPECTED = tuple(error for errors, _, _ in _KINDS for error in errors)


def problem(error: Exception) -> tuple[Problem, int]:
    """The answer to a request that ended in one of EXPECTED."""
    for errors, kind, status in _KINDS:
        if isinstance(error, errors):
            return msgspec.convert({"problem": str(error), "kind": kind}, Problem), status
    return Problem("something in this node went wrong; its log says more", "internal"), 500
