"""Random histories that no node would sign: every block valid by itself, made with bare keys, and beyond that anything.

Members sign twice at one place, give the same holding again and again, name sums, masks and issuers as they please, and
agree to what was never proposed to them; issuers accept, refuse and take back at random. With heirs, everybody also
claims to go on for others, and says what only these should say.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from overlay.economy.claiming import make_claim
from overlay.keys import Identity, PublicKey
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.commitment import Body, Disclosure
from overlay.trustchain.statements import (
    AgreeExchange,
    Anything,
    CancelExchange,
    Issuer,
    Leg,
    Mint,
    OfferSwap,
    ProposeExchange,
    Source,
    Witness,
    encode,
    encode_part,
)
from tests.economy.observing import History
from tests.town import HOUR, START, SeededRandomness

ROLES = b"baker", b"grower", b"farmer", b"mechanic", b"welder", b"weaver", b"nurse"
PEOPLE = [Identity.from_seed(role.ljust(64)) for role in ROLES]
ISSUERS = PEOPLE[:3]
# A holding: the hash of its source, and its index.
Place = tuple[bytes, int]
BY_KEY: dict[bytes, Identity] = {person.public_key: person for person in PEOPLE}


def hostile_history(seed: int, *, has_heirs: bool = False) -> History:
    """The same for the same seed."""
    forger = Forger(random.Random(seed), SeededRandomness(f"history {seed}"))
    forger.run(has_heirs=has_heirs)
    return History(list({block.hash: block for block in forger.blocks}.values()), forger.parts)


@dataclass(frozen=True)
class Output:
    """What a leg, or a mint, claims to have put into somebody's hands."""

    voucher: BlockHash
    holder: Identity
    quantity: int


@dataclass(frozen=True)
class Proposed:
    """A proposal, and whatever names it as agreed to."""

    block: HalfBlock
    author: Identity
    to: Identity
    legs: list[Leg]
    agreements: list[HalfBlock] = field(default_factory=list)

    def outputs(self) -> Iterator[tuple[Place, Output]]:
        for position, leg in enumerate(self.legs):
            giver, receiver = (self.author, self.to) if leg.from_proposer else (self.to, self.author)
            yield (self.block.hash, 2 * position), Output(BlockHash(leg.voucher), receiver, leg.quantity)
            if leg.change:
                yield (self.block.hash, 2 * position + 1), Output(BlockHash(leg.voucher), giver, leg.change)


