"""The promises of the design, checked after every commit of every node. What is broken is a `Violation`.

The inspector sees all nodes at once, which no node can. Members who cheat on purpose are exempt from what they
promised, and exchanges of vouchers that a cheat issued from what its word should be worth. Numbers are those of the
invariants in section 9 of the design.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable

from overlay.economy.facts import inputs_of, legs_of
from overlay.economy.holdings import agreement_of
from overlay.economy.standing import Standing, current_holdings, standing, supply
from overlay.keys import PublicKey
from overlay.meritrank.feedback import evidence
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Deed,
    MalformedStatement,
    Mint,
    Note,
    OfferSwap,
    ProposeExchange,
    Want,
    Witness,
    decode_part,
)
from overlay.trustchain.validation import check
from tests.simulation.member import Member
from tests.simulation.packets import blocks_in

# Statements of one party alone, which may change nothing of another's (invariant 6).
ONE_SIDED = (Mint, OfferSwap, ProposeExchange, CancelExchange)
# At this moment no promise has expired and no proposal has lapsed: what differs then is not due to time.
BEFORE_ALL = 0


class Violation(AssertionError):
    """A promise of the design is broken; the message begins with its number in section 9."""


class Inspector:
    """Call `committed` after each commit of a member's node, and `left` for all that leaves one."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        self._seen: dict[str, set[BlockHash]] = {}
        self._parts: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._places: dict[tuple[PublicKey, int], BlockHash] = {}
        self._spends: dict[tuple[bytes, int], BlockHash] = {}
        self._before: dict[str, tuple[object, object]] = {}
        self.final: dict[BlockHash, str] = {}
        self.violations: list[str] = []
        self.checks = 0

    def look(self, check: Callable[[], None]) -> None:
        """Carry out a check from where nobody could catch its Violation."""
        try:
            check()
        except Violation as violation:
            self.violations.append(str(violation))

    @property
    def cheats(self) -> set[PublicKey]:
        """Who has cheated on purpose."""
        return {member.key for member in self._members if member.is_cheat}

    @property
    def blocks(self) -> int:
        """How many places of chains have been seen taken."""
        return len(self._places)

    def _others(self, member: Member, db: sqlite3.Connection) -> tuple[object, object]:
        """What everybody but this member holds and has done for others, by this member's ledger."""
        held: dict[tuple[str, bytes], int] = defaultdict(int)
        for holder in self._members:
            for each in current_holdings(db, holder.key, BEFORE_ALL) if holder is not member else ():
                held[holder.role, each.holding.voucher] += each.holding.quantity
        return dict(held), evidence(db, 1)

    def name(self, key: PublicKey) -> str:
        """The role of whoever has this key."""
        return next((member.role for member in self._members if member.key == key), "somebody")

    def restarted(self, member: Member) -> None:
        """After a crash: what was acknowledged is there, and everything is looked at again."""
        db = member.up.db
        lost = [block for block in sorted(member.acknowledged) if not blocks.contains(db, block)]
        if lost and not member.is_cheat:
            raise Violation(f"2: {member.role} has lost {len(lost)} blocks that it had reported as stored")
        for memory in (self._seen, self._parts, self._before):
            memory.pop(member.role, None)
        self.committed(member)

    def left(self, member: Member, raw: bytes) -> None:
        """Bytes leave a node: blocks of its own in them are on its disk by now."""
        if member.node is None:
            return
        for block in blocks_in(raw):
            is_own = block.public_key == member.key and block.has_valid_signature()
            if is_own and not blocks.contains(member.node.db, block.hash):
                raise Violation(f"1: block {block.sequence_number} of {member.role} leaves before it is on disk")

    def committed(self, member: Member) -> None:
        """A commit of this member's node has reached the disk."""
        if member.node is None:
            return
        self.checks += 1
        db = member.node.db
        new = self._new_blocks(member, db)
        for block in new:
            self._check_block(member, db, block)
        disclosed = self._check_privacy(member, db)
        if member.is_cheat:
            return  # what it sees after it went back is its own affair
        if new or disclosed:
            mine = {proposal for proposal, by in self.final.items() if by == member.role}
            self.check_exchanges(member, _touched(new) | disclosed | mine)
        if new or disclosed or member.role not in self._before:
            self._check_one_sidedness(member, db, new)

    def check_exchanges(self, member: Member, touched: set[BlockHash]) -> None:
        """What is final stays so, spends nothing twice, and nothing comes out of nowhere (invariants 4 and 5)."""
        db, now = member.up.db, member.clock.now()
        for proposal in sorted(touched):
            stands = standing(db, proposal, now)
            if self.final.get(proposal) == member.role and stands is not Standing.FINAL:
                raise Violation(f"5: what was final for {member.role} is now {stands.value}")
            if stands is Standing.FINAL and self._is_honest(db, proposal):
                self.final.setdefault(proposal, member.role)
                self._check_spends(member, db, proposal)
        self._check_supply(member, db, now)

    def _new_blocks(self, member: Member, db: sqlite3.Connection) -> list[HalfBlock]:
        seen = self._seen.setdefault(member.role, set())
        new = [BlockHash(found) for (found,) in db.execute("SELECT hash FROM block ORDER BY id") if found not in seen]
        seen.update(new)
        return [block for each in new if (block := blocks.by_hash(db, each)) is not None]

    def _check_block(self, member: Member, db: sqlite3.Connection, block: HalfBlock) -> None:
        fault = check(block)
        if fault is not None:
            raise Violation(f"10: {member.role} has stored an invalid block: {fault}")
        if block.public_key in self.cheats:
            return
        place = (block.public_key, block.sequence_number)
        if self._places.setdefault(place, block.hash) != block.hash:
            who = self.name(block.public_key)
            raise Violation(f"1: {who} has signed two blocks with the number {block.sequence_number}")
        if block.public_key == member.key and not block.is_genesis:
            before = blocks.at(db, member.key, block.sequence_number - 1)
            if [each.hash for each in before] != [block.previous_hash]:
                raise Violation(f"1: block {block.sequence_number} of {member.role} does not follow its predecessor")

    def _check_privacy(self, member: Member, db: sqlite3.Connection) -> set[BlockHash]:
        """Words, deeds and wishes of a body lie with its two parties only (invariant 7)."""
        (count,) = db.execute("SELECT count(*) FROM part").fetchone()
        if count == self._parts.get(member.role, 0):
            return set()
        self._parts[member.role] = count
        found = set()
        for hash_ in sorted(self._seen[member.role]):
            block, parts = blocks.by_hash(db, hash_), blocks.parts(db, hash_)
            if block is None or not parts:
                continue
            found.add(hash_)
            is_party = member.key in (block.public_key, block.link_public_key)
            if not is_party and any(isinstance(_part(part.content), Deed | Note | Want) for part in parts):
                raise Violation(f"7: {member.role} holds words of an exchange between two others")
        return found

    def _is_honest(self, db: sqlite3.Connection, proposal: BlockHash) -> bool:
        """Whether this is an agreed exchange (not an offer that one came of), of vouchers of honest issuers only."""
        issuers = {leg.issuer for leg in legs_of(db, proposal)}
        return bool(issuers) and not issuers & self.cheats and agreement_of(db, proposal) is not None

    def _check_spends(self, member: Member, db: sqlite3.Connection, proposal: BlockHash) -> None:
        for leg in legs_of(db, proposal):
            for source in inputs_of(db, leg):
                if self._spends.setdefault((source.block, source.index), proposal) != proposal:
                    raise Violation(f"5: {member.role} calls a second spend of one holding final")

    def _check_supply(self, member: Member, db: sqlite3.Connection, now: int) -> None:
        """What all hold together of a voucher is never more than what is outstanding (invariant 4)."""
        held: Counter[bytes] = Counter()
        for holder in self._members:
            for each in current_holdings(db, holder.key, now):
                held[each.holding.voucher] += each.holding.quantity if each.standing is Standing.FINAL else 0
        for voucher, quantity in sorted(held.items()):
            outstanding = supply(db, BlockHash(voucher), now).outstanding
            if quantity > outstanding:
                raise Violation(f"4: {member.role} sees {quantity} held of a voucher with {outstanding} outstanding")

    def _check_one_sidedness(self, member: Member, db: sqlite3.Connection, new: list[HalfBlock]) -> None:
        """What a member states alone changes what nobody else holds or is worth (invariant 6). A commit that also takes
        in a part that somebody showed is not that."""
        others = self._others(member, db)
        own_parts = sum(len(blocks.parts(db, block.hash)) for block in new)
        (shown,) = db.execute("SELECT count(*) FROM part").fetchone()
        was_shown, self._shown[member.role] = self._shown.get(member.role), shown
        before, self._before[member.role] = self._before.get(member.role), others
        said = [meaning(block) for block in new if block.public_key == member.key]
        is_own = len(said) == len(new) and was_shown == shown - own_parts
        alone = bool(new) and is_own and all(isinstance(each, ONE_SIDED) for each in said)
        if alone and before is not None and before != others:
            raise Violation(f"6: a statement of {member.role} alone has changed what another holds or is worth")


def _touched(new: list[HalfBlock]) -> set[BlockHash]:
    """The exchanges that new blocks say something about."""
    found: set[BlockHash] = set()
    for block in new:
        match meaning(block):
            case AgreeExchange(proposal=proposal) | Witness(proposal=proposal):
                found.add(BlockHash(proposal))
            case ProposeExchange():
                found.add(block.hash)
    return found


def _part(content: bytes) -> object:
    try:
        return decode_part(content)
    except MalformedStatement:
        return None
