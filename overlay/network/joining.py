"""How a newcomer becomes a member: it shows a one-time code, the inviter signs its admission."""

import hashlib
import sqlite3

from overlay.keys import PublicKey
from overlay.network.community import Address
from overlay.network.invitation import CODE_BYTES, BadInvitation, Invitation
from overlay.network.messages import AskToJoin, Welcome, decode, encode, unpack_all
from overlay.network.network import Network, Refusal
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction
from overlay.trustchain.statements import AdmitMember

SERVICE = "join"
SCHEMA = """
CREATE TABLE IF NOT EXISTS invitation (code BLOB PRIMARY KEY, guest BLOB) WITHOUT ROWID;
"""


class Joining:
    """Makes invitations and honours them, each once; asking again with the same key gets the same answer."""

    def __init__(self, ledger: Ledger, network: Network, charter: BlockHash) -> None:
        self._ledger, self._network, self._charter = ledger, network, charter
        network.serve(SERVICE, self._welcome, strangers=True)

    async def invite(self, addresses: list[Address]) -> Invitation:
        """A new invitation by this member; it is on disk before it is shown."""
        code = self._ledger.random.bytes(CODE_BYTES)
        await self._ledger.transact(
            lambda tx: tx.db.execute("INSERT INTO invitation (code) VALUES (?)", (_stored(code),)).rowcount
        )
        return Invitation(self._charter[:20], self._ledger.identity.public_key, tuple(addresses), code)

    async def _welcome(self, guest: PublicKey, payload: bytes) -> bytes:
        code = _stored(decode(payload, AskToJoin).code)
        charter = self._ledger.block(self._charter)
        if charter is None:
            raise Refusal("this node is still joining the commons itself")
        try:
            admission = await self._ledger.transact(lambda tx: _admit(tx, code, guest))
        except SigningRefused as refusal:
            raise Refusal(f"the inviting node may not sign now: {refusal}") from refusal
        block = self._ledger.block(admission)
        if block is None:
            raise Refusal("this invitation was used, and its admission is lost; ask for a new one")
        return encode(Welcome(charter.pack(), block.pack()))


async def join(invitation: Invitation, ledger: Ledger, network: Network, sync: Sync) -> BlockHash:
    """Show the code, keep the charter and our admission, learn who belongs. Returns the charter's hash.

    Raises CallFailed when the inviter is silent or refuses, BadInvitation when what it shows is another commons.
    """
    raw = await network.call(invitation.member, SERVICE, encode(AskToJoin(invitation.code)))
    welcome = decode(raw, Welcome)
    charter, admission = unpack_all((welcome.charter, welcome.admission))
    if charter.hash[:20] != invitation.commons:
        raise BadInvitation("the inviter showed the charter of another commons than the invitation names")
    refused = await ledger.ingest([charter, admission])
    if refused:
        raise BadInvitation(f"the inviter's charter is invalid: {refused[0]}")
    await sync.with_peer(invitation.member)
    return charter.hash


def _admit(tx: Transaction, code: bytes, guest: PublicKey) -> BlockHash:
    row = tx.db.execute("SELECT guest FROM invitation WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise Refusal("this node made no such invitation")
    if row[0] == guest:
        return _admission_of(tx.db, tx.identity.public_key, guest)
    if row[0] is not None:
        raise Refusal("this invitation has been used by somebody else; ask for a new one")
    tx.db.execute("UPDATE invitation SET guest = ? WHERE code = ?", (guest, code))
    return tx.append(AdmitMember(guest), to=guest).hash


def _admission_of(db: sqlite3.Connection, sponsor: PublicKey, guest: PublicKey) -> BlockHash:
    rows = db.execute(
        "SELECT hash FROM block JOIN agent ON agent.id = link_agent WHERE key = ? AND type = ?"
        " AND agent = (SELECT id FROM agent WHERE key = ?) ORDER BY sequence",
        (guest, b"declare", sponsor),
    )
    return next((BlockHash(found) for (found,) in rows if blocks.contains(db, BlockHash(found))), BlockHash(b""))


def _stored(code: bytes) -> bytes:
    """Codes are kept hashed: whoever reads the file cannot use what is still open."""
    return hashlib.sha256(b"counterfoil invitation code" + code).digest()
