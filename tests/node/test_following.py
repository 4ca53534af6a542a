"""Members follow others, replace a worn-out key, take what is not final up to a limit, and keep their terms private."""

import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from overlay.clock import SystemClock, SystemRandomness
from overlay.economy.errors import Refused
from overlay.economy.losses import TWICE
from overlay.economy.members import member_keys
from overlay.files import write_file
from overlay.keys import Identity, PublicKey
from overlay.node import vault, wire
from overlay.node.actions import BadRequest, claims, commons, exchanges, following, people, vouchers
from overlay.node.config import CONFIG_FILE, load
from overlay.node.folder import KEY_FILE
from overlay.node.node import Node
from overlay.node.renewal import renew
from overlay.node.vault import Work
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock, unpack
from overlay.trustchain.commitment import Body
from overlay.trustchain.ledger import SigningRefused, Transaction
from overlay.trustchain.outbox import ALL_PARTS
from overlay.trustchain.statements import Leg, Profile, ProposeExchange, encode_part
from tests.economy.forging import leg
from tests.node.conftest import LOOPBACK
from tests.node.test_town import Village, exchange, found, knows, until, until_exchange


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    village = Village(tmp_path)
    yield village
    for name in list(village.nodes):
        await village.leave(name)


async def three(village: Village) -> tuple[Node, Node, Node]:
    farmer = await found(village)
    baker, mechanic = await village.join("baker", farmer), await village.join("mechanic", farmer)
    for node in (farmer, baker, mechanic):
        await until(node, lambda node=node: all(knows(node, name) for name in ("farmer", "baker", "mechanic")))
    return farmer, baker, mechanic


async def test_following_is_a_setting_of_ones_own_node(village: Village) -> None:
    farmer, baker, _ = await three(village)
    assert (await following.following(farmer, wire.Nothing())).members == ()
    told = await following.follow(farmer, wire.FollowMember("baker"))
    assert [each.name for each in told.members] == ["baker"]
    await following.follow(farmer, wire.FollowMember("baker"))
    assert (await following.following(farmer, wire.Nothing())) == told
    assert (await following.following(baker, wire.Nothing())).members == ()

    await village.leave("farmer")
    farmer = await village.open("farmer")
    assert (await following.following(farmer, wire.Nothing())) == told
    assert (await following.unfollow(farmer, wire.FollowMember("baker"))).members == ()


async def given_and_taken(giver: Node, taker: Node, name: str, voucher: str, quantity: int) -> str:
    given = await exchanges.give(giver, wire.Give(name, voucher, quantity, note="a private word"))
    await until_exchange(taker, given.id, lambda each: each.to_answer)
    await exchanges.accept(taker, wire.AcceptExchange(given.id))
    await until_exchange(taker, given.id, lambda each: each.standing == "final")
    return given.id


async def test_what_is_between_two_never_reaches_a_third_who_has_all_blocks(village: Village) -> None:
    farmer, baker, mechanic = await three(village)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    given = await given_and_taken(baker, farmer, "farmer", bread.id, 4)

    agreement = await exchange(farmer, given)
    assert agreement is not None
    for block in (given, agreement.agreement):
        await until(mechanic, lambda block=block: mechanic.ledger.block(bytes.fromhex(block)))
    assert [each.index for each in blocks.parts(farmer.db, bytes.fromhex(given))] == [0, 1]
    (parts,) = mechanic.db.execute("SELECT count(*) FROM part").fetchone()
    assert parts == 0
    assert await exchange(mechanic, given) is None
    raw = (mechanic.folder.ledger.read_bytes(), Path(f"{mechanic.folder.ledger}-wal").read_bytes())
    assert all(b"a private word" not in each for each in raw)


async def test_a_holder_shows_the_next_one_the_leg_and_never_the_words_beside_it(village: Village) -> None:
    farmer, baker, mechanic = await three(village)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    given = await given_and_taken(baker, farmer, "farmer", bread.id, 4)
    await given_and_taken(farmer, mechanic, "mechanic", bread.id, 4)
    shown = blocks.parts(mechanic.db, bytes.fromhex(given))
    assert [each.index for each in shown] == [0]  # the leg, not the note


