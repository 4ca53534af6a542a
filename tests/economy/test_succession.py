"""A member whose key has signed two histories goes on with a new one: what it promised before stays owed."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.economy import succession
from overlay.economy.claiming import PREFIX, BadClaim, from_text, make_claim, to_text
from overlay.economy.exchange import Refused
from overlay.economy.faults import faults
from overlay.economy.holdings import agreement_of
from overlay.economy.members import member_keys
from overlay.economy.standing import Standing, standing
from overlay.economy.succession import claims_on, owed_by, owes, predecessor_of, successor_of
from overlay.keys import Identity
from overlay.trustchain import blocks, outbox
from overlay.trustchain.block import GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.ledger import meaning
from overlay.trustchain.statements import (
    CONSENT,
    AdmitMember,
    AgreeExchange,
    FoundCommons,
    Mint,
    Profile,
    SucceedKey,
    Witness,
    encode,
)
from tests.economy.forging import leg, propose
from tests.economy.observing import History, judgements, observer, show, tables
from tests.town import Town, Townsperson


def before_the_fork(person: Townsperson) -> BlockHash:
    """The last block that both histories of a key have in common; of a key that has not forked, its newest."""
    mine = [block for block in blocks.everything(person.ledger.db) if block.public_key == person.key]
    places = [block.sequence_number for block in mine]
    first = min((place for place in places if places.count(place) > 1), default=max(places) + 1)
    return next(block.hash for block in mine if block.sequence_number == first - 1)


class Street:
    """A farmer who founded a commons, a mechanic and a baker; the farmer holds 60 of the baker's 100 loaves."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.farmer, self.mechanic, self.baker = (town.person(role) for role in ("farmer", "mechanic", "baker"))
        self.commons = self.bread = self.later = self.given = BlockHash(b"")

    async def begin(self) -> None:
        self.commons = (await self.farmer.ledger.append(FoundCommons("street", "", 1))).hash
        for each in (self.mechanic, self.baker):
            await self.farmer.ledger.append(AdmitMember(each.key))
        self.bread = await self.baker.mint("bread", 100)
        await self.spread()
        self.given = await self.baker.give(self.farmer, self.bread, 60)
        await self.town.carry()
        await self.farmer.agree(self.given)
        await self.town.carry()
        assert self.farmer.standing(self.given) is Standing.FINAL

    async def spread(self) -> None:
        """What everyone hears: all blocks, no parts."""
        everyone = list(self.town.people.values())
        found = [block for person in everyone for block in blocks.everything(person.ledger.db)]
        for person in everyone:
            assert await person.ledger.ingest(found) == []

    async def fork(self) -> None:
        """A restored backup of the baker's folder signs where the folder had signed; then the baker mints some more."""
        copy = Townsperson("baker", self.town.folder, self.town.clock, file="copy")
        await copy.ledger.ingest([b for b in blocks.everything(self.baker.ledger.db) if b.public_key == self.baker.key])
        twice = await copy.ledger.append(Profile("baker", "from the backup"))
        copy.ledger.close()
        await self.baker.ledger.append(Profile("baker", ""))
        self.later = await self.baker.mint("cake", 10)
        await self.baker.ledger.ingest([twice])
        await self.spread()

    async def renew(self, role: str = "baker anew") -> tuple[Townsperson, HalfBlock]:
        """A new key with the old one's ledger, as in one data folder."""
        anew = self.town.person(role)
        claim = make_claim(self.baker.identity, anew.identity, before_the_fork(self.baker), self.town.clock.now())
        history = History.of([self.baker.ledger])
        assert await anew.ledger.ingest([claim, *history.blocks], history.parts) == []
        return anew, claim

    async def vouched(self) -> Townsperson:
        """The whole way from the fork to the vouched new key, known to everyone."""
        await self.fork()
        anew, claim = await self.renew()
        await self.mechanic.do(lambda tx: succession.vouch(tx, claim))
        await self.spread()
        return anew


@pytest.fixture
async def street(town: Town) -> Street:
    made = Street(town)
    await made.begin()
    return made


