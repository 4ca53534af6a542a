"""Signing sessions: a nonce signs once, a liar is found out, and nobody spoils another's session (invariant 9)."""

from collections.abc import Iterator

import pytest

from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.frost import signing
from overlay.dao.funds import policy
from overlay.dao.funds.faults import MAX_KEPT, record, recorded
from overlay.dao.funds.roast import Fault
from overlay.dao.funds.signer import COMMIT, MAX_SESSIONS, SIGN, signers_context
from overlay.dao.keyring.messages import (
    MAX_INPUTS,
    AskCommitments,
    AskShares,
    Commitments,
    SignatureShares,
)
from overlay.keys import PublicKey
from overlay.network.messages import BadMessage, decode, encode
from overlay.network.network import Refusal
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import MAX_MEMBERS, CastVote
from tests.dao.group_town import GroupTown, Member


class Coordinator:
    """The engineer, who asks by hand."""

    def __init__(self, town: GroupTown, proposal: BlockHash, unsigned: UnsignedPayment) -> None:
        self.town, self.proposal, self.unsigned = town, proposal, unsigned
        self.numbers: Iterator[int] = iter(range(1, 1_000_000))

    async def commit(self, member: Member, session: bytes | None = None) -> tuple[bytes, tuple[bytes, ...]]:
        session = session or next(self.numbers).to_bytes(16)
        ask = encode(AskCommitments(self.proposal, session, self.unsigned.raw))
        answer = await member.signer.commit(self.town.engineer.key, ask)
        return session, decode(answer, Commitments).nonces

    async def sign(self, member: Member, session: bytes, ask: AskShares) -> tuple[bytes, ...]:
        assert ask.session == session
        return decode(await member.signer.sign(self.town.engineer.key, encode(ask)), SignatureShares).shares

    async def session(self, *members: Member) -> list[AskShares]:
        """What to ask each of these for a whole session."""
        committed = [await self.commit(member) for member in members]
        numbers = tuple(self.town.all.index(member) for member in members)
        aggregate = tuple(
            signing.nonce_agg([nonces[at] for _, nonces in committed]) for at in range(len(self.unsigned.coins))
        )
        return [AskShares(session, numbers, aggregate) for session, _ in committed]


@pytest.fixture
async def hand(five: GroupTown) -> Coordinator:
    proposal = await five.approved(five.engineer)
    account = await five.engineer.account(five.id)
    return Coordinator(five, proposal, policy.build(five.engineer.payment(proposal), account, 1))


async def test_a_session_signs_once_and_never_again(hand: Coordinator) -> None:
    town = hand.town
    first, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    assert len(await hand.sign(town.farmer, first.session, first)) == 1
    with pytest.raises(Refusal, match="knows no such signing session"):
        await hand.sign(town.farmer, first.session, first)


@pytest.mark.parametrize("spoiled", ["signers", "too few signers", "nonce", "number of nonces", "somebody else"])
async def test_a_session_that_was_asked_wrongly_is_gone_too(hand: Coordinator, spoiled: str) -> None:
    town = hand.town
    good, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    bad = {
        "signers": AskShares(good.session, (1, 2, 3), good.nonces),
        "too few signers": AskShares(good.session, (0, 1), good.nonces),
        "nonce": AskShares(good.session, good.signers, (b"\x05" * 66,)),
        "number of nonces": AskShares(good.session, good.signers, good.nonces * 2),
        "somebody else": AskShares(good.session, (0, 1, 200), good.nonces),
    }[spoiled]
    with pytest.raises(Refusal, match="no share is given"):
        await hand.sign(town.farmer, good.session, bad)
    with pytest.raises(Refusal, match="knows no such"):
        await hand.sign(town.farmer, good.session, good)


async def test_a_folder_that_may_be_an_old_copy_gives_nothing(hand: Coordinator) -> None:
    town = hand.town
    first, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    town.farmer.ledger.signing_refusal = "this folder may be an old copy"
    with pytest.raises(Refusal, match="old copy"):
        await hand.sign(town.farmer, first.session, first)
    with pytest.raises(Refusal, match="old copy"):
        await hand.commit(town.farmer)


