"""Key generation for the Ed25519 key of a group, between the host keys of its members."""

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost import certeq, errors, pedpop
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantOrCoordinatorError,
    HostSeckeyError,
    RecoveryDataError,
)
from overlay.dao.frost.params import SessionParams, hostpubkey_gen
from overlay.dao.frost.pedpop_message import Member, ParticipantMsg
from overlay.dao.frost.pedpop_transcript import PEDPOP, Transcript
from overlay.dao.frost.rfc9591 import Session, SessionCoordinator, commit, sign
from overlay.dao.frost.scalars import interpolating_values
from tests.dao.frost.groups import stream

AUX = bytes([3] * 32)


@dataclass(frozen=True)
class Generated:
    """A key generation among honest members, with all messages."""

    params: SessionParams
    hostseckeys: list[bytes]
    states1: list[pedpop.ParticipantState1]
    pmsgs: list[bytes]
    sigs: list[bytes]
    shares: list[pedpop.KeyShare]
    recovery_data: bytes

    def step2(self, participant: int, pmsgs: list[bytes]) -> tuple[pedpop.ParticipantState2, bytes]:
        seckey, state = self.hostseckeys[participant], self.states1[participant]
        return pedpop.participant_step2(ED25519, seckey, state, pmsgs, AUX)

    def parsed(self, participant: int) -> ParticipantMsg:
        return ParticipantMsg.from_bytes(self.pmsgs[participant], ED25519, self.params.t, self.params.n)

    def with_message(self, participant: int, msg: ParticipantMsg | bytes) -> list[bytes]:
        raw = msg if isinstance(msg, bytes) else msg.to_bytes()
        return [*self.pmsgs[:participant], raw, *self.pmsgs[participant + 1 :]]


@lru_cache
def generated(t: int, n: int) -> Generated:
    rand = stream(f"pedpop {t} of {n}")
    seckeys = [next(rand) for _ in range(n)]
    params = SessionParams([hostpubkey_gen(key) for key in seckeys], t)
    begun = [pedpop.participant_step1(ED25519, key, params, next(rand)) for key in seckeys]
    states1, pmsgs = [state for state, _ in begun], [pmsg for _, pmsg in begun]
    certified = [
        pedpop.participant_step2(ED25519, key, state, pmsgs, AUX) for key, state in zip(seckeys, states1, strict=True)
    ]
    sigs = [sig for _, sig in certified]
    finished = [pedpop.participant_finalize(state, sigs) for state, _ in certified]
    return Generated(params, seckeys, states1, pmsgs, sigs, [share for share, _ in finished], finished[0][1])


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 2), (2, 3), (3, 3), (3, 5)])
def test_all_get_one_key_and_shares_of_one_secret(t: int, n: int) -> None:
    group = generated(t, n)
    key = group.shares[0].key
    for participant, share in enumerate(group.shares):
        assert share.key == key
        assert ED25519.base_mul(share.secshare) == key.pubshares[participant]
    for ids in itertools.combinations(range(n), t):
        weights = map(ED25519.scalar, interpolating_values([i + 1 for i in ids], ED25519.order))
        parts = [ED25519.scalar_mul(w, group.shares[i].secshare) for w, i in zip(weights, ids, strict=True)]
        assert ED25519.base_mul(reduce(ED25519.scalar_add, parts)) == key.public_key


def test_the_key_signs_plain_ed25519() -> None:
    group = generated(3, 5)
    ids = [0, 3, 4]
    begun = [commit(ED25519, group.shares[i].secshare, bytes([i + 1] * 64)) for i in ids]
    session = Session(group.shares[0].key, ids, [commitment for _, commitment in begun], b"a decision")
    coordinator = SessionCoordinator(session)
    for index, (i, (nonces, _)) in enumerate(zip(ids, begun, strict=True)):
        coordinator.accept(index, sign(nonces, group.shares[i].secshare, i, session))
    nacl.signing.VerifyKey(session.key.public_key).verify(b"a decision", coordinator.signature())


@pytest.mark.parametrize("participant", range(3))
def test_a_lost_share_comes_back_from_the_host_key_and_the_public_data_alone(participant: int) -> None:
    group = generated(2, 3)
    seckey = group.hostseckeys[participant]
    assert pedpop.recover(ED25519, seckey, group.recovery_data) == (group.shares[participant], group.params)


def test_the_public_data_contains_no_share_in_the_clear() -> None:
    group = generated(2, 3)
    assert all(share.secshare not in group.recovery_data for share in group.shares)
    assert group.shares[0].secshare.hex() not in repr(group.shares[0])