async def test_a_new_key_that_a_member_vouches_for_belongs_and_owes_what_was_promised_before(street: Street) -> None:
    anew = await street.vouched()
    for person in (street.farmer, street.mechanic, anew):
        db = person.ledger.db
        assert successor_of(db, street.baker.key) == anew.key
        assert predecessor_of(db, anew.key) == street.baker.key
        assert anew.key in member_keys(db, street.commons[:20])
        assert owed_by(db, anew.key) == [street.bread]  # not the cake, which came after the fork
        assert blocks.has_forked(db, street.baker.key)
        assert not blocks.has_forked(db, anew.key)


async def test_a_second_block_at_an_earlier_place_erases_no_debt(street: Street) -> None:
    """Whoever has the old secret can make one at any time."""
    anew = await street.vouched()
    (first,) = blocks.at(street.baker.ledger.db, street.baker.key, 1)
    twice = replace(first, timestamp=first.timestamp + 1).signed_by(street.baker.identity)
    for person in (street.farmer, street.mechanic, anew):
        await person.ledger.ingest([twice])
        assert owed_by(person.ledger.db, anew.key) == [street.bread]
        assert owes(person.ledger.db, street.bread) == anew.key
        assert owes(person.ledger.db, street.later) == street.baker.key

    brought = await street.farmer.give(anew, street.bread, 20)
    await street.town.carry()
    await anew.agree(brought)
    await street.town.carry()
    assert street.farmer.standing(brought) is anew.standing(brought) is Standing.FINAL


async def test_a_head_on_another_branch_or_of_another_chain_adds_nothing(street: Street) -> None:
    await street.fork()
    chain = blocks.chain(street.baker.ledger.db, street.baker.key, 1, 99, 99)
    twice = next(block for block in chain if meaning(block) == Profile("baker", "from the backup"))
    for role, head in (("thief", twice.hash), ("stranger", street.commons), ("liar", BlockHash(b"?" * 32))):
        thief = street.town.person(role)
        claim = make_claim(street.baker.identity, thief.identity, head, 0)
        await street.mechanic.do(lambda tx, claim=claim: succession.vouch(tx, claim))  # type: ignore[misc]
        assert owed_by(street.mechanic.ledger.db, thief.key) == [street.bread]
        await street.mechanic.do(lambda tx, claim=claim: succession.vouch(tx, claim, stands=False))  # type: ignore[misc]


async def test_bread_of_the_old_key_is_brought_to_the_new_one(street: Street) -> None:
    anew = await street.vouched()
    with pytest.raises(Refused, match="two histories"):
        await street.farmer.give(street.baker, street.bread, 20)

    brought = await street.farmer.give(anew, street.bread, 20)
    await street.town.carry()
    await anew.agree(brought)
    await street.town.carry()

    assert street.farmer.standing(brought) is anew.standing(brought) is Standing.FINAL
    assert street.farmer.holds(street.bread) == 40


async def test_bread_of_the_old_key_changes_hands_by_the_word_of_the_new_one(street: Street) -> None:
    anew = await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 60)
    await street.town.carry(without=(anew,))
    await street.mechanic.agree(passed)
    await street.town.carry(without=(anew, street.baker))
    assert street.mechanic.standing(passed) is Standing.PROVISIONAL
    await street.town.carry(without=(street.baker,))
    assert street.mechanic.standing(passed) is street.farmer.standing(passed) is Standing.FINAL
    assert faults(street.mechanic.ledger.db, anew.key) == []


async def test_of_two_spends_the_new_key_accepts_the_first(street: Street) -> None:
    anew = await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 60)
    await street.town.carry()
    # The farmer brings back the same loaves, which the mechanic has been promised.
    rival = await propose(street.farmer, anew, leg(street.bread, [(street.given, 0)], 60))
    await street.mechanic.agree(passed)
    await street.town.carry()
    assert street.mechanic.standing(passed) is Standing.FINAL
    await street.farmer.show(anew, rival.hash)
    with pytest.raises(Refused, match="already spent"):
        await anew.agree(rival.hash)


