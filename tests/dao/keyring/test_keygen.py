"""Key generation ends with one key of all, or with none that anybody pays to."""

import asyncio

import pytest

from overlay.dao.assembly import governance
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.shares import share_holders, threshold_key
from overlay.dao.frost import chilldkg
from overlay.dao.frost.errors import FaultyParticipantError
from overlay.dao.keyring import custody
from overlay.dao.keyring.keygen import BEGIN, CERTIFY, FINISH, KeygenFailed
from overlay.dao.keyring.messages import BeginKeygen, CertifyKeygen, FinishKeygen
from overlay.keys import PublicKey
from overlay.network.messages import encode
from overlay.network.network import CallFailed, Refusal
from overlay.trustchain.statements import FoundGroup, ProposePayment, SignCharter
from tests.dao.group_town import GroupTown, Member


def keys_of(town: GroupTown) -> set[bytes | None]:
    return {threshold_key(member.ledger.db, member.group(town.id)) for member in town.all}


async def test_all_members_hold_shares_of_one_key(empty_town: GroupTown) -> None:
    await empty_town.found(3, 3)
    await empty_town.generate()
    (key,) = keys_of(empty_town)
    assert key is not None
    shares = [member.share(empty_town.id) for member in empty_town.all]
    assert len({share.output.secshare for share in shares}) == 5
    assert [share.number for share in shares] == list(range(5))


async def test_a_group_of_ten_generates_keys_and_pays(empty_town: GroupTown) -> None:
    await empty_town.found(7, 7, [f"member {number}" for number in range(10)])
    await empty_town.generate()
    await empty_town.fund(3_000_000)
    proposal = await empty_town.approved(empty_town.all[3])
    assert await empty_town.step(empty_town.all[3]) == []
    assert len(await empty_town.mempool()) == 1
    await empty_town.mine()
    assert await empty_town.step() == []
    assert proposal


@pytest.mark.parametrize("service", [BEGIN, CERTIFY, FINISH])
async def test_a_member_that_stops_at_any_step_delays_and_spoils_nothing(empty_town: GroupTown, service: str) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))

    async def stops(asker: PublicKey, peer: PublicKey, asked: str, payload: bytes) -> bytes | None:
        if peer == empty_town.mechanic.key and asked == service:
            raise CallFailed(peer, "gone")
        return None

    empty_town.lines.instead = stops
    with pytest.raises(KeygenFailed, match="will be tried again"):
        await empty_town.generate()
    await empty_town.tell()
    assert keys_of(empty_town) == {None}
    assert not empty_town.farmer.keygen.is_due(group)  # not at once
    empty_town.lines.instead = None
    empty_town.clock.time += 1000  # type: ignore[attr-defined]
    assert empty_town.farmer.keygen.is_due(group)
    await empty_town.generate()
    assert None not in keys_of(empty_town)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("who", ["farmer", "baker"])
