"""The one table that all modules of methods register in, and what they share."""

import re

from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.address import InvalidAddress
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest.dispatch import MethodTable
from overlay.dao.bitcoin.regtest.errors import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    RpcError,
)
from overlay.dao.bitcoin.transaction import InvalidTransaction, Transaction, parse

METHODS = MethodTable()


def hash_argument(text: str, name: str) -> str:
    """`text` as a hash or txid; raises RpcError."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise RpcError(INVALID_PARAMETER, f"{name} must be of length 64 and hexadecimal (not '{text[:80]}')")
    return text.lower()


def script_argument(text: str) -> bytes:
    """The scriptPubKey of an address; raises RpcError."""
    try:
        return address.decode(text, Network.REGTEST)
    except InvalidAddress as error:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"Invalid address: {error}") from error


def transaction_argument(text: str) -> Transaction:
    """The transaction of hex text; raises RpcError."""
    try:
        return parse(bytes.fromhex(text))
    except (InvalidTransaction, ValueError) as error:
        raise RpcError(DESERIALIZATION_ERROR, "TX decode failed. Make sure the tx has at least one input.") from error