@dataclass
class Forger:
    """Draws what is signed next from one source of chance."""

    chance: random.Random
    salts: SeededRandomness
    blocks: list[HalfBlock] = field(default_factory=list)
    parts: list[Disclosure] = field(default_factory=list)
    places: Counter[PublicKey] = field(default_factory=Counter)
    issuers: dict[BlockHash, Identity] = field(default_factory=dict)
    outputs: dict[Place, Output] = field(default_factory=dict)
    proposals: list[Proposed] = field(default_factory=list)
    heirs: defaultdict[Identity, list[Identity]] = field(default_factory=lambda: defaultdict(list))

    def run(self, *, has_heirs: bool) -> None:
        self._mint()
        if has_heirs:
            self._claim()
        self._propose()
        words = self.chance.choice((4, 8, 16))
        acts = [self._propose] * 4 + [self._agree] * 4 + [self._say] * words + [self._cancel] * 2
        for _ in range(self.chance.choice((60, 120))):
            self.chance.choice(acts)()

    def _mint(self) -> None:
        for issuer in ISSUERS[: self.chance.choice((1, 2, 3))]:
            quantity = self.chance.choice((1, 4, 10))
            block = self._sign(issuer, Mint("work", "hour", quantity, "", 0, None))
            self.issuers[block.hash] = issuer
            self.outputs[block.hash, 0] = Output(block.hash, issuer, quantity)

    def _claim(self) -> None:
        """Several claims of one key are forks at its first place, and make it the heir of several."""
        for heir in PEOPLE:
            others = [each for each in PEOPLE if each is not heir]
            for old in self.chance.sample(others, self.chance.choice((0, 1, 2))):
                head = self.chance.choice([GENESIS_HASH, *self.issuers])
                self.blocks.append(make_claim(old, heir, head, self.chance.choice((0, 1))))
                self.heirs[old].append(heir)

    def _propose(self) -> None:
        """Mostly by the holder, and often to the issuer; now and then it is but an offer."""
        source = self._any_output()
        holder, issuer = self.outputs[source].holder, self.issuers[self.outputs[source].voucher]
        other = self.chance.choice([each for each in [*PEOPLE, *[issuer] * 4] if each is not holder])
        is_by_holder = self._happens(0.7)
        author, to = (holder, other) if is_by_holder else (other, holder)
        count = self.chance.choice((1, 1, 1, 2, 3))
        legs = [self._leg(position, source, from_proposer=is_by_holder) for position in range(count)]
        body, until = Body([encode_part(leg) for leg in legs], self.salts), START + HOUR
        is_offer = self._happens(0.05)
        said = OfferSwap(until, body.root) if is_offer else ProposeExchange(until, body.root, 0, None)
        proposed = Proposed(self._sign(author, said, to=to.public_key), author, to, legs)
        self.proposals.append(proposed)
        self.parts += body.disclosures(proposed.block.hash)
        self.outputs.update(proposed.outputs())

    def _leg(self, position: int, source: Place, *, from_proposer: bool) -> Leg:
        """Mostly a whole one; those behind the first mostly want the same holding again."""
        first = source if position == 0 or self._happens(0.6) else self._any_output()
        sources = {first, self._another_like(first)} if self._happens(0.4) else {first}
        total = sum(self.outputs[each].quantity for each in sources) + self._happens(0.05)
        moved = self.chance.choice((total, total, self.chance.randint(1, total)))
        others = sorted(each.public_key for each in self.chance.sample(PEOPLE, self.chance.choice((0, 0, 1, 1, 2))))
        return Leg(
            from_proposer is self._happens(0.9),
            self.outputs[first].voucher if self._happens(0.9) else self.chance.choice(list(self.issuers)),
            tuple(Source(*each) for each in sorted(sources)),
            moved,
            total - moved,
            1 << position | self.chance.choice((0, 0, 0, 0, 3, 7)),
            tuple(Issuer(key, self.chance.choice((1, 1, 3))) for key in others),
        )

    def _agree(self) -> None:
        """Mostly to what is unanswered, and by the member asked."""
        unanswered = [each for each in self.proposals if not each.agreements]
        likely = unanswered if unanswered and self._happens(0.7) else self.proposals
        proposed, linked = self.chance.choice(likely), self.chance.choice(self.proposals)
        who = proposed.to if self._happens(0.95) else self.chance.choice(PEOPLE)
        link = proposed.block if self._happens(0.95) else linked.block
        proposed.agreements.append(self._sign(who, AgreeExchange(proposed.block.hash, 0), link=link))

    def _say(self) -> None:
        """A word on an exchange, half of the time on one of the first."""
        agreed = [each for each in self.proposals if each.agreements] or self.proposals
        proposed = self.chance.choice(agreed[:5] if self._happens(0.5) else agreed)
        leg = self.chance.choice(proposed.legs)
        concerned = [(self.issuers[BlockHash(leg.voucher)], leg.parts)] * 2
        concerned += [(BY_KEY[each.key], each.parts) for each in leg.others]
        issuer, mask = self.chance.choice(concerned)
        agreement = self.chance.choice([each.hash for each in proposed.agreements] or [proposed.block.hash])
        said = Witness(proposed.block.hash, agreement, mask, self._happens(0.6))
        self._sign(self._speaker(issuer), said)

    def _speaker(self, issuer: Identity) -> Identity:
        """The issuer, or one of its heirs, or one of theirs; now and then anybody."""
        while self.heirs[issuer] and self._happens(0.6):
            issuer = self.chance.choice(self.heirs[issuer])
        return issuer if self._happens(0.9) else self.chance.choice(PEOPLE)

    def _cancel(self) -> None:
        """Mostly what is new, so that an answer may follow; to decline it is a word, to take it back is none."""
        proposed = self.chance.choice(self.proposals[-3:] if self._happens(0.7) else self.proposals)
        author = proposed.to if self._happens(0.7) else proposed.author
        self._sign(author, CancelExchange(proposed.block.hash, ""))

    def _any_output(self) -> Place:
        """Half of the time one of the first: there many spends meet."""
        found = list(self.outputs)
        return self.chance.choice(found[:3] if self._happens(0.5) else found)

    def _another_like(self, source: Place) -> Place:
        """Of the same holder, and mostly of the same voucher."""
        like, mixed = self.outputs[source], self._happens(0.1)
        owned = [each for each, output in self.outputs.items() if output.holder is like.holder]
        return self.chance.choice([each for each in owned if mixed or self.outputs[each].voucher == like.voucher])

    def _happens(self, share: float) -> bool:
        return self.chance.random() < share

    def _sign(
        self, who: Identity, said: Anything, *, to: PublicKey = ANYONE, link: HalfBlock | None = None
    ) -> HalfBlock:
        """At the next place of a chain, or once more at an earlier one; the first is left to claims."""
        newest = max(1, self.places[who.public_key])
        is_fork = newest > 1 and self._happens(0.2)
        place = self.chance.randint(2, newest) if is_fork else newest + 1
        self.places[who.public_key] = max(newest, place)
        kind, content = encode(said)
        linked = (link.public_key, link.sequence_number) if link else (to, 0)
        when = START + self.chance.randint(0, 2)
        block = HalfBlock(who.public_key, place, *linked, BlockHash(b"p" * 32), kind, content, when)
        self.blocks.append(block.signed_by(who))
        return self.blocks[-1]