async def test_a_new_key_that_accepts_two_spends_is_named_itself(street: Street) -> None:
    anew = await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 60)
    await street.town.carry()
    rival = await propose(street.farmer, street.mechanic, leg(street.bread, [(street.given, 0)], 60))
    await street.farmer.show(street.mechanic, rival.hash)
    for proposal in (passed, rival.hash):
        agreed = await street.mechanic.forge(AgreeExchange(proposal, 0), link=street.mechanic.ledger.block(proposal))
        await anew.forge(Witness(proposal, agreed.hash, 1, first=True))
    await street.spread()
    (fault,) = faults(street.mechanic.ledger.db, anew.key)
    assert set(fault.blocks) == {passed, rival.hash}
    assert all("two spends" not in each.sentence for each in faults(street.mechanic.ledger.db, street.baker.key))


async def test_what_was_promised_after_the_fork_is_not_judged_by_the_new_key(street: Street) -> None:
    anew = await street.vouched()
    given = await street.baker.give(street.mechanic, street.later, 5)
    await street.town.carry(without=(anew,))
    with pytest.raises(Refused, match="two histories"):
        await street.mechanic.agree(given)
    agreed = await street.mechanic.forge(AgreeExchange(given, 0), link=street.mechanic.ledger.block(given))
    await street.mechanic.show(anew, given, agreed.hash)
    await anew.react()
    assert _words(anew, given) == []


def _words(person: Townsperson, proposal: BlockHash) -> list[bool]:
    own = blocks.chain(person.ledger.db, person.key, 1, 1_000, 1_000)
    said = [block.said[0] for block in own if block.type == b"attest"]
    return [each.first for each in said if isinstance(each, Witness) and each.proposal == proposal]


async def test_mail_to_the_old_key_goes_to_the_new_one(street: Street) -> None:
    await street.fork()
    passed = await street.farmer.give(street.mechanic, street.bread, 60)
    await street.town.carry(without=(street.baker,))
    await street.mechanic.agree(passed)
    await street.town.carry(without=(street.baker,))
    assert street.baker.key in outbox.receivers(street.mechanic.ledger.db)

    _, claim = await street.renew()
    await street.farmer.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert await street.mechanic.do(succession.forward_mail) > 0
    assert await street.mechanic.do(succession.forward_mail) == 0
    assert street.baker.key not in outbox.receivers(street.mechanic.ledger.db)
    await street.town.carry(without=(street.baker,))
    assert street.mechanic.standing(passed) is Standing.FINAL


# Hostile -------------------------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_claim_anothers_key(street: Street) -> None:
    await street.fork()
    thief = street.town.person("thief")
    for consent in (bytes(64), thief.identity.sign(CONSENT + thief.key), street.baker.identity.sign(CONSENT)):
        block = await thief.forge(SucceedKey(street.baker.key, GENESIS_HASH, consent))
        with pytest.raises(BadClaim, match="no claim"):
            from_text(to_text(block))
        await street.mechanic.do(lambda tx, block=block: succession.vouch(tx, block))  # type: ignore[misc]
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None
    assert claims_on(street.farmer.ledger.db, street.baker.key) == []

    passed = await street.farmer.give(street.mechanic, street.bread, 60)
    await street.town.carry(without=(street.baker,))
    await street.mechanic.agree(passed)
    agreement = agreement_of(street.mechanic.ledger.db, passed)
    assert agreement is not None
    word = await thief.forge(Witness(passed, agreement[0], 1, first=True))
    await thief.show(street.mechanic, word.hash)
    assert street.mechanic.standing(passed) is Standing.PROVISIONAL


async def test_a_consent_to_one_key_is_none_to_another_and_a_claim_begins_its_chain(street: Street) -> None:
    await street.fork()
    anew, claim = await street.renew()
    thief = street.town.person("thief")
    stolen = await thief.forge(claim.said[0] if claim.said else from_text(to_text(claim))[0].said[0])  # type: ignore[arg-type]
    late = make_claim(street.baker.identity, thief.identity, GENESIS_HASH, 0)
    later = replace(late, sequence_number=2, previous_hash=stolen.hash).signed_by(thief.identity)
    for block in (stolen, later):
        await street.mechanic.do(lambda tx, block=block: succession.vouch(tx, block))  # type: ignore[misc]
    await street.mechanic.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) == anew.key
    assert [each.new for each in claims_on(street.farmer.ledger.db, street.baker.key)] == [anew.key]


async def test_nobody_follows_a_key_that_is_not_proven_to_have_forked(street: Street) -> None:
    anew, claim = await street.renew()
    await street.mechanic.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None
    assert owed_by(street.farmer.ledger.db, anew.key) == []


