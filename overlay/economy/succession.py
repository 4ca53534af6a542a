"""Who goes on for a key that is proven to have signed two histories, and what it owes (docs/ledger.md).

Two things are kept apart. *Words*: the old key has consented to the new one, so whatever the new one says as issuer of
the old one's vouchers counts, behind all words of the old key; that follows from the claims alone. *Standing among
people*: the successor of a key is the one new key that members vouch for; where they vouch for several, who may all
have the old secret, nobody is. Reputation is not handed on.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from overlay.economy.claiming import is_claim
from overlay.economy.members import member_keys
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import SucceedKey, VouchForKey

# Keys that one member wears out, one after another; what comes later is heard no more.
MAX_GENERATIONS = 8
# Places of words on the chains of one line: a sequence number has 32 bits, above it stands the generation.
GENERATION_BITS = 32

SCHEMA = """
CREATE TABLE IF NOT EXISTS voucher_heir (
    agent INTEGER NOT NULL, author INTEGER NOT NULL, PRIMARY KEY (agent, author)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS voucher_heir_of ON voucher_heir (author);
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim in force, and the members who vouch for it, in the order of their keys."""

    block: BlockHash
    old: PublicKey
    new: PublicKey
    sponsors: tuple[PublicKey, ...]


# Words


def fold_claim(db: sqlite3.Connection, block: HalfBlock, said: SucceedKey) -> list[int]:
    """Fold one claim; returns the proposals of which the new key, and who goes on for it, have said something that
    counts from now on."""
    if not is_claim(block, said):
        return []
    old, new = blocks.agent_id(db, said.old), blocks.agent_id(db, block.public_key)
    if not db.execute("INSERT OR IGNORE INTO voucher_heir VALUES (?,?)", (old, new)).rowcount:
        return []  # a second claim of the same key on the same other
    heirs, olds = [heir for heir, _ in line_of(db, new)], {old, *forebears(db, old)}
    return sorted({proposal for heir in heirs for each in olds for proposal in _judged_by(db, heir, each)})


def _judged_by(db: sqlite3.Connection, heir: int, issuer: int) -> Iterator[int]:
    """The proposals that an heir's witness statements name, and in which something hangs on the issuer's word."""
    rows = db.execute(
        "SELECT DISTINCT w.proposal FROM voucher_witness w WHERE w.author = ?1 AND (EXISTS ("
        " SELECT 1 FROM voucher_leg l JOIN voucher_mint m ON m.block = l.voucher"
        " WHERE l.proposal = w.proposal AND m.agent = ?2)"
        " OR EXISTS (SELECT 1 FROM voucher_issuer o WHERE o.proposal = w.proposal AND o.issuer = ?2))",
        (heir, issuer),
    )
    return (proposal for (proposal,) in rows.fetchall())


def line_of(db: sqlite3.Connection, issuer: int) -> list[tuple[int, int]]:
    """An agent and those who go on for it by consent, each with its generation: 0 is the agent itself."""
    return _walk(db, issuer, "SELECT author FROM voucher_heir WHERE agent = ?")


def forebears(db: sqlite3.Connection, agent: int) -> list[int]:
    """Those for whom an agent goes on, by their consent; the nearest first."""
    line = _walk(db, agent, "SELECT agent FROM voucher_heir WHERE author = ?")
    return [each for each, generation in line if generation]


def _walk(db: sqlite3.Connection, start: int, query: str) -> list[tuple[int, int]]:
    found, last = {start: 0}, [start]
    for generation in range(1, MAX_GENERATIONS + 1):
        rows = (row for each in last for row in db.execute(query, (each,)).fetchall())
        last = [each for each in dict.fromkeys(each for (each,) in rows) if each not in found]
        if not last:
            break
        found.update(dict.fromkeys(last, generation))
    return list(found.items())


# Standing among people


def claims_on(db: sqlite3.Connection, old: PublicKey, commons_id: bytes | None = None) -> list[Claim]:
    """The claims to go on for a key, by their hashes, with who vouches for each (see `successor_of`)."""
    rows = db.execute("SELECT claim, new FROM member_claim WHERE old = ? ORDER BY claim", (old,)).fetchall()
    return [_claim(db, BlockHash(claim), old, PublicKey(new), commons_id) for claim, new in rows]


def claims_by(db: sqlite3.Connection, new: PublicKey, commons_id: bytes | None = None) -> Iterator[Claim]:
    """The claims that begin a key's chain: none for most keys, several where it forked at its first place."""
    rows = db.execute("SELECT claim, old FROM member_claim WHERE new = ? ORDER BY claim", (new,)).fetchall()
    return (_claim(db, BlockHash(claim), PublicKey(old), new, commons_id) for claim, old in rows)


def successor_of(db: sqlite3.Connection, key: PublicKey, commons_id: bytes | None = None) -> PublicKey | None:
    """The one new key that members vouch for as the successor of a key that is proven to have forked; else None.

    A member who vouches belongs to the commons (with None: to one to which the old key belongs too), is neither of the
    two keys, is not proven to have forked itself, and has not taken its word back.
    """
    if not blocks.has_forked(db, key):
        return None
    vouched = {claim.new for claim in claims_on(db, key, commons_id) if claim.sponsors}
    return vouched.pop() if len(vouched) == 1 else None


def predecessor_of(db: sqlite3.Connection, key: PublicKey, commons_id: bytes | None = None) -> PublicKey | None:
    """The forked key whose successor this one is; None for most keys."""
    olds = dict.fromkeys(claim.old for claim in claims_by(db, key, commons_id))
    return next((old for old in olds if successor_of(db, old, commons_id) == key), None)


def newest_key_of(db: sqlite3.Connection, key: PublicKey, commons_id: bytes | None = None) -> PublicKey:
    """Where to turn with what a key has promised: its successor's successor ..., or itself."""
    for _ in range(MAX_GENERATIONS):
        following = successor_of(db, key, commons_id)
        if following is None:
            break
        key = following
    return key


def owed_by(db: sqlite3.Connection, key: PublicKey, commons_id: bytes | None = None) -> list[BlockHash]:
    """The vouchers that a successor owes: what the keys before it promised before they signed twice, and what it said
    that it stands by."""
    owed, each = list[BlockHash](), key
    for _ in range(MAX_GENERATIONS):
        before = predecessor_of(db, each, commons_id)
        if before is None:
            break
        agent = blocks.agent_of(db, before)
        owed += map(BlockHash, _kept(db, each, agent, db.execute(f"{_MINTED} agent = ?", (agent,)).fetchall()))
        each = before
    return sorted(owed)


def owes(db: sqlite3.Connection, voucher: bytes, commons_id: bytes | None = None) -> PublicKey:
    """Who owes what a known voucher promises: its issuer, or who has taken its place since."""
    (issuer,) = db.execute("SELECT issuer FROM voucher_mint WHERE id = ?", (voucher,)).fetchone()
    heir = successor_of(db, PublicKey(issuer), commons_id)
    if heir is None or not _keeps(db, heir, issuer, voucher):
        return PublicKey(issuer)
    return newest_key_of(db, heir, commons_id)


def may_judge(db: sqlite3.Connection, me: PublicKey, issuer: PublicKey, voucher: bytes) -> bool:
    """Whether a voucher of a key before ours is one that we owe, by our claims alone."""
    heirs = db.execute("SELECT author FROM voucher_heir WHERE agent = ?", (blocks.agent_of(db, issuer),)).fetchall()
    own = blocks.agent_of(db, me)
    ours = {own, *forebears(db, own)}
    return any(_keeps(db, blocks.key_of(db, heir), issuer, voucher) for (heir,) in heirs if heir in ours)


_MINTED = "SELECT m.id, m.block, h.sequence FROM voucher_mint m JOIN half h ON h.id = m.block WHERE m."


def _keeps(db: sqlite3.Connection, heir: PublicKey, issuer: bytes, voucher: bytes) -> bool:
    minted = db.execute(f"{_MINTED}id = ?", (voucher,)).fetchall()
    return bool(_kept(db, heir, blocks.agent_of(db, issuer), minted))


# From the head that a claim names back along the old key's chain, down to a sequence number.
_BRANCH = (
    "WITH RECURSIVE branch (id, sequence, previous) AS ("
    " SELECT h.id, h.sequence, substr(h.tail, 1, 32) FROM member_claim c JOIN half h"
    " ON substr(h.hash, 1, 8) = substr(c.head, 1, 8) AND h.hash = c.head WHERE c.new = ?1 AND h.agent = ?2"
    " UNION SELECT h.id, h.sequence, substr(h.tail, 1, 32) FROM branch b CROSS JOIN half h"
    " ON substr(h.hash, 1, 8) = substr(b.previous, 1, 8) AND h.hash = b.previous"
    " WHERE +h.agent = ?2 AND +h.sequence = b.sequence - 1 AND b.sequence > ?3)"
    " SELECT id FROM branch"
)


def _kept(db: sqlite3.Connection, heir: PublicKey, agent: int, minted: list[tuple[bytes, int, int]]) -> list[bytes]:
    """Which vouchers of a forked key, as (id, block, place), are of the time before it signed twice, or on the branch
    that its heir named.

    The first alone could be shortened to nothing: with the old secret, a second block at any earlier place can be made
    at any time. The second alone would let an heir name a head before its promises.
    """
    (first,) = db.execute("SELECT min(sequence) FROM forked WHERE agent = ?", (agent,)).fetchone()
    if first is None:
        return []
    later = [place for _, _, place in minted if place >= first]
    named = {each for (each,) in db.execute(_BRANCH, (heir, agent, min(later)))} if later else set[int]()
    return [id_ for id_, block, place in minted if place < first or block in named]


def _claim(db: sqlite3.Connection, claim: BlockHash, old: PublicKey, new: PublicKey, commons_id: bytes | None) -> Claim:
    rows = db.execute(
        "SELECT sponsor, stands FROM member_vouch WHERE claim = ? AND member = ?"
        " ORDER BY sponsor, sequence, block DESC",
        (claim, new),
    )
    latest = dict(rows.fetchall())
    willing = {PublicKey(sponsor) for sponsor, stands in latest.items() if stands} - {old, new}
    entitled = _neighbours(db, old, commons_id) if willing else set()
    sponsors = sorted(each for each in willing & entitled if not blocks.has_forked(db, each))
    return Claim(claim, old, new, tuple(sponsors))


def _neighbours(db: sqlite3.Connection, key: PublicKey, commons_id: bytes | None) -> set[PublicKey]:
    """Who belongs to the commons, or to any that a key belongs to."""
    if commons_id is not None:
        return member_keys(db, commons_id)
    charters = db.execute("SELECT substr(charter, 1, 20) FROM member_commons").fetchall()
    each_commons = (member_keys(db, charter) for (charter,) in charters)
    return set[PublicKey]().union(*(keys for keys in each_commons if key in keys))


# What nodes do


def vouch(tx: Transaction, claim: HalfBlock, *, stands: bool = True) -> HalfBlock:
    """Sign that we know whose new key this is; keeps the claim, admits the new key, tells it."""
    tx.store(claim)
    vouched = tx.append(VouchForKey(claim.public_key, claim.hash, stands))
    tx.post(claim.public_key, vouched.hash)
    return vouched


def forward_mail(tx: Transaction, commons_id: bytes | None = None) -> int:
    """Owe to successors what is still owed to the keys before them; returns how many rows that makes. Idempotent."""
    made = 0
    for receiver, key in tx.db.execute(
        "SELECT id, key FROM agent WHERE id IN (SELECT DISTINCT receiver FROM outbox)"
        " AND id IN (SELECT agent FROM forked)"
    ).fetchall():
        heir = newest_key_of(tx.db, PublicKey(key), commons_id)
        if heir == key:
            continue
        rows = tx.db.execute("SELECT block, parts FROM outbox WHERE receiver = ?", (receiver,)).fetchall()
        for block, parts in rows:
            tx.post(heir, blocks.hash_of(tx.db, block), parts)
        made += tx.db.execute("DELETE FROM outbox WHERE receiver = ?", (receiver,)).rowcount
    return made