def test_a_rogue_commitment_that_cancels_the_others_is_refused_for_want_of_a_proof() -> None:
    group = generated(2, 3)
    others = reduce(ED25519.element_add, (group.parsed(i).commitment[0] for i in (0, 1)))
    minus_one = ED25519.scalar(-1)
    target = ED25519.base_mul(ED25519.scalar(99))
    rogue = ED25519.element_add(target, ED25519.element_mul(minus_one, others))
    msg = group.parsed(2)
    pmsgs = group.with_message(2, replace(msg, commitment=(rogue, *msg.commitment[1:])))
    with pytest.raises(FaultyParticipantOrCoordinatorError, match="proof of possession") as caught:
        group.step2(0, pmsgs)
    assert caught.value.participant == 2


def test_a_message_copied_from_another_is_refused() -> None:
    group = generated(2, 3)
    with pytest.raises(FaultyParticipantOrCoordinatorError, match=r"participant 2 .*proof of possession"):
        group.step2(0, group.with_message(2, group.pmsgs[1]))


@pytest.mark.parametrize(("sender", "receiver"), [(1, 0), (2, 0), (0, 2)])
def test_who_sends_a_wrong_share_is_named_by_its_receiver(sender: int, receiver: int) -> None:
    group = generated(2, 3)
    msg = group.parsed(sender)
    shares = list(msg.enc_shares)
    shares[receiver] = ED25519.scalar_add(shares[receiver], ED25519.scalar(1))
    with pytest.raises(FaultyParticipantOrCoordinatorError, match="does not match the commitment") as caught:
        group.step2(receiver, group.with_message(sender, replace(msg, enc_shares=tuple(shares))))
    assert caught.value.participant == sender


def test_a_message_of_our_own_that_comes_back_altered_is_the_relays_fault() -> None:
    group = generated(2, 3)
    with pytest.raises(FaultyCoordinatorError, match="came back altered"):
        group.step2(0, group.with_message(0, group.pmsgs[1]))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_flipped_bit_of_a_message_leads_to_a_certificate(data: st.DataObject) -> None:
    group = generated(2, 3)
    bit = data.draw(st.integers(0, 8 * len(group.pmsgs[1]) - 1))
    flipped = bytearray(group.pmsgs[1])
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        _, sig = group.step2(0, group.with_message(1, bytes(flipped)))
    except FaultyParticipantOrCoordinatorError as error:
        blamed = error.participant
    else:
        honest, _ = group.step2(2, group.pmsgs)
        with pytest.raises(FaultyParticipantOrCoordinatorError) as caught:
            pedpop.participant_finalize(honest, [sig, *group.sigs[1:]])
        blamed = caught.value.participant + 1
    assert blamed == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_as_a_message_are_blamed_on_their_sender(raw: bytes) -> None:
    group = generated(2, 3)
    with pytest.raises(FaultyParticipantOrCoordinatorError) as caught:
        group.step2(0, group.with_message(1, raw))
    assert caught.value.participant == 1


@pytest.mark.parametrize("sig", [b"", bytes(64), bytes(65)], ids=len)
def test_a_bad_certificate_signature_is_blamed_on_its_participant(sig: bytes) -> None:
    group = generated(2, 3)
    state2, _ = group.step2(0, group.pmsgs)
    with pytest.raises(FaultyParticipantOrCoordinatorError) as caught:
        pedpop.participant_finalize(state2, [group.sigs[0], sig, group.sigs[2]])
    assert caught.value.participant == 1


def test_members_who_all_conspire_to_cancel_out_are_told_so() -> None:
    group = generated(1, 2)
    members = [Member.of(ED25519, key, group.params) for key in group.hostseckeys]
    honest = group.parsed(0)
    # With t = 1 every share is the secret itself: the second member shares the negation of the first one's.
    secret = members[0].decrypt(0, honest)
    negated = ED25519.scalar_sub(bytes(32), secret)
    mine = group.parsed(1)
    pads = [
        ED25519.scalar_sub(enc, share)
        for enc, share in zip(mine.enc_shares, [members[i].decrypt(1, mine) for i in (0, 1)], strict=True)
    ]
    conspired = ParticipantMsg(
        (ED25519.base_mul(negated),),
        members[1]._prove(AUX, negated),
        mine.pubnonce,
        tuple(ED25519.scalar_add(negated, pad) for pad in pads),
    )
    with pytest.raises(errors.ProtocolError, match=r"identity|cancel out"):
        group.step2(0, group.with_message(1, conspired))


