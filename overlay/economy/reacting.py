"""What a node does by itself about exchanges: take up what it offered, decline cheats, give its word as issuer."""

import sqlite3
from collections.abc import Iterable

from overlay.economy import witnessing
from overlay.economy.answering import agree, cancel
from overlay.economy.checks import open_body
from overlay.economy.errors import Refused
from overlay.economy.standing import Standing, is_complete, standing, standing_of
from overlay.keys import PublicKey
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Changes, Transaction, meaning
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Leg,
    Mint,
    Part,
    ProposeExchange,
    Want,
    Witness,
)

# How many exchanges that follow from a changed one are looked at: each takes about 100 us.
MAX_FOLLOWING = 1_024
MAX_REASON = 280


def touched(changes: Changes) -> set[BlockHash]:
    """The exchanges (and mints) that a change says something about: what to hand to `react`."""
    found = {BlockHash(part.block) for part in changes.parts}
    for block in changes.blocks:
        match meaning(block):
            case AgreeExchange(proposal=proposal) | CancelExchange(proposal=proposal) | Witness(proposal=proposal):
                found.add(BlockHash(proposal))
            case ProposeExchange() | Mint():
                found.add(block.hash)
    return found


# An exchange on which a word of ours may be missing, or of whose outputs one may be; or one that waits for our answer.
_DUE = (
    "SELECT 1 FROM voucher_leg l JOIN voucher_mint m ON m.block = l.voucher WHERE l.proposal = ?1 AND l.made"
    " AND l.word = 0 AND (m.agent = ?2 OR EXISTS (SELECT 1 FROM voucher_heir)) UNION ALL"
    " SELECT 1 FROM voucher_input i JOIN voucher_leg l USING (proposal, position) WHERE i.source = ?1 AND l.made"
    " AND l.word = 0 UNION ALL"
    " SELECT 1 FROM voucher_proposal WHERE block = ?1 AND counterparty = ?2 AND agreed IS NULL"
    " AND (offer IS NOT NULL OR EXISTS (SELECT 1 FROM forked WHERE agent = proposer)) LIMIT 1"
)


def due(db: sqlite3.Connection, me: PublicKey, proposals: Iterable[BlockHash]) -> list[BlockHash]:
    """Those of these exchanges (and mints) on which `react` may have something to do, in the order of their hashes:
    most need nothing, and then no transaction either."""
    agent = blocks.agent_of(db, me)
    numbers = ((proposal, blocks.find_id(db, proposal)) for proposal in sorted(set(proposals)))
    return [each for each, number in numbers if number and db.execute(_DUE, (number, agent)).fetchone()]


def react(tx: Transaction, proposals: Iterable[BlockHash]) -> None:
    """What a node does by itself when it learns of these exchanges; repeating it changes nothing."""
    numbers = [number for proposal in sorted(set(proposals)) if (number := blocks.find_id(tx.db, proposal))]
    me, query = (
        blocks.agent_id(tx.db, tx.identity.public_key),
        "SELECT counterparty, agreed FROM voucher_proposal WHERE block = ?",
    )
    for number in numbers:
        if tx.db.execute(query, (number,)).fetchone() == (me, None):
            _answer(tx, number)
    witnessing.give_words(tx, _following(tx.db, numbers))


def unfinished(db: sqlite3.Connection, now: int = 0) -> set[BlockHash]:
    """Every exchange about which something may still have to be said at `now`: for a node that has just started."""
    rows = db.execute(
        "SELECT hash FROM half WHERE id IN (SELECT proposal FROM voucher_leg WHERE made = 1 AND word = 0 UNION"
        " SELECT block FROM voucher_proposal WHERE agreed IS NULL AND NOT is_offer AND valid_until > ?)",
        (now,),
    )
    return {BlockHash(proposal) for (proposal,) in rows}


def _following(db: sqlite3.Connection, proposals: list[int]) -> list[int]:
    """These exchanges, and those that spend what came of them and have not all words yet: what comes first first."""
    found, waiting = dict.fromkeys(proposals), list(proposals)
    while waiting and len(found) < MAX_FOLLOWING + len(proposals):
        rows = db.execute(
            "SELECT DISTINCT i.proposal FROM voucher_input i JOIN voucher_leg l USING (proposal, position)"
            " WHERE i.source = ? AND l.made AND l.word = 0",
            (waiting.pop(0),),
        ).fetchall()
        new = [proposal for (proposal,) in rows if proposal not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return list(found)


def _answer(tx: Transaction, number: int) -> None:
    """Decline what a proven cheat proposes; agree to what takes up an own offer exactly as it was made."""
    block = blocks.by_id(tx.db, number)
    if block is None or standing_of(tx.db, number, tx.now) is not Standing.OPEN:
        return
    if blocks.has_forked(tx.db, block.public_key):
        cancel(tx, block.hash, "your key has signed two histories: this is proven")
        return
    said = meaning(block)
    if not isinstance(said, ProposeExchange) or said.offer is None:
        return
    try:
        if _matches_offer(tx, block, said.offer):
            agree(tx, block.hash)
    except Refused as refusal:
        cancel(tx, block.hash, str(refusal)[:MAX_REASON])


def _matches_offer(tx: Transaction, block: HalfBlock, offer: bytes) -> bool:
    """Whether a proposal is exactly our own open offer with the wanted legs of its acceptor added. May refuse."""
    made = blocks.by_hash(tx.db, offer)
    if made is None or made.public_key != tx.identity.public_key or made.link_public_key != block.public_key:
        return False
    if standing(tx.db, offer, tx.now) is not Standing.OPEN:
        return False
    if not is_complete(tx.db, blocks.block_id(tx.db, block.hash)):
        return False
    _, offered = open_body(tx, BlockHash(offer))
    _, proposed = open_body(tx, block.hash)
    ours = [part for part in proposed if isinstance(part, Leg) and not part.from_proposer]
    theirs = [part for part in proposed if isinstance(part, Leg) and part.from_proposer]
    is_all = len(ours) + len(theirs) == len(proposed)
    return is_all and _given(ours) == _given(offered) and _sums(theirs) == _sums(offered, Want)


def _given(parts: Iterable[Part]) -> list[tuple[object, ...]]:
    return [(part.voucher, part.inputs, part.quantity, part.change) for part in parts if isinstance(part, Leg)]


def _sums(parts: Iterable[Part], kind: type[Leg] | type[Want] = Leg) -> dict[bytes, int]:
    """How much of each voucher these parts give or want; a large amount may take several legs."""
    sums: dict[bytes, int] = {}
    for part in parts:
        if isinstance(part, Leg | Want) and isinstance(part, kind):
            sums[part.voucher] = sums.get(part.voucher, 0) + part.quantity
    return sums
