"""Where money for a group goes: a payee that is a group is paid at its treasury's address, and nowhere else.

So a payment that names a group says, on the ledger, which key follows which: this is how a group moves its funds to the
key of another, which its members have made without somebody who left.
"""

import sqlite3
from collections.abc import Iterable

from overlay.dao.assembly.bylaws import group_of
from overlay.dao.assembly.charters import current
from overlay.dao.assembly.proposals import Payee
from overlay.dao.assembly.shares import threshold_key
from overlay.dao.bitcoin import taproot


def treasury_script(db: sqlite3.Connection, group: bytes) -> bytes | None:
    """The scriptPubKey of a group's treasury (BIP341, key path only); None before all its members hold shares."""
    found = current(db, group)
    key = threshold_key(db, found) if found else None
    return taproot.script_pubkey(taproot.output_key(key[1:]).key) if key else None


def misdirected(db: sqlite3.Connection, payees: Iterable[Payee]) -> str:
    """Why a payment does not reach the group that it names; empty when it does, or names people only."""
    for payee in payees:
        group = group_of(payee.key)
        if group is not None and payee.script != treasury_script(db, group):
            return "this names a group, and does not pay to that group's treasury as this node knows it"
    return ""
