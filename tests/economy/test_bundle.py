"""A holding proves itself to somebody who knows nothing, and nothing that was changed proves more."""

import asyncio
import hashlib
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.economy import bundle
from overlay.economy.bundle import HASH_BYTES, MAGIC, MAX_BUNDLE_BYTES, MAX_QR_CHARACTERS, BadBundle
from overlay.economy.errors import Refused
from overlay.economy.proof import Proof, check
from overlay.economy.standing import Standing
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock
from overlay.trustchain.statements import (
    AdmitMember,
    FoundCommons,
    Leg,
    Note,
    Profile,
    Witness,
    decode_part,
    encode,
    encode_part,
)
from tests.economy.forging import replace_leg, swap
from tests.economy.test_succession import Street
from tests.town import START, Town, Townsperson


async def bread_that_was_passed_on(town: Town, *, confirmed: bool = True) -> tuple[Townsperson, Townsperson, BlockHash]:
    """The baker gives to the farmer, the farmer to the mechanic; all belong to one commons."""
    baker, farmer, mechanic = (town.person(role) for role in ("baker", "farmer", "mechanic"))
    charter = await baker.ledger.append(FoundCommons("bridge", "", 1))
    admissions = [await baker.forge(AdmitMember(farmer.key), to=farmer.key)]
    for person in (farmer, mechanic):
        await baker.show(person, charter.hash, admissions[0].hash)
    admissions.append(await farmer.forge(AdmitMember(mechanic.key), to=mechanic.key))
    profiles = [await person.ledger.append(Profile(person.role, "")) for person in (baker, mechanic)]
    await farmer.show(mechanic, admissions[1].hash)
    bread = await baker.mint("bread", 100)
    await baker.show(mechanic, profiles[0].hash)
    given_ = await baker.give(farmer, bread, 60)
    await town.carry()
    await farmer.agree(given_)
    await town.carry()
    passed = await farmer.give(mechanic, bread, 40)
    away = () if confirmed else (baker,)
    await town.carry(without=away)
    await mechanic.agree(passed)
    await town.carry(without=away)
    assert mechanic.holds(bread) == 40
    return baker, mechanic, bread


def made(holder: Townsperson, voucher: BlockHash) -> bytes:
    return bundle.make(holder.ledger.db, holder.key, voucher, START)


def content(raw: bytes) -> list[Any]:
    found: list[Any] = msgspec.msgpack.decode(zlib.decompress(raw[len(MAGIC) + HASH_BYTES :]))
    return found


def packed(fields: list[Any]) -> bytes:
    deflated = zlib.compress(msgspec.msgpack.encode(fields))
    return MAGIC + hashlib.sha256(deflated).digest() + deflated


async def test_what_was_passed_on_proves_itself_to_a_stranger(town: Town) -> None:
    baker, mechanic, bread = await bread_that_was_passed_on(town)
    proof = check(made(mechanic, bread), START)
    assert (proof.final, proof.provisional, proof.unit, proof.promise) == (40, 0, "piece", "bread")
    assert (proof.issuer, proof.holder, proof.exchanges) == (baker.key, mechanic.key, 2)
    assert (proof.issuer_name, proof.holder_name) == ("baker", "mechanic")
    assert proof.commons is not None
    assert proof.commons.name == "bridge"
    assert "cannot prove that nothing of it was spent since" in proof.sentence


async def test_what_the_issuer_has_not_seen_is_only_provisional(town: Town) -> None:
    _, mechanic, bread = await bread_that_was_passed_on(town, confirmed=False)
    proof = check(made(mechanic, bread), START)
    assert (proof.final, proof.provisional) == (0, 40)
    assert "has not confirmed yet" in proof.sentence


async def test_an_issuers_own_mint_proves_itself(town: Town) -> None:
    baker = town.person("baker")
    bread = await baker.mint("bread", 100)
    proof = check(made(baker, bread), START)
    assert (proof.final, proof.exchanges, proof.commons) == (100, 0, None)


async def test_the_word_of_an_issuers_new_key_is_in_a_bundle_with_the_consent_of_the_old_one(town: Town) -> None:
    street = Street(town)
    await street.begin()
    await street.vouched()
    passed = await street.farmer.give(street.mechanic, street.bread, 30)
    await town.carry()
    await street.mechanic.agree(passed)
    await town.carry()
    assert street.mechanic.standing(passed) is Standing.FINAL
    proof = check(made(street.mechanic, street.bread), START)
    assert (proof.final, proof.provisional) == (30, 0)


async def test_a_promise_that_has_expired_says_so(town: Town) -> None:
    baker = town.person("baker")
    bread = await baker.mint("bread", 100, expires=START + 5)
    raw = made(baker, bread)
    assert not check(raw, START).expired
    assert "has expired" in check(raw, START + 5).sentence


async def test_nothing_private_but_the_one_leg_is_in_a_bundle(town: Town) -> None:
    farmer, baker = town.person("farmer"), town.person("baker")
    produce, bread = await farmer.mint("produce", 100), await baker.mint("bread", 100)
    await farmer.show(baker, produce)
    await baker.show(farmer, bread)
    await swap(town, farmer, (produce, 60), baker, (bread, 80))
    fields = content(made(farmer, bread))
    assert len(fields[5]) == 1
    assert produce not in b"".join(part[4] for part in fields[5])