async def test_a_restart_of_founder_or_member_between_any_two_steps_loses_nothing(
    empty_town: GroupTown, who: str, at: int
) -> None:
    await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    calls, reached = 0, asyncio.Event()

    async def restarts(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            reached.set()
            if who == "farmer":
                await asyncio.Event().wait()
            await empty_town.restart(empty_town.baker)
        return None

    empty_town.lines.instead = restarts
    running = asyncio.create_task(empty_town.generate())
    await reached.wait()
    if who == "farmer":
        running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    empty_town.lines.instead = None
    if who == "farmer":
        await empty_town.restart(empty_town.farmer)
    await empty_town.tell()
    if None in keys_of(empty_town):
        await empty_town.generate()
    (key,) = keys_of(empty_town)
    assert key is not None
    assert {member.share(empty_town.id).output.thresh_pk for member in empty_town.all} == {key}


async def test_a_founder_that_runs_two_key_generations_gets_no_treasury(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    first, second = await full_run(empty_town.farmer, empty_town), await full_run(empty_town.farmer, empty_town)
    assert first != second
    for member, recovery in ((empty_town.baker, first), (empty_town.mechanic, second)):
        await empty_town.farmer.keygen.treasury._network.call(
            member.key, FINISH, encode(FinishKeygen(group.id, recovery))
        )
    await empty_town.farmer.ledger.transact(lambda tx: custody.keep(tx, group, first))
    await empty_town.tell()
    assert len(share_holders(empty_town.baker.ledger.db, group)) == 3
    assert keys_of(empty_town) == {None}
    said = ProposePayment(group.id, "pay", "", empty_town.farmer.key, b"\x51\x20" + bytes(32), 1000, 100, 2**50)
    with pytest.raises(NotAllowed, match="no treasury yet"):
        await empty_town.baker.ledger.transact(lambda tx: governance.propose_payment(tx, said))
    line = empty_town.farmer.keygen.treasury._network
    with pytest.raises(CallFailed, match="another key of the same group"):
        await line.call(empty_town.baker.key, FINISH, encode(FinishKeygen(group.id, second)))


async def full_run(founder: Member, town: GroupTown) -> bytes:
    return await founder.keygen.treasury._run(founder.group(town.id))


async def test_a_founder_that_puts_a_key_of_its_own_in_a_members_place_is_refused(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    bound = custody.session_params(empty_town.farmer.ledger.db, group).hostpubkeys
    rogue = chilldkg.SessionParams([*bound[:2], chilldkg.hostpubkey_gen(bytes([9]) * 32)], t=2)
    with pytest.raises(CallFailed, match="the coordinator's message is wrong"):
        await attempt(empty_town, rogue)
    assert keys_of(empty_town) == {None}


async def test_a_founder_that_gives_members_each_others_places_is_refused(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    farmer, baker, mechanic = custody.session_params(empty_town.farmer.ledger.db, group).hostpubkeys
    with pytest.raises(FaultyParticipantError, match="proof of possession"):
        await attempt(empty_town, chilldkg.SessionParams([baker, farmer, mechanic], t=2))


async def attempt(town: GroupTown, params: chilldkg.SessionParams) -> None:
    """A session of other parameters, in which the founder and a friend of its play all parts but the baker's."""
    group, session = town.farmer.group(town.id), bytes(16)
    line = town.farmer.keygen.treasury._network
    theirs = await line.call(town.baker.key, BEGIN, encode(BeginKeygen(group.id, session)))
    played = []
    for member in (town.farmer, town.mechanic):
        secret = custody.host_secret(member.identity, group.id)
        if chilldkg.hostpubkey_gen(secret) not in params.hostpubkeys:
            secret = bytes([9]) * 32
        played.append(chilldkg.participant_step1(secret, params, bytes([1]) * 32)[1])
    place = params.hostpubkeys.index(custody.host_key(town.baker.identity, group.id))
    played.insert(place, theirs)
    _, message = chilldkg.coordinator_step1(played, params)
    await line.call(town.baker.key, CERTIFY, encode(CertifyKeygen(group.id, session, message)))


async def test_who_holds_a_share_begins_no_other_key_generation(three: GroupTown) -> None:
    with pytest.raises(Refusal, match="holds its share already"):
        await three.baker.keygen.treasury._begin(three.farmer.key, encode(BeginKeygen(three.id, bytes(16))))


async def test_nobody_but_the_founder_coordinates_and_nobody_joins_unsigned(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))
    ask = encode(BeginKeygen(group.id, bytes(16)))
    with pytest.raises(Refusal, match="only the founder"):
        await empty_town.farmer.keygen.treasury._begin(empty_town.baker.key, ask)
    stranger = PublicKey(b"LibNaCLPK:" + bytes(64))
    with pytest.raises(Refusal, match="not a group of both"):
        await empty_town.baker.keygen.treasury._begin(stranger, ask)
    keys = (empty_town.farmer.key, empty_town.baker.key)
    other = await empty_town.farmer.say(FoundGroup("shop", "", keys, 2, 2))
    await empty_town.tell()
    with pytest.raises(Refusal, match="not signed the charter"):
        await empty_town.baker.keygen.treasury._begin(empty_town.farmer.key, encode(BeginKeygen(other.hash, bytes(16))))


@pytest.mark.parametrize("bound", ["another member's", "no point"])
async def test_a_host_key_that_makes_no_key_is_told_and_stops_nothing_else(empty_town: GroupTown, bound: str) -> None:
    for role in ("farmer", "baker"):
        empty_town.add(role)
    farmer, baker = empty_town.all
    empty_town.id = (await farmer.say(FoundGroup("bridge", "", (farmer.key, baker.key), 2, 2))).hash
    await empty_town.tell()
    copied = custody.host_key(farmer.identity, empty_town.id)
    await farmer.say(SignCharter(empty_town.id, copied))
    await baker.say(SignCharter(empty_town.id, copied if bound == "another member's" else b"\xff" * 33))
    await empty_town.tell()
    with pytest.raises(KeygenFailed, match="host keys that the members of bridge bound make no key"):
        await empty_town.generate()


async def test_a_closed_pen_makes_key_generation_wait(empty_town: GroupTown) -> None:
    group = await empty_town.found(2, 2, ("farmer", "baker"))
    empty_town.farmer.ledger.signing_refusal = "not yet"
    assert not empty_town.farmer.keygen.is_due(group)
    with pytest.raises(KeygenFailed, match="not yet"):
        await empty_town.generate()
    empty_town.farmer.ledger.signing_refusal = None
    empty_town.clock.time += 1000  # type: ignore[attr-defined]
    assert empty_town.farmer.keygen.is_due(group)


async def test_a_wrong_message_is_blamed_on_its_sender(empty_town: GroupTown) -> None:
    await empty_town.found(2, 2, ("farmer", "baker", "mechanic"))

    async def garbles(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        return bytes(400) if peer == empty_town.baker.key and service == BEGIN else None

    empty_town.lines.instead = garbles
    with pytest.raises(KeygenFailed, match=empty_town.baker.key[42:47].hex()):
        await empty_town.generate()
