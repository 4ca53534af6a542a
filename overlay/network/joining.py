"""How a newcomer becomes a member: it shows a one-time code, the inviter signs its admission.

Any member invites. The code counts for the first key that shows it, and for that key as often as it asks, so an
answer that was lost on the way is asked for again. The newcomer believes the charter because its hash is the commons'
id, and its own membership because the chain of admissions from the founder down to itself is in its ledger.
"""

import hashlib
import sqlite3

from overlay.keys import PublicKey, short
from overlay.network.endpoint import Address
from overlay.network.invitation import CODE_BYTES, BadInvitation, Invitation, check_address
from overlay.network.messages import AskToJoin, BadMessage, Welcome, decode, encode, unpack_all
from overlay.network.network import CallFailed, Network, Refusal
from overlay.network.sync import Sync
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock, unpack
from overlay.trustchain.ledger import Ledger, SigningRefused, Transaction, meaning
from overlay.trustchain.statements import AdmitMember, FoundCommons

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
        """A new invitation by this member; it is on disk before it is shown. Raises BadInvitation for an address at
        which nobody could reach us."""
        for address in addresses:
            check_address(address)
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
        _guest_of(self._ledger.db, code, guest)  # a read is cheap; strangers get no further without a code
        try:
            admission = await self._ledger.transact(lambda tx: _admit(tx, code, guest))
        except SigningRefused as refusal:
            raise Refusal(f"the inviting node may not sign now: {refusal}") from refusal
        return encode(Welcome(charter.pack(), admission.pack()))


async def join(invitation: Invitation, ledger: Ledger, network: Network, sync: Sync) -> BlockHash:
    """Show the code, keep the charter and our admission, learn who belongs. Returns the charter's hash.

    Raises CallFailed when the inviter is silent or refuses, or goes away before our membership is complete (asking
    again with the same key goes on from there), BadInvitation when what it shows is not what the invitation promises.
    """
    raw = await network.call(invitation.member, SERVICE, encode(AskToJoin(invitation.code)))
    charter, admission = _read_welcome(raw, invitation, ledger.identity.public_key)
    refused = await sync.take([charter, admission])
    if refused:
        raise BadInvitation(f"what the inviter shows is invalid: {next(iter(refused.values()))}")
    before = -1
    while before != (before := blocks.count(ledger.db)):  # as long as each turn brings something
        await sync.with_peer(invitation.member)
        if ledger.identity.public_key in sync.members():
            return charter.hash
    raise CallFailed(
        invitation.member,
        f"{short(invitation.member)} admitted this node, but went away before it had shown who admitted whom;"
        " join again with the same invitation",
    )


def _read_welcome(raw: bytes, invitation: Invitation, me: PublicKey) -> tuple[HalfBlock, HalfBlock]:
    """The charter and our admission. Raises BadInvitation."""
    try:
        welcome = decode(raw, Welcome)
        charter, admission = unpack_all((welcome.charter, welcome.admission))
    except BadMessage as error:
        raise BadInvitation(f"the inviter's answer cannot be read: {error}") from error
    if charter.hash[:20] != invitation.commons or not isinstance(meaning(charter), FoundCommons):
        raise BadInvitation("the inviter showed the charter of another commons than the invitation names")
    if admission.public_key != invitation.member or meaning(admission) != AdmitMember(me):
        raise BadInvitation("the inviter showed something else than the admission of this node")
    return charter, admission


def _guest_of(db: sqlite3.Connection, code: bytes, guest: PublicKey) -> bool:
    """Whether the invitation has been used by this very guest. Raises Refusal when it is not for this guest."""
    row = db.execute("SELECT guest FROM invitation WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise Refusal("this node made no such invitation")
    if row[0] not in (None, guest):
        raise Refusal("this invitation has been used by somebody else; ask for a new one")
    return row[0] is not None


def _admit(tx: Transaction, code: bytes, guest: PublicKey) -> HalfBlock:
    """The admission of the guest: the one that it had before, or a new one. Nobody else runs between look and leap."""
    if _guest_of(tx.db, code, guest):
        before = _admission_of(tx.db, tx.identity.public_key, guest)
        if before is not None:
            return before
    tx.db.execute("UPDATE invitation SET guest = ? WHERE code = ?", (guest, code))
    return tx.append(AdmitMember(guest), to=guest)


def _admission_of(db: sqlite3.Connection, sponsor: PublicKey, guest: PublicKey) -> HalfBlock | None:
    rows = db.execute(
        "SELECT raw FROM block WHERE agent = (SELECT id FROM agent WHERE key = ?)"
        " AND link_agent = (SELECT id FROM agent WHERE key = ?) AND type = ? ORDER BY sequence",
        (sponsor, guest, b"declare"),
    )
    return next((block for (raw,) in rows if meaning(block := unpack(raw)) == AdmitMember(guest)), None)


def _stored(code: bytes) -> bytes:
    """Codes are kept hashed: whoever reads the file cannot use what is still open."""
    return hashlib.sha256(b"counterfoil invitation code" + code).digest()