async def test_a_small_bundle_travels_as_the_text_of_a_qr_code(town: Town) -> None:
    baker = town.person("baker")
    raw = made(baker, await baker.mint("bread", 100))
    text = bundle.text_of(raw)
    assert text is not None
    assert len(text) <= MAX_QR_CHARACTERS
    assert check(text.encode() + b"\n", START) == check(raw, START)
    assert bundle.text_of(raw + bytes(MAX_QR_CHARACTERS)) is None
    for wrong in (text[:-1], text + "A", text.replace(":", ":1"), text[:40] + text[41:]):
        with pytest.raises(BadBundle):
            check(wrong.encode(), START)


async def test_nothing_is_made_of_nothing_held(town: Town) -> None:
    baker, farmer = town.person("baker"), town.person("farmer")
    bread = await baker.mint("bread", 100)
    await baker.show(farmer, bread)
    with pytest.raises(Refused, match="hold nothing"):
        made(farmer, bread)


async def test_what_is_larger_than_a_bundle_may_be_is_not_even_looked_at() -> None:
    with pytest.raises(BadBundle, match="no bundle"):
        check(bytes(MAX_BUNDLE_BYTES), START)
    with pytest.raises(BadBundle, match="at most"):
        check(bytes(MAX_BUNDLE_BYTES + 1), START)


async def test_a_bundle_that_inflates_beyond_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch, town: Town) -> None:
    baker = town.person("baker")
    raw = made(baker, await baker.mint("bread", 100))
    size = len(zlib.decompress(raw[len(MAGIC) + HASH_BYTES :]))
    monkeypatch.setattr(bundle, "MAX_INFLATED_BYTES", size)
    check(raw, START)
    monkeypatch.setattr(bundle, "MAX_INFLATED_BYTES", size - 1)
    with pytest.raises(BadBundle, match="too long"):
        check(raw, START)


async def test_a_bundle_that_shows_its_own_spending_is_refused(town: Town) -> None:
    baker, mechanic, bread = await bread_that_was_passed_on(town)
    fields = content(made(mechanic, bread))
    back = await mechanic.give(baker, bread, 40)
    await town.carry()
    await baker.agree(back)
    await town.carry()
    proposal = baker.ledger.block(back)
    assert proposal is not None
    db = baker.ledger.db
    answers = blocks.linked_to(db, proposal)
    fields[4] = sorted([*fields[4], proposal.pack(), *(each.pack() for each in answers)], key=_hash)
    fields[5] = sorted([*fields[5], *_parts(db, back)], key=lambda part: (part[0], part[1]))
    with pytest.raises(BadBundle, match="spent"):
        check(packed(fields), START)


def _parts(db: Any, block: bytes) -> list[Any]:
    found = blocks.parts(db, block)
    return [[part.block, part.index, part.count, part.salt, part.content, list(part.path)] for part in found]


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


async def test_a_bundle_that_shows_that_its_holder_has_given_it_on_is_refused(town: Town) -> None:
    """Not confirmed by the issuer yet, but signed by both sides."""
    baker, mechanic, bread = await bread_that_was_passed_on(town)
    fields, welder = content(made(mechanic, bread)), town.person("welder")
    passed = await mechanic.give(welder, bread, 40)
    await town.carry(without=(baker,))
    await welder.agree(passed)
    await town.carry(without=(baker,))
    proposal = mechanic.ledger.block(passed)
    assert proposal is not None
    db = mechanic.ledger.db
    answers = blocks.linked_to(db, proposal)
    fields[4] = sorted([*fields[4], proposal.pack(), *(each.pack() for each in answers)], key=_hash)
    fields[5] = sorted([*fields[5], *_parts(db, passed)], key=lambda part: (part[0], part[1]))
    with pytest.raises(BadBundle, match="spent"):
        check(packed(fields), START)


async def test_a_holder_cannot_write_itself_a_larger_leg(town: Town) -> None:
    """All 60 loaves in place of 40 and the giver's change: the sums match, only the commitment does not."""
    _, mechanic, bread = await bread_that_was_passed_on(town)
    fields = content(made(mechanic, bread))
    for part in fields[5]:
        leg = decode_part(part[4])
        assert isinstance(leg, Leg)
        if leg.quantity == 40:
            part[4] = encode_part(replace_leg(leg, quantity=60, change=0))
    with pytest.raises(BadBundle, match="does not belong to the statement"):
        check(packed(fields), START)


