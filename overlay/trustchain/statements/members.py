"""The commons and its members: who admits whom, how each wants to be shown, and by which key one goes on."""

from typing import Annotated, Final

from msgspec import Meta

from overlay.trustchain.statements.base import Amount, Hash, Key, Line, Name, Statement

# What an old key signs, followed by the 74 bytes of the new one: no half-block begins like this.
CONSENT: Final = b"counterfoil: this key is followed by"


class FoundCommons(Statement, frozen=True, tag="commons"):
    """The founding charter of a commons; the first 20 bytes of this block's hash are the commons' id."""

    name: Name
    purpose: Line
    mib_weight: Amount  # what one MiB of useful upload lends to reputation, in the charter's scale


class AdmitMember(Statement, frozen=True, tag="admit"):
    """The signer, a member, vouches for another who came with an invitation."""

    member: Key


class SucceedKey(Statement, frozen=True, tag="succeed"):
    """The signer, a new key, takes the place of an old one that is proven to have signed two histories.

    In force only as the first statement of its chain, and with the consent of the old key: its Ed25519 signature over
    CONSENT and the new key, so that nobody can claim another's key. The old chain is not gone on with. What it promised
    up to `head`, the hash of one of its blocks (GENESIS_HASH: none), the new key stands by, whatever comes to light.
    """

    old: Key
    head: Hash
    consent: Annotated[bytes, Meta(min_length=64, max_length=64)]


class VouchForKey(Statement, frozen=True, tag="vouch"):
    """The signer, a member, knows that `member` is the new key of whom the claim (a SucceedKey, by its hash) names.

    It admits the new key, as `AdmitMember` does. With `stands` false it does not, and the signer takes its word on the
    claim back; its latest on its chain counts. An admission is not taken back.
    """

    member: Key
    claim: Hash
    stands: bool = True


class Profile(Statement, frozen=True, tag="profile"):
    """How a member wants to be shown; the newest on its chain counts."""

    name: Name
    about: Line
    headless: bool = False