async def test_the_word_of_strangers_cheats_and_the_key_itself_is_no_vouch(street: Street) -> None:
    await street.fork()
    anew, claim = await street.renew()
    stranger = street.town.person("stranger")
    for each in (stranger, anew, street.baker):
        await each.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None

    await street.mechanic.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) == anew.key
    mine = street.mechanic.ledger.block(claim.hash)
    assert mine is not None
    copy = Townsperson("mechanic", street.town.folder, street.town.clock, file="mechanic's copy")
    twice = await copy.ledger.append(Profile("mechanic", "a cheat"))
    copy.ledger.close()
    await street.mechanic.ledger.ingest([twice])
    await street.spread()
    assert blocks.has_forked(street.farmer.ledger.db, street.mechanic.key)
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None


async def test_a_commons_of_the_thiefs_own_vouches_for_nothing_in_ours(street: Street) -> None:
    await street.fork()
    thief = street.town.person("thief")
    await thief.ledger.append(FoundCommons("the thief's own", "", 1))
    await thief.ledger.append(AdmitMember(street.baker.key))
    _, claim = await street.renew()
    await thief.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key, street.commons[:20]) is None


async def test_where_two_are_vouched_for_nobody_follows_until_one_vouch_is_taken_back(street: Street) -> None:
    await street.fork()
    anew, claim = await street.renew()
    _, stolen = await street.renew("thief with the old secret")
    await street.mechanic.do(lambda tx: succession.vouch(tx, claim))
    await street.farmer.do(lambda tx: succession.vouch(tx, stolen))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None
    await street.farmer.do(lambda tx: succession.vouch(tx, stolen, stands=False))
    await street.spread()
    assert successor_of(street.farmer.ledger.db, street.baker.key) == anew.key


async def test_taking_back_a_word_that_was_never_given_admits_nobody(street: Street) -> None:
    await street.fork()
    anew, claim = await street.renew()
    await street.mechanic.do(lambda tx: succession.vouch(tx, claim, stands=False))
    await street.spread()
    assert anew.key not in member_keys(street.farmer.ledger.db, street.commons[:20])
    assert successor_of(street.farmer.ledger.db, street.baker.key) is None


async def test_a_new_key_is_worn_out_too_and_its_successor_owes_it_all(street: Street) -> None:
    anew = await street.vouched()
    pies = await anew.mint("pies", 5)
    copy = Townsperson("baker anew", street.town.folder, street.town.clock, file="another copy")
    await copy.ledger.ingest([b for b in blocks.everything(anew.ledger.db) if b.public_key == anew.key])
    twice = [await copy.ledger.append(Profile("x", "")), await anew.ledger.append(Profile("y", ""))]
    copy.ledger.close()
    await anew.ledger.ingest(twice)
    third = street.town.person("baker again")
    claim = make_claim(anew.identity, third.identity, GENESIS_HASH, 0)
    history = History.of([anew.ledger])
    await third.ledger.ingest([claim, *history.blocks], history.parts)
    await street.farmer.do(lambda tx: succession.vouch(tx, claim))
    await street.spread()
    assert owed_by(street.farmer.ledger.db, third.key) == sorted([street.bread, pies])

    brought = await street.farmer.give(third, street.bread, 10)
    await street.town.carry(without=(street.baker, anew))
    await third.agree(brought)
    await street.town.carry(without=(street.baker, anew))
    assert street.farmer.standing(brought) is Standing.FINAL


async def test_a_second_first_block_of_the_new_key_erases_no_debt(street: Street) -> None:
    """Whoever has the new key's secret can begin its chain once more, with a claim on a key of its own."""
    anew = await street.vouched()
    db, thief = street.farmer.ledger.db, Identity.from_seed(b"t" * 64)
    (real,) = claims_on(db, street.baker.key)
    claims = (make_claim(thief, anew.identity, GENESIS_HASH, time) for time in range(1_000))
    await street.farmer.ledger.ingest([next(each for each in claims if each.hash < real.block)])
    assert predecessor_of(db, anew.key) == street.baker.key
    assert owed_by(db, anew.key) == [street.bread]

    third = street.town.person("baker again")
    claim = make_claim(anew.identity, third.identity, GENESIS_HASH, 0)
    await street.farmer.do(lambda tx: succession.vouch(tx, claim))
    assert owes(db, street.bread) == third.key
    assert owed_by(db, third.key) == [street.bread]