async def test_a_holder_cannot_write_itself_the_issuers_word(town: Town) -> None:
    baker, mechanic, bread = await bread_that_was_passed_on(town, confirmed=False)
    raw = made(mechanic, bread)
    fields = content(raw)
    (proposal,) = (h for h in map(_hash, fields[4]) if h == fields[3][0][0])
    block = mechanic.ledger.block(proposal)
    assert block is not None
    (agreement,) = blocks.linked_to(mechanic.ledger.db, block)
    kind, said = encode(Witness(proposal, agreement.hash, 1, True))
    forged = HalfBlock(baker.key, 99, ANYONE, 0, BlockHash(bytes(32)), kind, said, START, bytes(64))
    fields[4] = sorted([*fields[4], forged.pack()], key=_hash)
    with pytest.raises(BadBundle, match="forgery"):
        check(packed(fields), START)
    fields[4] = sorted([*content(raw)[4], replace(forged).signed_by(baker.identity).pack()], key=_hash)
    assert check(packed(fields), START).final == 40  # had the baker signed it


async def test_an_issuer_that_is_shown_to_have_signed_two_histories_proves_nothing(town: Town) -> None:
    _, mechanic, bread = await bread_that_was_passed_on(town)
    fields = content(made(mechanic, bread))
    twin = Townsperson("baker", town.folder, town.clock, file="twin")
    try:
        other = await twin.ledger.append(Profile("twin", ""))
    finally:
        twin.ledger.close()
    fields[4] = sorted([*fields[4], other.pack()], key=_hash)
    with pytest.raises(BadBundle, match="two histories"):
        check(packed(fields), START)


async def test_each_kind_of_lie_is_refused(town: Town) -> None:
    baker, mechanic, bread = await bread_that_was_passed_on(town)
    raw = made(mechanic, bread)
    lies: dict[str, Callable[[list[Any]], None]] = {
        "another holder": lambda each: each.__setitem__(1, baker.key),
        "another voucher": lambda each: each.__setitem__(2, bytes(32)),
        "another output": lambda each: each[3][0].__setitem__(1, 1),
        "one output twice": lambda each: each[3].append(each[3][0]),
        "without the mint": lambda each: each[4].remove(_block(baker, bread)),
        "without a part": lambda each: each[5].pop(),
        "another amount": lambda each: each[5][0].__setitem__(4, encode_part(Note("1000 pieces"))),
        "blocks in another order": lambda each: each[4].reverse(),
        "a block twice": lambda each: each[4].append(each[4][-1]),
        "no block": lambda each: each[4].clear(),
        "a field more": lambda each: each.append(0),
        "a field less": lambda each: each.pop(),
    }
    assert check(packed(content(raw)), START) == check(raw, START)
    for lie in lies.values():
        fields = content(raw)
        lie(fields)
        with pytest.raises(BadBundle):
            check(packed(fields), START)


def _block(who: Townsperson, found: bytes) -> bytes:
    block = who.ledger.block(found)
    assert block is not None
    return block.pack()


# Mutations -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest() -> bytes:
    """A bundle of bread that was passed on."""

    async def make(folder: Path) -> bytes:
        town = Town(folder, "NORMAL")
        try:
            _, mechanic, bread = await bread_that_was_passed_on(town)
            return made(mechanic, bread)
        finally:
            town.close()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(make(Path(folder)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_is_never_accepted(honest: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(honest) - 1))
    changed = bytes([honest[at] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(BadBundle):
        check(honest[:at] + changed + honest[at + 1 :], START)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600))
def test_anything_else_is_refused_in_one_way(raw: bytes) -> None:
    for each in (raw, MAGIC + raw, packed([raw]), b"COUNTERFOIL:" + raw):
        with pytest.raises(BadBundle):
            check(each, START)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_content_never_proves_more(honest: bytes, data: st.DataObject) -> None:
    """Whoever makes a bundle can leave out what shows a name or a confirmation; it can neither add nor change."""
    fields = content(honest)
    for _ in range(data.draw(st.integers(1, 3))):
        _mutate(fields, data)
    try:
        proof = check(packed(fields), START)
    except BadBundle:
        return
    _is_no_more_than(proof, check(honest, START))


def _is_no_more_than(proof: Proof, truth: Proof) -> None:
    same = ("voucher", "promise", "unit", "issuer", "holder", "expires")
    assert [getattr(proof, name) for name in same] == [getattr(truth, name) for name in same]
    assert proof.final <= truth.final
    assert proof.final + proof.provisional <= truth.final + truth.provisional
    assert proof.commons in (truth.commons, None)
    assert proof.issuer_name in (truth.issuer_name, "")


def _mutate(fields: list[Any], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, 5))
    match data.draw(st.sampled_from(["drop", "swap bytes", "double"])):
        case "drop" if isinstance(fields[place], list) and fields[place]:
            fields[place].pop(data.draw(st.integers(0, len(fields[place]) - 1)))
        case "double" if isinstance(fields[place], list) and fields[place]:
            fields[place].append(data.draw(st.sampled_from(fields[place])))
        case _:
            _change(fields, place, data)


def _change(into: list[Any], at: int, data: st.DataObject) -> None:
    """Change one value somewhere inside."""
    match into[at]:
        case list() as inner if inner:
            _change(inner, data.draw(st.integers(0, len(inner) - 1)), data)
        case bytes() as raw if raw:
            byte = data.draw(st.integers(0, len(raw) - 1))
            into[at] = raw[:byte] + bytes([raw[byte] ^ data.draw(st.integers(1, 255))]) + raw[byte + 1 :]
        case int():
            into[at] = data.draw(st.integers(0, 255))