async def test_a_restart_voids_all_nonces(hand: Coordinator) -> None:
    town = hand.town
    good, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    await town.restart(town.farmer)
    with pytest.raises(Refusal, match="knows no such"):
        await hand.sign(town.farmer, good.session, good)
    again, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    assert again.nonces != good.nonces


async def test_no_nonce_is_committed_to_twice(hand: Coordinator) -> None:
    seen: set[bytes] = set()
    for _ in range(2):
        for _ in range(10):
            _, nonces = await hand.commit(hand.town.farmer)
            assert not seen & set(nonces)
            seen |= set(nonces)
        await hand.town.restart(hand.town.farmer)


async def test_the_same_session_asked_for_after_a_restart_gets_another_nonce(hand: Coordinator) -> None:
    _, before = await hand.commit(hand.town.farmer, bytes(16))
    await hand.town.restart(hand.town.farmer)
    _, after = await hand.commit(hand.town.farmer, bytes(16))
    assert before != after


async def test_a_session_number_serves_once(hand: Coordinator) -> None:
    session, _ = await hand.commit(hand.town.farmer)
    with pytest.raises(Refusal, match="fresh number"):
        await hand.commit(hand.town.farmer, session)


async def test_another_member_can_neither_use_nor_end_a_session(hand: Coordinator) -> None:
    town = hand.town
    good, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    with pytest.raises(Refusal, match="knows no such"):
        await town.farmer.signer.sign(town.welder.key, encode(good))
    assert len(await hand.sign(town.farmer, good.session, good)) == 1


async def test_a_coordinator_that_opens_many_sessions_only_closes_its_own(hand: Coordinator) -> None:
    town = hand.town
    good, *_ = await hand.session(town.farmer, town.baker, town.mechanic)
    for number in range(3 * MAX_SESSIONS):
        ask = AskCommitments(hand.proposal, b"w" * 8 + number.to_bytes(8), hand.unsigned.raw)
        await town.farmer.signer.commit(town.welder.key, encode(ask))
    assert len(await hand.sign(town.farmer, good.session, good)) == 1
    sessions = [await hand.commit(town.baker) for _ in range(MAX_SESSIONS + 1)]
    eldest = AskShares(sessions[0][0], (0, 1, 2), good.nonces)
    with pytest.raises(Refusal, match="knows no such"):
        await hand.sign(town.baker, eldest.session, eldest)


async def test_what_changed_since_the_commitment_is_judged_before_the_share(hand: Coordinator) -> None:
    town = hand.town
    for ask, member in zip(await hand.session(town.farmer, town.baker, town.mechanic), town.all, strict=False):
        await member.say(CastVote(hand.proposal, "no", "I have read it again"))
        with pytest.raises(Refusal, match="said no"):
            await hand.sign(member, ask.session, ask)


async def test_two_of_three_shares_that_are_needed_make_no_signature(hand: Coordinator) -> None:
    town, unsigned = hand.town, hand.unsigned
    members = (town.farmer, town.baker, town.mechanic)
    committed = [await hand.commit(member) for member in members]
    share = town.farmer.share(town.id)
    signers = signers_context(town.farmer.group(town.id), share, (0, 1, 2))
    nonces = [each[0] for _, each in committed]
    coordinator = signing.SigningCoordinator(signers, nonces, unsigned.sighashes[0], [share.tweak], [True])
    for index in (0, 1):
        ask = AskShares(committed[index][0], (0, 1, 2), (coordinator.session.aggnonce,))
        coordinator.accept(index, (await hand.sign(members[index], ask.session, ask))[0])
    with pytest.raises(ValueError, match="missing"):
        coordinator.signature()
    with pytest.raises(ValueError, match="not between the threshold"):
        signers_context(town.farmer.group(town.id), share, (0, 1))