def with_share(group: Generated, sender: int, coefficients: list[bytes]) -> list[bytes]:
    """All messages, where `sender` shares the polynomial with these coefficients."""
    members = [Member.of(ED25519, key, group.params) for key in group.hostseckeys]
    mine, enc_shares = group.parsed(sender), []
    for receiver, member in enumerate(members):
        pad = ED25519.scalar_sub(mine.enc_shares[receiver], member.decrypt(sender, mine))
        share = ED25519.scalar(0)
        for coefficient in reversed(coefficients):
            share = ED25519.scalar_add(ED25519.scalar_mul(share, ED25519.scalar(receiver + 1)), coefficient)
        enc_shares.append(ED25519.scalar_add(share, pad))
    commitment = tuple(map(ED25519.base_mul, coefficients))
    pop = members[sender]._prove(AUX, coefficients[0])
    return group.with_message(sender, ParticipantMsg(commitment, pop, mine.pubnonce, tuple(enc_shares)))


def test_a_public_share_of_nothing_is_blamed_on_its_participant() -> None:
    """Participant 1 of two knows both polynomials here, and makes its own share of the sum zero."""
    group = generated(2, 2)
    secret = ED25519.scalar(5)
    theirs = Member.of(ED25519, group.hostseckeys[1], group.params).decrypt(0, group.parsed(0))
    # secret + 2 slope = -theirs
    half = ED25519.scalar(pow(2, -1, ED25519.order))
    slope = ED25519.scalar_mul(half, ED25519.scalar_sub(ED25519.scalar_sub(bytes(32), theirs), secret))
    with pytest.raises(FaultyParticipantOrCoordinatorError, match="public share is the identity") as caught:
        group.step2(0, with_share(group, 1, [secret, slope]))
    assert caught.value.participant == 1


def test_a_key_of_nothing_is_refused_though_all_shares_are_something() -> None:
    group = generated(2, 2)
    members = [Member.of(ED25519, key, group.params) for key in group.hostseckeys]
    first, second = (member.decrypt(0, group.parsed(0)) for member in members)
    # f(0) = 2 f(1) - f(2)
    theirs = ED25519.scalar_sub(ED25519.scalar_add(first, first), second)
    negated = ED25519.scalar_sub(bytes(32), theirs)
    with pytest.raises(errors.ProtocolError, match="cancel out"):
        group.step2(0, with_share(group, 1, [negated, ED25519.scalar(7)]))


def test_recovery_data_is_checked_even_if_all_have_certified_it() -> None:
    group = generated(2, 3)
    msg = group.parsed(1)
    shares = (ED25519.scalar_add(msg.enc_shares[0], ED25519.scalar(1)), *msg.enc_shares[1:])
    pmsgs = group.with_message(1, replace(msg, enc_shares=shares))
    transcript = Transcript(group.params, tuple(pmsgs)).to_bytes()
    sigs = [
        certeq.sign(PEDPOP, key, participant, transcript, AUX).to_bytes()
        for participant, key in enumerate(group.hostseckeys)
    ]
    with pytest.raises(RecoveryDataError, match="makes no key"):
        pedpop.recover(ED25519, group.hostseckeys[0], transcript + b"".join(sigs))


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=900), st.integers(0, 8 * 500)))
def test_recovery_data_that_is_not_the_certified_one_is_refused(tampering: bytes | int) -> None:
    group = generated(2, 3)
    raw = tampering
    if isinstance(raw, int):
        flipped = bytearray(group.recovery_data)
        flipped[raw // 8] ^= 1 << raw % 8
        raw = bytes(flipped)
    with pytest.raises((RecoveryDataError, HostSeckeyError)):
        pedpop.recover(ED25519, group.hostseckeys[0], raw)


def test_counts_that_their_bytes_do_not_cover_cost_nothing_to_refuse() -> None:
    with pytest.raises(RecoveryDataError, match="cannot be read"):
        pedpop.recover(ED25519, generated(2, 3).hostseckeys[0], b"\xff" * 8)
    with pytest.raises(RecoveryDataError, match="cannot be read"):
        pedpop.recover(ED25519, generated(2, 3).hostseckeys[0], bytes(8))


def test_a_stranger_recovers_nothing() -> None:
    with pytest.raises(HostSeckeyError):
        pedpop.recover(ED25519, bytes([1] * 32), generated(2, 3).recovery_data)


def test_what_our_own_caller_gets_wrong_is_a_plain_error() -> None:
    group = generated(2, 3)
    seckey = group.hostseckeys[0]
    with pytest.raises(ValueError, match="3 participants but 2 messages"):
        group.step2(0, group.pmsgs[:2])
    with pytest.raises(ValueError, match="3 participants but 2 signatures"):
        pedpop.participant_finalize(group.step2(0, group.pmsgs)[0], group.sigs[:2])
    with pytest.raises(ValueError, match="randomness is 32 bytes"):
        pedpop.participant_step1(ED25519, seckey, group.params, b"")
    with pytest.raises(errors.RandomnessError):
        pedpop.participant_step1(ED25519, seckey, group.params, bytes(32))
