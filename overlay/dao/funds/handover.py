"""Payments handed about as PSBTs: for another wallet to look at, or for another machine to send.

What comes back is judged as anything that a coordinator sends: a PSBT tells what it likes, and is compared.
"""

import base64
import binascii
import sqlite3

from overlay.dao.assembly.charters import Charter
from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin import psbt
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.bitcoin.psbt import Psbt
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt
from overlay.dao.bitcoin.transaction import parse, serialize, strip
from overlay.dao.funds import policy
from overlay.dao.funds.account import Account
from overlay.dao.funds.policy import Violation
from overlay.keys import PublicKey


def export(unsigned: UnsignedPayment, internal_key: bytes) -> bytes:
    """A payment that awaits its signatures; `internal_key` is the treasury's, x-only. Raises InvalidPsbt."""
    return psbt.to_psbt(unsigned, internal_key)


def export_signed(raw: bytes, account: Account, internal_key: bytes) -> bytes:
    """A payment that is signed and not mined yet, with its signatures. Raises PaymentError, InvalidPsbt."""
    signed = parse(raw)
    unsigned = payments.read(serialize(strip(signed)), account.coins, account.script)
    return psbt.to_psbt(unsigned, internal_key, [each.witness[0] for each in signed.inputs])


def read(given: bytes) -> Psbt:
    """A PSBT as bytes or as the base64 text that wallets show. Raises InvalidPsbt."""
    if given.startswith(psbt.MAGIC):
        return psbt.from_psbt(given)
    try:
        return psbt.from_psbt(base64.b64decode(b"".join(given.split()), validate=True))
    except binascii.Error as error:
        raise InvalidPsbt("this is neither a partially signed transaction nor one in base64") from error


def judge(
    db: sqlite3.Connection, group: Charter, asked: Payment, told: Psbt, account: Account, me: PublicKey, now: int
) -> UnsignedPayment:
    """What this node would sign, where the PSBT is of just that and lies about none of its coins. Raises Violation."""
    unsigned = policy.judge(db, group, asked, serialize(told.transaction), account, me, now)
    if tuple(each.spent for each in told.inputs) != tuple(coin.output for coin in unsigned.coins):
        raise Violation("the partially signed transaction tells other amounts of its coins")
    return unsigned


def finish(told: Psbt, unsigned: UnsignedPayment) -> bytes:
    """The transaction ready to send, every signature checked. Raises InvalidPsbt, PaymentError."""
    return payments.attach_signatures(unsigned, psbt.signatures_for(told, unsigned))