async def test_strangers_and_other_groups_get_nothing(hand: Coordinator) -> None:
    stranger = PublicKey(b"LibNaCLPK:" + bytes(64))
    ask = encode(AskCommitments(hand.proposal, bytes(16), hand.unsigned.raw))
    with pytest.raises(Refusal, match="not a group of both"):
        await hand.town.farmer.signer.commit(stranger, ask)
    unknown = encode(AskCommitments(bytes(32), bytes(16), hand.unsigned.raw))
    with pytest.raises(Refusal, match="no such proposal"):
        await hand.town.farmer.signer.commit(hand.town.baker.key, unknown)


@pytest.mark.parametrize("what", ["share", "nonce", "counts", "nonsense"])
async def test_wrong_answers_take_only_their_sender_out(five: GroupTown, what: str) -> None:
    proposal = await five.approved(five.engineer)
    liars = {five.farmer.key, five.baker.key}
    wrong = {
        "share": (SIGN, encode(SignatureShares((bytes(31) + b"\x01",)))),
        "nonce": (COMMIT, encode(Commitments((b"\x02" + bytes(65),)))),
        "counts": (COMMIT, encode(Commitments((bytes(66),) * 3))),
        "nonsense": (SIGN, b"\xc1"),
    }[what]

    async def lies(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        return wrong[1] if peer in liars and service == wrong[0] else None

    five.lines.instead = lies
    done = await five.pay(five.engineer, proposal)
    assert done.signers == (2, 3, 4)
    blamed = {fault.member for fault in recorded(five.engineer.ledger.db, proposal)}
    assert blamed <= (liars if what == "share" else set())


async def test_the_evidence_of_a_wrong_share_convinces_whoever_sees_the_coins(five: GroupTown) -> None:
    proposal = await five.approved(five.engineer)
    five.lines.offline |= {five.welder.key}

    async def lies(asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes | None:
        bad = peer == five.farmer.key and service == SIGN
        return encode(SignatureShares((bytes(31) + b"\x01",))) if bad else None

    five.lines.instead = lies
    await five.pay(five.engineer, proposal)
    while not recorded(five.engineer.ledger.db, proposal):
        await five.pay(five.engineer, proposal)
    (fault, *_) = recorded(five.engineer.ledger.db, proposal)
    assert (fault.member, fault.what) == (five.farmer.key, "psig")
    baker = five.baker
    unsigned = policy.payments.read(fault.transaction, (await baker.account(five.id)).coins, five.script)
    share = baker.share(five.id)
    signers = signers_context(baker.group(five.id), share, fault.signers)
    again = signing.SigningCoordinator(
        signers, [each[0] for each in fault.nonces], unsigned.sighashes[0], [share.tweak], [True]
    )
    assert not again.verify(fault.signers.index(0), fault.answer[0])


async def test_faults_fill_no_disk(five: GroupTown) -> None:
    fault = Fault(five.farmer.key, "psig", b"", (), (), ())
    await five.engineer.ledger.transact(
        lambda tx: [record(tx.db, bytes([number % 256]) * 32, fault) for number in range(MAX_KEPT + 5)]
    )
    count = five.engineer.ledger.db.execute("SELECT count(*) FROM treasury_fault").fetchone()
    assert count == (MAX_KEPT,)


def test_messages_hold_their_limits() -> None:
    decode(encode(Commitments((bytes(66),) * MAX_INPUTS)), Commitments)
    decode(encode(SignatureShares((bytes(32),) * MAX_INPUTS)), SignatureShares)
    decode(encode(AskShares(bytes(16), tuple(range(MAX_MEMBERS)), (bytes(66),))), AskShares)
    for raw, kind in (
        (encode(Commitments((bytes(66),) * (MAX_INPUTS + 1))), Commitments),
        (encode(Commitments(())), Commitments),
        (encode(Commitments((bytes(65),))), Commitments),
        (encode(SignatureShares((bytes(32),) * (MAX_INPUTS + 1))), SignatureShares),
        (encode(AskCommitments(bytes(32), bytes(16), bytes(4_097))), AskCommitments),
        (encode(AskShares(bytes(16), (0,) * (MAX_MEMBERS + 1), (bytes(66),))), AskShares),
    ):
        with pytest.raises(BadMessage):
            decode(raw, kind)