async def test_a_claim_that_is_heard_last_makes_the_words_behind_it_count(street: Street, tmp_path: Path) -> None:
    anew = await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 30)
    await street.town.carry(without=(street.baker,))
    await street.mechanic.agree(passed)
    await street.town.carry(without=(street.baker,))
    (claim,) = blocks.at(anew.ledger.db, anew.key, 1)
    history = History.of([person.ledger for person in street.town.people.values()])
    ledger = observer(tmp_path / "observer.db", street.town.clock)
    now = street.town.clock.now()
    await ledger.ingest([block for block in history.blocks if block != claim], history.parts)
    assert standing(ledger.db, passed, now) is Standing.PROVISIONAL
    await ledger.ingest([claim])
    assert standing(ledger.db, passed, now) is Standing.FINAL
    raw = list(ledger.db.iterdump())
    await ledger.rebuild()
    assert list(ledger.db.iterdump()) == raw
    ledger.close()


async def test_the_order_in_which_it_is_heard_of_changes_nothing(street: Street, tmp_path: Path) -> None:
    anew = await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 30)
    await street.town.carry(without=(street.baker,))
    await street.mechanic.agree(passed)
    await street.town.carry(without=(street.baker,))
    # The old key's words stay the earlier ones, however late they are heard.
    agreement = agreement_of(street.mechanic.ledger.db, passed)
    assert agreement is not None
    refusal = await street.baker.forge(Witness(passed, agreement[0], 1, first=False))
    history = History.of([person.ledger for person in street.town.people.values()])
    keys = [person.key for person in street.town.people.values()]
    seen = []
    for at in range(4):
        ledger = observer(tmp_path / f"observer {at}.db", street.town.clock)
        try:
            await show(ledger, history, random.Random(at))
            raw = list(ledger.db.iterdump())
            told = judgements(ledger.db, keys, street.town.clock.now()), successor_of(ledger.db, street.baker.key)
            seen.append((tables(ledger.db), told, owed_by(ledger.db, anew.key)))
            await ledger.rebuild()
            assert list(ledger.db.iterdump()) == raw
            assert standing(ledger.db, passed, street.town.clock.now()) is Standing.REFUSED
        finally:
            ledger.close()
    assert all(each == seen[0] for each in seen)
    assert street.mechanic.standing(passed) is Standing.FINAL  # the refusal has not reached the mechanic
    await street.baker.show(street.mechanic, refusal.hash)
    assert street.mechanic.standing(passed) is Standing.REFUSED


# The text that is handed on ------------------------------------------------------------------------------------------


def test_a_claim_is_handed_on_as_one_line() -> None:
    old, new = Identity.from_seed(b"1" * 64), Identity.from_seed(b"2" * 64)
    claim = make_claim(old, new, GENESIS_HASH, 7)
    text = to_text(claim)
    assert text.startswith(PREFIX)
    assert from_text(f" {text}\n") == (claim, old.public_key)


def test_a_text_that_is_no_claim_is_refused_with_a_sentence() -> None:
    old, new = Identity.from_seed(b"1" * 64), Identity.from_seed(b"2" * 64)
    text = to_text(make_claim(old, new, GENESIS_HASH, 7))
    mint = encode_mint(new)
    altered = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]
    for bad in ("", PREFIX, text[:-1], altered, text + "A", PREFIX + "*", "x" * 3_000, to_text(mint)):
        with pytest.raises(BadClaim):
            from_text(bad)
    forged = replace(make_claim(old, new, GENESIS_HASH, 7), timestamp=8, signature=bytes(64))
    with pytest.raises(BadClaim):
        from_text(to_text(forged))


def encode_mint(identity: Identity) -> HalfBlock:
    kind, transaction = encode(Mint("bread", "loaf", 1, "", 0, None))
    blank = make_claim(identity, Identity.from_seed(b"3" * 64), GENESIS_HASH, 0)
    return replace(blank, public_key=identity.public_key, type=kind, transaction=transaction).signed_by(identity)
