"""From what people write to what the ledger knows: members by name or key, ids from hex."""

from overlay.economy.members import member
from overlay.economy.succession import successor_of
from overlay.keys import InvalidKey, PublicKey, parse_public_key
from overlay.node.actions.registry import BadRequest, NotFound
from overlay.node.node import Node
from overlay.trustchain.block import BlockHash

MIN_DIGITS = 8


def find_member(node: Node, text: str) -> PublicKey:
    """A member by whole key, by the first digits of its signing key, or by a name that only one member has."""
    members = node.home.members()
    wanted = text.strip()
    by_name = [key for key in members if member(node.db, key).name == wanted]
    if len(by_name) > 1:  # a member who has a new key goes by it
        by_name = [key for key in by_name if successor_of(node.db, key, node.home.commons.id) is None]
    by_digits = [key for key in members if len(wanted) >= MIN_DIGITS and key[42:].hex().startswith(wanted.lower())]
    whole = [key for key in members if key.hex() == wanted.lower()]
    found = whole or by_name or by_digits
    if len(found) > 1:
        raise BadRequest(f"more than one member is called '{wanted}': use the digits that the people screen shows")
    if not found:
        raise NotFound(f"no member of this commons is called '{wanted}'")
    return found[0]


def any_key(text: str) -> PublicKey:
    """A whole key in hex, of a member or not; raises BadRequest."""
    try:
        return parse_public_key(bytes.fromhex(text))
    except (ValueError, InvalidKey) as error:
        raise BadRequest(f"'{text[:20]}' is not a member's key: {error}") from error


def block_hash(text: str) -> BlockHash:
    """An id of 64 hex digits; the wire model has checked its form."""
    return BlockHash(bytes.fromhex(text))


def name_of(node: Node, key: PublicKey) -> str:
    return member(node.db, key).name
