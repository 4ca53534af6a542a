"""Newcomers: let in once, by any member, whatever breaks off in the middle; and never into another commons."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from overlay.keys import PublicKey
from overlay.network.invitation import BadInvitation, Invitation, parse
from overlay.network.joining import SERVICE, join
from overlay.network.messages import AskToJoin, Welcome, decode, encode
from overlay.network.network import CallFailed
from overlay.trustchain import blocks
from overlay.trustchain.statements import AdmitMember, FoundCommons, Profile
from tests.network.village import Host


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[list[Host]]:
    """The farmer has founded a commons; the others know nothing of it."""
    made = [Host(role, tmp_path) for role in ("farmer", "baker", "mechanic", "potter")]
    await made[0].found()
    yield made
    for host in made:
        await host.close()


async def invitation_of(host: Host) -> Invitation:
    return parse((await host.joining.invite([host.network.address])).to_text())


async def test_members_join_by_invitation_and_learn_each_others_chains(hosts: list[Host]) -> None:
    farmer, baker, mechanic, _ = hosts
    await baker.join(await invitation_of(farmer))
    await mechanic.join(await invitation_of(baker))
    profile = await mechanic.ledger.append(Profile("mechanic", "repairs"))
    for host in (farmer, baker, mechanic):
        await host.until(lambda host=host: len(host.members()) == 3)  # type: ignore[misc]
        await host.until(lambda host=host: host.knows(profile))  # type: ignore[misc]


async def test_a_newcomer_knows_who_belongs_as_soon_as_it_has_joined(hosts: list[Host]) -> None:
    """Also where the inviter is not the founder, and the founder is away."""
    farmer, baker, mechanic, potter = hosts
    await baker.join(await invitation_of(farmer))
    await mechanic.join(await invitation_of(baker))
    await farmer.network.close()
    await potter.join(await invitation_of(mechanic))
    assert potter.members() == {host.key for host in hosts}


async def test_a_newcomer_at_the_end_of_a_long_line_of_invitations_gets_in(tmp_path: Path) -> None:
    founder, *line = [Host(f"member {number}", tmp_path) for number in range(14)]
    await founder.found()
    inviter = founder
    for newcomer in line:
        await newcomer.join(await invitation_of(inviter))
        inviter = newcomer
    assert len(line[-1].members()) == 14
    for host in (founder, *line):
        await host.close()


async def test_an_invitation_serves_one_guest_only_and_the_same_guest_again(hosts: list[Host]) -> None:
    farmer, baker, mechanic, _ = hosts
    invitation = await invitation_of(farmer)
    await baker.join(invitation)
    before = blocks.head(farmer.ledger.db, farmer.key)
    await join(invitation, baker.ledger, baker.network, baker.sync)
    assert blocks.head(farmer.ledger.db, farmer.key) == before
    with pytest.raises(CallFailed, match="used by somebody else"):
        await mechanic.join(invitation)


async def test_of_two_guests_who_show_one_code_at_once_one_is_let_in(hosts: list[Host]) -> None:
    farmer, baker, mechanic, potter = hosts
    invitation = await invitation_of(farmer)
    guests = (baker, mechanic, potter)
    outcomes = await asyncio.gather(*(guest.join(invitation) for guest in guests), return_exceptions=True)
    assert [type(each) for each in outcomes].count(CallFailed) == 2
    assert len(farmer.members()) == 2


async def test_one_guest_that_asks_many_times_at_once_is_admitted_once(hosts: list[Host]) -> None:
    farmer, baker, *_ = hosts
    invitation = await invitation_of(farmer)
    await baker.enter(invitation.commons)
    baker.meet(farmer)
    ask = encode(AskToJoin(invitation.code))
    answers = await asyncio.gather(*(baker.network.call(farmer.key, SERVICE, ask) for _ in range(10)))
    assert len(set(answers)) == 1
    assert blocks.head(farmer.ledger.db, farmer.key) == (2, blocks.at(farmer.ledger.db, farmer.key, 2)[0].hash)


async def test_a_join_that_broke_off_after_the_admission_is_taken_up_again(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, *_ = hosts
    invitation = await invitation_of(farmer)
    welcome, left = farmer.joining._welcome, []

    async def lose_the_answer(guest: PublicKey, payload: bytes) -> bytes:
        answer = await welcome(guest, payload)
        if not left:
            left.append(1)
            await asyncio.Event().wait()
        return answer

    farmer.network.serve(SERVICE, lose_the_answer, strangers=True)
    await baker.enter(invitation.commons)
    baker.meet(farmer)
    with pytest.raises(CallFailed):
        await baker.network.call(farmer.key, SERVICE, encode(AskToJoin(invitation.code)), timeout=0.5)
    assert baker.key in farmer.members()
    charter = await join(invitation, baker.ledger, baker.network, baker.sync)
    assert charter[:20] == invitation.commons
    assert farmer.length(farmer) == 2


async def test_an_inviter_that_goes_away_before_showing_who_belongs_leaves_a_clear_sentence(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic, _ = hosts
    await baker.join(await invitation_of(farmer))
    invitation = await invitation_of(baker)
    baker.network._answering._offers.pop("heads")
    with pytest.raises(CallFailed, match="join again with the same invitation"):
        await mechanic.join(invitation)
    baker.network.serve("heads", baker.sync._tell_heads)
    await join(invitation, mechanic.ledger, mechanic.network, mechanic.sync)
    assert mechanic.key in mechanic.members()


async def test_a_newcomer_goes_on_fetching_for_as_many_turns_as_it_takes(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    farmer, baker, mechanic, _ = hosts
    await baker.join(await invitation_of(farmer))
    invitation = await invitation_of(baker)
    missing = blocks.chain(farmer.ledger.db, farmer.key, 2, 9, 9)

    async def one_block_a_turn(peer: PublicKey) -> None:
        if turns.pop():
            await mechanic.ledger.ingest(missing)
        else:
            await mechanic.ledger.append(Profile("mechanic", ""))

    turns = [True, False, False]
    await mechanic.enter(invitation.commons, syncing=False)
    mechanic.meet(baker)
    monkeypatch.setattr(mechanic.sync, "with_peer", one_block_a_turn)
    await join(invitation, mechanic.ledger, mechanic.network, mechanic.sync)
    assert turns == []


async def test_an_unknown_code_is_refused_without_a_write(hosts: list[Host]) -> None:
    farmer, baker, *_ = hosts
    invitation = await invitation_of(farmer)
    wrong = Invitation(invitation.commons, invitation.inviter, invitation.addresses, b"guess" + bytes(11))
    before = farmer.ledger.db.execute("PRAGMA data_version").fetchone()
    with pytest.raises(CallFailed, match="made no such invitation"):
        await baker.join(wrong)
    assert farmer.ledger.db.execute("PRAGMA data_version").fetchone() == before


async def test_an_inviter_that_may_not_sign_says_so_and_the_invitation_stays_open(hosts: list[Host]) -> None:
    farmer, baker, *_ = hosts
    invitation = await invitation_of(farmer)
    farmer.ledger.signing_refusal = "it is an old copy"
    with pytest.raises(CallFailed, match="may not sign now: it is an old copy"):
        await baker.join(invitation)
    farmer.ledger.signing_refusal = None
    await join(invitation, baker.ledger, baker.network, baker.sync)
    assert baker.key in farmer.members()


async def test_an_invitation_is_not_made_for_an_address_where_nobody_is_reached(hosts: list[Host]) -> None:
    farmer, *_ = hosts
    with pytest.raises(BadInvitation, match="nobody can be reached"):
        await farmer.joining.invite([("0.0.0.0", 7759)])


async def test_the_codes_of_open_invitations_are_not_readable_in_the_file(hosts: list[Host]) -> None:
    farmer, *_ = hosts
    invitation = await invitation_of(farmer)
    stored = [code for (code,) in farmer.ledger.db.execute("SELECT code FROM invitation")]
    assert stored
    assert invitation.code not in stored


async def test_an_invitation_with_dead_addresses_and_one_that_lives_is_enough(hosts: list[Host]) -> None:
    farmer, baker, *_ = hosts
    made = await invitation_of(farmer)
    dead = (("127.0.0.1", 9), ("127.0.0.2", 9), ("localhost", 9))
    await baker.join(Invitation(made.commons, made.inviter, (*dead, *made.addresses), made.code))
    assert baker.key in farmer.members()


# Inviters that lie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("another charter", "charter of another commons"),
        ("no charter", "charter of another commons"),
        ("another guest", "something else than the admission of this node"),
        ("another sponsor", "something else than the admission of this node"),
        ("forged", "is invalid"),
        ("nonsense", "cannot be read"),
    ],
)
async def test_what_a_lying_inviter_shows_is_not_believed(hosts: list[Host], lie: str, sentence: str) -> None:
    farmer, baker, mechanic, potter = hosts
    (charter,) = blocks.at(farmer.ledger.db, farmer.key, 1)
    other = await potter.ledger.append(FoundCommons("another", "", 1))
    admission = await farmer.ledger.append(AdmitMember(baker.key))
    foreign = await potter.ledger.append(AdmitMember(baker.key))
    wrong_guest = await farmer.ledger.append(AdmitMember(mechanic.key))
    forged = admission.pack()[:-1] + b"\x01"
    shown = {
        "another charter": encode(Welcome(other.pack(), admission.pack())),
        "no charter": encode(Welcome(admission.pack(), admission.pack())),
        "another guest": encode(Welcome(charter.pack(), wrong_guest.pack())),
        "another sponsor": encode(Welcome(charter.pack(), foreign.pack())),
        "forged": encode(Welcome(charter.pack(), forged)),
        "nonsense": b"\xc1",
    }

    async def welcome(guest: PublicKey, payload: bytes) -> bytes:
        decode(payload, AskToJoin)
        return shown[lie]

    invitation = await invitation_of(farmer)
    farmer.network.serve(SERVICE, welcome, strangers=True)
    with pytest.raises(BadInvitation, match=sentence):
        await baker.join(invitation)
    assert baker.length(farmer) <= 1


async def test_somebody_else_at_the_inviters_address_learns_no_code(hosts: list[Host]) -> None:
    farmer, baker, mechanic, _ = hosts
    made = await invitation_of(farmer)
    seen: list[bytes] = []

    async def note(guest: PublicKey, payload: bytes) -> bytes:
        seen.append(payload)
        return b""

    await mechanic.enter(made.commons)
    mechanic.network.serve(SERVICE, note, strangers=True)
    with pytest.raises(CallFailed):
        await baker.join(Invitation(made.commons, made.inviter, (mechanic.network.address,), made.code))
    assert seen == []