async def wear_out(baker: Node, witness: Node) -> None:
    """A restored backup signs at a place where the baker had signed."""
    last = await baker.ledger.append(Profile("baker", "moved to the mill"))
    twice = replace(last, timestamp=last.timestamp + 1).signed_by(baker.identity)
    await witness.ledger.ingest([last, twice])
    await until(baker, lambda: blocks.has_forked(baker.db, baker.identity.public_key))


async def test_a_member_with_a_worn_out_key_goes_on_with_a_new_one(village: Village) -> None:
    farmer, baker, mechanic = await three(village)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    await given_and_taken(baker, farmer, "farmer", bread.id, 6)
    with pytest.raises(Refused, match="needs no successor"):
        await following.renew(baker, wire.Nothing())
    await wear_out(baker, farmer)
    await until(mechanic, lambda: blocks.has_forked(mechanic.db, baker.identity.public_key))

    made = await following.renew(baker, wire.Nothing())
    assert await following.renew(baker, wire.Nothing()) == made  # once begun, it is gone on with
    await until(baker, lambda: baker.ledger.signing_refusal is not None and "new key" in baker.ledger.signing_refusal)
    with pytest.raises(SigningRefused):
        await baker.ledger.append(Profile("baker", "once more"))
    await village.leave("baker")
    await following.vouch(mechanic, wire.VouchForKey(made.claim))
    with pytest.raises(BadRequest, match="claim"):
        await following.vouch(farmer, wire.VouchForKey(made.claim[:-3]))

    anew = await village.open("baker-renewed")
    new = anew.identity.public_key
    assert new.hex() == made.public_key
    await until(farmer, lambda: new in member_keys(farmer.db, farmer.home.commons.id))
    await until(anew, lambda: new in anew.home.members() and anew.ledger.signing_refusal is None)
    await anew.ledger.append(Profile("baker", "with a new key"))
    await until(farmer, lambda: farmer.db.execute("SELECT 1 FROM member_profile WHERE key = ?", (new,)).fetchone())

    (claim,) = (await following.claims(farmer, wire.Nothing())).claims
    assert (claim.public_key, claim.sponsors, claim.is_successor, claim.owes) == (
        made.public_key,
        ("mechanic",),
        True,
        (bread.id,),
    )
    shown = {each.public_key: each for each in (await people.people(farmer, wire.Nothing())).people}
    assert (shown[made.public_key].succeeds, shown[made.public_key].owes) == (claim.old, 1)
    assert shown[claim.old].succeeded_by == made.public_key
    (promise,) = (await vouchers.vouchers(farmer, wire.Nothing())).vouchers
    assert (promise.issuer, promise.owed_by) == (claim.old, made.public_key)

    brought = await given_and_taken(farmer, anew, "baker", bread.id, 2)
    await until_exchange(farmer, brought, lambda each: each.standing == "final")
    await village.leave("baker-renewed")
    old = await village.open("baker")
    await until(old, lambda: old.ledger.signing_refusal is not None and "new key" in old.ledger.signing_refusal)


