"""Random histories of a small town in which everyone but the baker may lie in every way that signatures allow."""

import contextlib
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field

from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused
from overlay.economy.holdings import holdings
from overlay.economy.standing import Standing, standing
from overlay.trustchain import blocks
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.commitment import Body
from overlay.trustchain.statements import (
    AgreeExchange,
    CancelExchange,
    Issuer,
    Leg,
    OfferSwap,
    Part,
    ProposeExchange,
    Source,
    Want,
    Witness,
    encode_part,
)
from tests.economy.observing import History, show
from tests.town import HOUR, Town, Townsperson

ROLES = ("baker", "farmer", "mechanic", "welder")


@dataclass
class Mischief:
    """Draws what happens next from one source of chance."""

    town: Town
    chance: random.Random
    final: set[BlockHash] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.baker, *self.others = [self.town.person(role) for role in ROLES]
        self.everyone = [self.baker, *self.others]

    async def run(self, steps: int) -> None:
        for person in self.everyone:
            await person.mint(f"work of the {person.role}", 100, self.chance.choice((0, self.town.clock.now() + HOUR)))
        await self.meet()
        acts = [self.give] * 4 + [self.agree] * 5 + [self.swap, self.cancel, self.meet, self.wait]
        lies = (
            [self.forge_proposal] * 4
            + [self.forge_answer] * 4
            + [self.forge_word] * 3
            + [self.spend_twice] * 3
            + [self.forge_cancel, self.fork]
        )
        for _ in range(steps):
            await self.chance.choice(acts + lies)()
        await self.meet()

    async def meet(self) -> None:
        """Everyone learns everything, and lets the node react."""
        await self.town.carry()
        history = History.of([person.ledger for person in self.everyone])
        for person in self.everyone:
            await show(person.ledger, history, self.chance)
        await self.town.carry()
        now = self.town.clock.now()
        db = self.baker.ledger.db
        for (proposal,) in db.execute("SELECT proposal FROM voucher_exchange WHERE NOT is_offer").fetchall():
            if standing(db, proposal, now) is Standing.FINAL:
                self.final.add(BlockHash(proposal))

    async def wait(self) -> None:
        self.town.clock.time += self.chance.randint(1, HOUR // 2)

    async def give(self) -> None:
        giver, taker = self.chance.sample(self.everyone, 2)
        voucher = self.any_voucher(giver)
        await self.honestly(giver.give(taker, voucher, self.chance.randint(1, 40)))

    async def agree(self) -> None:
        who = self.chance.choice(self.everyone)
        open_ = [each for each in self.proposals(who) if who.standing(each.hash) is Standing.OPEN]
        if open_:
            provisional = self.chance.random() < 0.5
            await self.honestly(who.agree(self.chance.choice(open_).hash, allow_provisional=provisional))

    async def swap(self) -> None:
        one, other = self.chance.sample(self.everyone, 2)
        give, want = Amount(self.any_voucher(one), self.chance.randint(1, 20)), Amount(self.any_voucher(other), 5)
        until = self.town.clock.now() + HOUR
        try:
            offer = await one.do(lambda tx: exchange.offer_swap(tx, one.random, other.key, give, want, until))
            await self.town.carry()
            await other.do(lambda tx: exchange.accept_offer(tx, other.random, offer.hash))
        except Refused:
            return

    async def cancel(self) -> None:
        who = self.chance.choice(self.everyone)
        found = self.proposals(who)
        if found:
            proposal = self.chance.choice(found).hash
            await self.honestly(who.do(lambda tx: exchange.cancel(tx, proposal)))

    async def forge_proposal(self) -> None:
        liar, victim = self.chance.choice(self.others), self.chance.choice(self.everyone)
        if liar is victim:
            return
        parts: list[Part] = [self.any_leg(liar) for _ in range(self.chance.choice((1, 1, 1, 2)))]
        until = self.town.clock.now() + self.chance.choice((-1, HOUR, 1 << 50))
        if self.chance.random() < 0.2:
            body = Body([encode_part(part) for part in [*parts, Want(self.any_voucher(liar), 5)]], liar.random)
            await liar.forge(OfferSwap(max(0, until), body.root), to=victim.key, body=body)
        else:
            body = Body([encode_part(part) for part in parts], liar.random)
            offers = [each.hash for each in self.known(liar, b"intent")] or [None]
            said = ProposeExchange(max(0, until), body.root, 1, self.chance.choice([None, *offers]))
            await liar.forge(said, to=victim.key, body=body)

    async def spend_twice(self) -> None:
        """Give one holding to two accomplices, one of whom passes it on; the baker hears of it bit by bit."""
        liars = self.chance.sample(self.others, 3)
        held = self.chance.choice(holdings(liars[0].ledger.db, liars[0].key))
        first, second = [await self.hand_over(liars[0], liar, held.voucher, held.source) for liar in liars[1:]]
        received = self.chance.choice((first, second))
        output = Source(received[0].hash, 0)
        passed = await self.hand_over(
            liars[1 if received is first else 2], liars[0], held.voucher, output, held.quantity
        )
        told = [block for pair in (first, second, passed) for block in pair]
        self.chance.shuffle(told)
        for block in told[: self.chance.randint(0, len(told))]:
            author = next(person for person in liars if person.key == block.public_key)
            await author.show(self.baker, block.hash)
            await self.baker.react()

    async def hand_over(
        self, giver: Townsperson, taker: Townsperson, voucher: bytes, source: Source, quantity: int = 0
    ) -> tuple[HalfBlock, HalfBlock]:
        """A proposal and its agreement, signed without looking."""
        row = giver.ledger.db.execute(
            "SELECT quantity FROM voucher_holding WHERE source = (SELECT id FROM half WHERE hash = ?) AND idx = ?",
            (source.block, source.index),
        ).fetchone()
        leg = Leg(True, voucher, (source,), row[0] if row else quantity, 0, 1, ())
        body = Body([encode_part(leg)], giver.random)
        proposal = await giver.forge(
            ProposeExchange(self.town.clock.now() + HOUR, body.root, 0, None), to=taker.key, body=body
        )
        return proposal, await taker.forge(AgreeExchange(proposal.hash, 0), link=proposal)

    async def forge_answer(self) -> None:
        """Agree to anything, mostly to what was really proposed to this member, once more or too late."""
        liar = self.chance.choice(self.others)
        found = (self.proposals(liar) if self.chance.random() < 0.8 else []) or self.known(liar, b"exchange")
        if found:
            named, linked = self.chance.choice(found), self.chance.choice(found)
            link = named if self.chance.random() < 0.8 else linked
            await liar.forge(AgreeExchange(named.hash, 1), link=link)

    async def forge_word(self) -> None:
        """Accept or refuse anything, mostly what was really agreed."""
        liar = self.chance.choice(self.others)
        found = self.known(liar, b"exchange")
        answered = [each for each in found if blocks.linked_to(liar.ledger.db, each)]
        if not found:
            return
        proposal = self.chance.choice(answered if answered and self.chance.random() < 0.9 else found)
        agreement = self.chance.choice(blocks.linked_to(liar.ledger.db, proposal) or found)
        said = Witness(proposal.hash, agreement.hash, self.chance.choice((1, 1, 1, 2, 3)), self.chance.random() < 0.6)
        await liar.forge(said, to=proposal.public_key)

    async def forge_cancel(self) -> None:
        liar = self.chance.choice(self.others)
        found = self.known(liar, b"exchange")
        if found:
            await liar.forge(CancelExchange(self.chance.choice(found).hash, ""))

    async def fork(self) -> None:
        """Sign a second block at a place of the own chain, which everyone but its author gets."""
        liar = self.chance.choice(self.others)
        own = [block for block in blocks.everything(liar.ledger.db) if block.public_key == liar.key]
        model = self.chance.choice(own)
        twin = HalfBlock(
            liar.key,
            model.sequence_number,
            model.link_public_key,
            model.link_sequence_number,
            model.previous_hash,
            model.type,
            self.chance.choice([block.transaction for block in own if block.type == model.type]),
            model.timestamp + 1,
        ).signed_by(liar.identity)
        await self.chance.choice(self.everyone).ledger.ingest([twin])

    def any_leg(self, liar: Townsperson) -> Leg:
        """A leg, mostly over what the liar ever held (and may have given before), with mostly true sums and issuers."""
        mine = holdings(liar.ledger.db, liar.key)
        known = [each for person in self.everyone for each in holdings(liar.ledger.db, person.key)]
        is_plain = self.chance.random() < 0.7
        first = self.chance.choice(mine if is_plain else known)
        chosen = {first.source, *(each.source for each in self.chance.sample(known, self.chance.choice((0, 0, 0, 1))))}
        inputs = tuple(sorted(chosen, key=lambda source: (source.block, source.index)))
        total = first.quantity + (0 if is_plain else self.chance.choice((0, 0, 1)))
        moved = self.chance.randint(1, total)
        others, parts = (), 1 if is_plain else self.chance.choice((1, 2, 3))
        if self.chance.random() < 0.3:
            others = (Issuer(self.chance.choice(self.everyone).key, self.chance.choice((1, 2, 3))),)
        by_proposer = is_plain or self.chance.random() < 0.6
        return Leg(by_proposer, first.voucher, inputs, moved, total - moved, parts, others)

    def any_voucher(self, who: Townsperson) -> BlockHash:
        held = [each.voucher for each in holdings(who.ledger.db, who.key)]
        return self.chance.choice(held)

    def proposals(self, who: Townsperson) -> list[HalfBlock]:
        return [each for each in self.known(who, b"exchange") if each.link_public_key == who.key]

    def known(self, who: Townsperson, kind: bytes) -> list[HalfBlock]:
        rows = who.ledger.db.execute(
            "SELECT hash FROM block WHERE type = ? AND link_sequence = 0 ORDER BY hash", (kind,)
        )
        return [block for (each,) in rows.fetchall() if (block := who.ledger.block(each))]

    async def honestly(self, act: Awaitable[object]) -> None:
        with contextlib.suppress(Refused):
            await act
