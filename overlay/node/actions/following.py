"""Whom this node's member follows, and keys that take the place of others."""

from overlay.economy import succession
from overlay.economy.claiming import BadClaim, from_text, to_text
from overlay.economy.errors import Refused
from overlay.economy.succession import claims_on, owed_by, successor_of
from overlay.keys import PublicKey, short
from overlay.node import following as settings
from overlay.node.actions.lookup import find_member, name_of
from overlay.node.actions.registry import BadRequest, action, query
from overlay.node.node import Node
from overlay.node.renewal import renew as make_renewal
from overlay.node.wire import (
    Done,
    Followed,
    Following,
    FollowMember,
    KeyClaim,
    KeyClaims,
    Nothing,
    Renewal,
    VouchForKey,
)
from overlay.trustchain import blocks


@action("people", "follow")
async def follow(node: Node, ask: FollowMember) -> Following:
    """Follow a member: its chain is kept here whole, however little room there is. Nobody else learns it."""
    key = find_member(node, ask.member)
    await node.ledger.transact(lambda tx: settings.follow(tx.db, key))
    return _following(node)


@action("people", "unfollow")
async def unfollow(node: Node, ask: FollowMember) -> Following:
    """Follow a member no longer."""
    key = find_member(node, ask.member)
    await node.ledger.transact(lambda tx: settings.unfollow(tx.db, key))
    return _following(node)


@query("people", "following")
def following(node: Node, ask: Nothing) -> Following:
    """List whom you follow."""
    return _following(node)


@action("people", "renew")
async def renew(node: Node, ask: Nothing) -> Renewal:
    """Make a new key after yours is proven to have signed two histories; what you promised before stays owed."""
    _ = node.home
    made = await make_renewal(node)
    return Renewal(made.public_key.hex(), str(made.folder), to_text(made.claim))


@action("people", "vouch")
async def vouch(node: Node, ask: VouchForKey) -> Done:
    """Say that you know whose new key a claim is about: this admits it. Make sure of it in person."""
    try:
        claim, old = from_text(ask.claim)
    except BadClaim as error:
        raise BadRequest(str(error)) from error
    if old not in node.home.members() or not blocks.has_forked(node.db, old):
        raise Refused(f"{short(old)}, for which this key would go on, is no member proven to have signed two histories")
    if node.identity.public_key in (old, claim.public_key):
        raise Refused("nobody vouches for a key of their own")
    block = await node.ledger.transact(lambda tx: succession.vouch(tx, claim, stands=not ask.take_back))
    return Done(block.hash.hex())


@query("people", "claims")
def claims(node: Node, ask: Nothing) -> KeyClaims:
    """List the new keys that go on for old ones, who vouches for them, and what they owe."""
    rows = node.db.execute("SELECT DISTINCT old FROM member_claim ORDER BY old").fetchall()
    found = (claim for (old,) in rows for claim in claims_on(node.db, PublicKey(old), node.home.commons.id))
    return KeyClaims(tuple(_claim(node, each) for each in found))


def _claim(node: Node, claim: succession.Claim) -> KeyClaim:
    commons = node.home.commons.id
    return KeyClaim(
        public_key=claim.new.hex(),
        name=name_of(node, claim.new),
        old=claim.old.hex(),
        old_name=name_of(node, claim.old),
        sponsors=tuple(name_of(node, each) or short(each) for each in claim.sponsors),
        is_successor=successor_of(node.db, claim.old, commons) == claim.new,
        owes=tuple(voucher.hex() for voucher in owed_by(node.db, claim.new, commons)),
    )


def _following(node: Node) -> Following:
    with node.ledger.snapshot() as db:
        return Following(tuple(Followed(key.hex(), name_of(node, key)) for key in sorted(settings.followed(db))))