async def test_what_protected_the_old_key_and_its_settings_protects_the_new_ones(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cheap = village.folder / "baker", Work(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN, b"s" * 16)
    monkeypatch.setattr(Work, "moderate", lambda _: cheap)
    folder.mkdir()
    secret = Identity.from_seed(b"b" * 64)
    write_file(folder / KEY_FILE, vault.protect(secret, "correct horse", cheap, SystemRandomness()))
    write_file(folder / CONFIG_FILE, b"")
    config = load(folder, LOOPBACK)
    baker = await Node.open(folder, config, SystemClock(), SystemRandomness(), passphrase=lambda: "correct horse")
    first = await baker.ledger.append(Profile("baker", ""))
    await baker.ledger.ingest([replace(first, timestamp=0).signed_by(baker.identity)])
    made = (await renew(baker)).folder
    await baker.close()

    assert stat.S_IMODE((made / CONFIG_FILE).stat().st_mode) == stat.S_IMODE((made / KEY_FILE).stat().st_mode) == 0o600
    raw = (made / KEY_FILE).read_bytes()
    assert vault.is_protected(raw)
    assert vault.open_identity(raw, lambda: "correct horse").public_key != secret.public_key


async def test_nobody_vouches_for_a_key_that_follows_no_proven_one(village: Village) -> None:
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await wear_out(baker, farmer)
    made = await following.renew(baker, wire.Nothing())
    with pytest.raises(Refused, match="nobody vouches for a key of their own"):
        await following.vouch(baker, wire.VouchForKey(made.claim))
    stranger = await village.open("stranger")
    await commons.found(stranger, wire.FoundCommons("elsewhere", "", "stranger"))
    with pytest.raises(Refused, match="no member proven"):
        await following.vouch(stranger, wire.VouchForKey(made.claim))


async def test_what_is_not_final_is_accepted_up_to_the_limit_that_reputation_gives(village: Village) -> None:
    farmer, baker, mechanic = await three(village)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    await given_and_taken(baker, farmer, "farmer", bread.id, 6)
    await village.leave("baker")
    first = await exchanges.give(farmer, wire.Give("mechanic", bread.id, 6))
    await until_exchange(mechanic, first.id, lambda each: each.to_answer)
    await exchanges.accept(mechanic, wire.AcceptExchange(first.id))
    back = await exchanges.give(mechanic, wire.Give("farmer", bread.id, 5))
    await until_exchange(farmer, back.id, lambda each: each.to_answer)

    with pytest.raises(Refused, match="not final yet"):
        await exchanges.accept(farmer, wire.AcceptExchange(back.id))
    with pytest.raises(Refused, match="your limit for this member is 0"):
        await exchanges.accept(farmer, wire.AcceptExchange(back.id, provisional=True))
    await exchanges.accept(farmer, wire.AcceptExchange(back.id, provisional=True, beyond_limit=True))
    await until_exchange(farmer, back.id, lambda each: each.standing == "provisional")
    assert (await claims.claims(farmer, wire.Nothing())).claims == ()


async def test_who_loses_what_was_given_twice_sees_why_and_has_the_proof(village: Village) -> None:
    farmer, baker, mechanic = await three(village)
    bread = await vouchers.mint(baker, wire.MintVoucher("bread", "loaf", 10))
    given = await given_and_taken(baker, farmer, "farmer", bread.id, 6)
    first = await exchanges.give(farmer, wire.Give("mechanic", bread.id, 6))
    await until_exchange(mechanic, first.id, lambda each: each.to_answer)
    # The farmer's own node would refuse this: the same six loaves go back to the baker.
    spend = leg(bytes.fromhex(bread.id), [(bytes.fromhex(given), 0)], 6)
    second = await farmer.ledger.transact(lambda tx: _give_again(tx, farmer, baker.identity.public_key, spend))
    await until_exchange(baker, second.hash.hex(), lambda each: each.to_answer)
    await exchanges.accept(baker, wire.AcceptExchange(second.hash.hex()))
    await exchanges.accept(mechanic, wire.AcceptExchange(first.id))

    # The baker's word comes first, then what proves the spend that stands.
    seen = await until_exchange(mechanic, first.id, lambda each: each.standing == "refused" and each.reason == TWICE)
    assert seen.waiting_for == ""
    (claim,) = (await claims.claims(mechanic, wire.Nothing())).claims
    assert (claim.exchange, claim.giver_name, claim.what) == (first.id, "farmer", ("6 loaf bread",))
    proof = [unpack(bytes.fromhex(raw)) for raw in claim.proof]
    assert {first.id, second.hash.hex()} <= {block.hash.hex() for block in proof}
    assert all(block.has_valid_signature() for block in proof)
    assert (await claims.claims(farmer, wire.Nothing())).claims == ()


def _give_again(tx: Transaction, giver: Node, to: PublicKey, spend: Leg) -> HalfBlock:
    body = Body([encode_part(spend)], giver.random)
    block = tx.append(ProposeExchange(tx.now + 60_000, body.root, 0, None), to=to, body=body)
    tx.post(to, block.hash, ALL_PARTS)
    return block


async def test_a_statement_of_ones_own_that_comes_as_gossip_closes_the_pen(village: Village) -> None:
    farmer = await found(village)
    last = await farmer.ledger.append(Profile("farmer", ""))
    foreign = replace(last, sequence_number=last.sequence_number + 1, previous_hash=last.hash)
    assert farmer.ledger.signing_refusal is None
    farmer.home.take_gossip(foreign.signed_by(farmer.identity))
    await until(farmer, lambda: farmer.ledger.signing_refusal is not None)
    with pytest.raises(SigningRefused, match="old copy"):
        await farmer.ledger.append(Profile("farmer", "once more"))
