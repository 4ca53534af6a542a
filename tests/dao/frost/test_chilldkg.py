"""Key generation: what honest participants get, and who is named when somebody is not."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost import certeq, chilldkg, encpedpop, errors
from overlay.dao.frost.chilldkg import SessionParams
from overlay.dao.frost.chilldkg_message import CoordinatorMsg1
from overlay.dao.frost.encpedpop import CoordinatorInvestigationMsg, ParticipantMsg
from overlay.dao.frost.encryption import Encryption
from overlay.dao.frost.errors import (
    FaultyCoordinatorError,
    FaultyParticipantError,
    FaultyParticipantOrCoordinatorError,
    ProtocolError,
    RecoveryDataError,
    UnknownFaultyParticipantOrCoordinatorError,
)
from overlay.dao.frost.group import INFINITY, Point
from overlay.dao.frost.params import host_secret
from overlay.dao.frost.scalars import ORDER, interpolating_values, scalar_from_bytes
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.simplpedpop import dkg_output, pop_prove
from overlay.dao.frost.transcript import RecoveryData
from overlay.dao.frost.vss import VSSCommitment
from tests.dao.frost.groups import Group, group_of

RANDOM = bytes([3] * 32)


def step2(group: Group, participant: int, cmsg1: bytes) -> tuple[chilldkg.ParticipantState2, bytes]:
    return chilldkg.participant_step2(group.hostseckeys[participant], group.states1[participant], cmsg1, RANDOM)


def flip(raw: bytes, bit: int) -> bytes:
    flipped = bytearray(raw)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def parse1(group: Group, participant: int) -> ParticipantMsg:
    return ParticipantMsg.from_bytes(group.pmsgs1[participant], group.params.t, group.params.n)


def replaced(group: Group, participant: int, **changes: object) -> list[bytes]:
    """All first messages, one of them with some fields changed."""
    honest = parse1(group, participant)
    fields = {name: changes.get(name, getattr(honest, name)) for name in ("simpl_pmsg", "pubnonce", "enc_shares")}
    pmsgs1 = list(group.pmsgs1)
    pmsgs1[participant] = ParticipantMsg(**fields).to_bytes()
    return pmsgs1


def with_wrong_share(group: Group, sender: int, receiver: int, ciphertext: int | None = None) -> list[bytes]:
    """All first messages, where `sender` encrypts a wrong share to `receiver`."""
    shares = list(parse1(group, sender).enc_shares)
    shares[receiver] = (shares[receiver] + 1) % ORDER if ciphertext is None else ciphertext
    return replaced(group, sender, enc_shares=tuple(shares))


def suspicion(group: Group, participant: int, pmsgs1: list[bytes]) -> UnknownFaultyParticipantOrCoordinatorError:
    """The error of a participant whose share does not fit."""
    _, cmsg1 = chilldkg.coordinator_step1(pmsgs1, group.params)
    with pytest.raises(UnknownFaultyParticipantOrCoordinatorError) as caught:
        step2(group, participant, cmsg1)
    return caught.value


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 3), (3, 3), (3, 5)])
def test_all_get_one_key_and_shares_of_one_secret(t: int, n: int) -> None:
    group = group_of(t, n)
    for i, output in enumerate(group.outputs):
        assert (output.thresh_pk, output.pubshares) == (group.thresh_pk, group.outputs[0].pubshares)
        assert Secret(group.secshare(i)).point().to_bytes() == output.pubshares[i]
    for ids in itertools.combinations(range(n), t):
        weights = interpolating_values([i + 1 for i in ids])
        shares = [scalar_from_bytes(group.secshare(i)) for i in ids]
        secret = sum(w * s for w, s in zip(weights, shares, strict=True))
        assert Point.generated_by(secret).to_bytes() == group.thresh_pk


def test_a_share_and_a_secret_state_are_not_shown() -> None:
    group = group_of(2, 3)
    assert group.secshare(0).hex() not in repr(group.outputs[0])
    assert "secshare" not in repr(group.outputs[0])


def test_messages_have_the_lengths_that_their_documentation_gives() -> None:
    group, t, n = group_of(3, 5), 3, 5
    assert {len(pmsg1) for pmsg1 in group.pmsgs1} == {33 * t + 32 * n + 97}
    assert len(group.cmsg1) == 162 * n + 33 * (t - 1)
    assert len(group.recovery_data) == 4 + 33 * t + 162 * n


@pytest.mark.parametrize("participant", range(3))
def test_a_lost_share_comes_back_from_the_host_key_and_the_public_data_alone(participant: int) -> None:
    group = group_of(2, 3)
    recovered = chilldkg.participant_recover(group.hostseckeys[participant], group.recovery_data)
    assert recovered == (group.outputs[participant], group.params)


def test_the_public_data_gives_an_onlooker_the_key_and_no_share() -> None:
    group = group_of(2, 3)
    output, params = chilldkg.coordinator_recover(group.recovery_data)
    assert (output.secshare, output.thresh_pk, params) == (None, group.thresh_pk, group.params)


def test_a_stranger_recovers_nothing() -> None:
    with pytest.raises(errors.HostSeckeyError, match="none of the host public keys"):
        chilldkg.participant_recover(bytes([1] * 32), group_of(2, 3).recovery_data)


def test_a_host_public_key_that_appears_twice_is_refused() -> None:
    keys = list(group_of(2, 3).params.hostpubkeys)
    with pytest.raises(errors.DuplicateHostPubkeyError) as caught:
        SessionParams([*keys, keys[1]], 2)
    assert (caught.value.first, caught.value.second) == (1, 3)


@pytest.mark.parametrize("rogue", [bytes(33), b"\x02" + b"\xff" * 32, b"", bytes(32)])
def test_a_host_public_key_that_is_no_point_is_refused(rogue: bytes) -> None:
    keys = list(group_of(2, 3).params.hostpubkeys)
    with pytest.raises(errors.InvalidHostPubkeyError) as caught:
        SessionParams([*keys, rogue], 2)
    assert caught.value.participant == 3


@pytest.mark.parametrize("t", [0, -1, 4])
def test_a_threshold_that_does_not_fit_is_refused(t: int) -> None:
    with pytest.raises(errors.ThresholdOrCountError):
        SessionParams(group_of(2, 3).params.hostpubkeys, t)


def test_the_hash_of_the_parameters_changes_with_threshold_keys_and_order() -> None:
    params = group_of(2, 3).params
    keys = list(params.hostpubkeys)
    others = [SessionParams(keys, 3), SessionParams(keys[::-1], 2), SessionParams(keys[:2], 2)]
    assert len({chilldkg.params_hash(other) for other in (params, *others)}) == 4


def test_a_rogue_commitment_that_cancels_the_others_is_refused_for_want_of_a_proof() -> None:
    """Participant 2 commits to X minus what the others committed to, to make the key X, whose secret it knows."""
    group = group_of(2, 3)
    target = Point.generated_by(99)
    secrets = [parse1(group, i).simpl_pmsg.com.secret() for i in (0, 1)]
    mine = parse1(group, 2).simpl_pmsg
    rogue = VSSCommitment((target - Point.sum(secrets), *mine.com.nonconst_terms()))
    for pop in (mine.pop, pop_prove(Secret((99).to_bytes(32, "big")), 2, RANDOM), bytes(64)):
        pmsgs1 = replaced(group, 2, simpl_pmsg=type(mine)(rogue, pop))
        with pytest.raises(FaultyParticipantError, match="proof of possession") as caught:
            chilldkg.coordinator_step1(pmsgs1, group.params)
        assert caught.value.participant == 2


def test_a_proof_copied_from_another_participant_with_its_commitment_is_refused() -> None:
    group = group_of(2, 3)
    pmsgs1 = replaced(group, 2, simpl_pmsg=parse1(group, 0).simpl_pmsg)
    with pytest.raises(FaultyParticipantError, match="participant 2: the proof of possession"):
        chilldkg.coordinator_step1(pmsgs1, group.params)


def test_a_commitment_to_nothing_is_refused() -> None:
    group = group_of(2, 3)
    mine = parse1(group, 1).simpl_pmsg
    empty = VSSCommitment((INFINITY, *mine.com.nonconst_terms()))
    with pytest.raises(FaultyParticipantError, match="participant 1: the commitment to the secret is infinity"):
        chilldkg.coordinator_step1(replaced(group, 1, simpl_pmsg=type(mine)(empty, mine.pop)), group.params)


def test_a_nonce_that_is_no_point_is_refused() -> None:
    group = group_of(2, 3)
    with pytest.raises(FaultyParticipantError, match="participant 0: the nonce of the encryption"):
        chilldkg.coordinator_step1(replaced(group, 0, pubnonce=bytes(33)), group.params)


def test_participants_who_all_conspire_to_cancel_out_are_told_so() -> None:
    group = group_of(2, 2)
    params = group.params
    secret = Secret(bytes([5] * 32))
    pmsgs1 = []
    for participant, known in enumerate((secret, -secret)):
        mine = parse1(group, participant)
        com = VSSCommitment((known.point(), *mine.simpl_pmsg.com.nonconst_terms()))
        simpl = type(mine.simpl_pmsg)(com, pop_prove(known, participant, RANDOM))
        pmsgs1.append(ParticipantMsg(simpl, mine.pubnonce, mine.enc_shares).to_bytes())
    with pytest.raises(ProtocolError, match="cancel out"):
        chilldkg.coordinator_step1(pmsgs1, params)


def test_a_public_share_of_infinity_is_blamed_on_its_participant() -> None:
    """The committed polynomial 2 - x is zero at 2, the place of participant 1."""
    tweaked = VSSCommitment((Point.generated_by(2), Point.generated_by(-1)))
    with pytest.raises(FaultyParticipantOrCoordinatorError, match="public share is infinity") as caught:
        dkg_output(tweaked, 3, None)
    assert caught.value.participant == 1


@pytest.mark.parametrize("size", [-1, 1])
def test_messages_one_byte_off_their_length_are_blamed_on_their_sender(size: int) -> None:
    group = group_of(2, 3)

    def resized(raw: bytes) -> bytes:
        return raw[:size] if size < 0 else raw + b"\x00"

    pmsgs1 = [group.pmsgs1[0], resized(group.pmsgs1[1]), group.pmsgs1[2]]
    with pytest.raises(FaultyParticipantError) as caught:
        chilldkg.coordinator_step1(pmsgs1, group.params)
    assert caught.value.participant == 1
    with pytest.raises(FaultyCoordinatorError):
        step2(group, 0, resized(group.cmsg1))
    state2, pmsg2 = step2(group, 0, group.cmsg1)
    with pytest.raises(FaultyCoordinatorError):
        chilldkg.participant_finalize(state2, resized(bytes(64 * 3)))
    cstate, _ = chilldkg.coordinator_step1(group.pmsgs1, group.params)
    with pytest.raises(FaultyParticipantError) as caught:
        chilldkg.coordinator_finalize(cstate, [pmsg2, pmsg2, resized(pmsg2)])
    assert caught.value.participant == 2


def test_a_wrong_number_of_messages_is_the_callers_fault() -> None:
    group = group_of(2, 3)
    for pmsgs1 in (group.pmsgs1[:2], [*group.pmsgs1, group.pmsgs1[0]]):
        with pytest.raises(ValueError, match="3 participants but"):
            chilldkg.coordinator_step1(pmsgs1, group.params)


@pytest.mark.parametrize(("sender", "receiver"), [(1, 0), (2, 0), (0, 2)])
def test_who_sends_a_wrong_share_is_found_by_an_investigation(sender: int, receiver: int) -> None:
    group = group_of(2, 3)
    pmsgs1 = with_wrong_share(group, sender, receiver)
    error = suspicion(group, receiver, pmsgs1)
    cinv = chilldkg.coordinator_investigate(pmsgs1, group.params)[receiver]
    verdict = chilldkg.participant_investigate(error, cinv)
    assert isinstance(verdict, FaultyParticipantOrCoordinatorError)
    assert verdict.participant == sender


def test_a_wrong_share_of_zero_is_found_like_any_other() -> None:
    """A sender knows its pads, so it can make the decrypted share zero, which is no valid secret scalar."""
    group = group_of(2, 3)
    random = bytes([9] * 32)
    key = host_secret(group.hostseckeys[1])
    _, pmsg1 = chilldkg.participant_step1(group.hostseckeys[1], group.params, random)
    encryption = Encryption(key, tuple(group.params.hostpubkeys), group.params.t, 1)
    mine = ParticipantMsg.from_bytes(pmsg1, group.params.t, group.params.n)
    # The pad of the recipient is the ciphertext without the share; the share of 0 under its own polynomial is known.
    pads = Encryption(host_secret(group.hostseckeys[0]), encryption.enckeys, encryption.t, 0).pads_from_all(
        [parse1(group, 0).pubnonce, mine.pubnonce, parse1(group, 2).pubnonce]
    )
    zero = scalar_from_bytes(list(pads)[1].to_bytes())
    shares = (zero, *mine.enc_shares[1:])
    pmsgs1 = list(group.pmsgs1)
    pmsgs1[1] = ParticipantMsg(mine.simpl_pmsg, mine.pubnonce, shares).to_bytes()
    error = suspicion(group, 0, pmsgs1)
    verdict = chilldkg.participant_investigate(error, chilldkg.coordinator_investigate(pmsgs1, group.params)[0])
    assert isinstance(verdict, FaultyParticipantOrCoordinatorError)
    assert verdict.participant == 1


def test_a_coordinator_that_lies_in_an_investigation_is_found() -> None:
    group = group_of(2, 3)
    pmsgs1 = with_wrong_share(group, 1, 0)
    error = suspicion(group, 0, pmsgs1)
    honest = CoordinatorInvestigationMsg.from_bytes(
        chilldkg.coordinator_investigate(pmsgs1, group.params)[0], group.params.n
    )
    shares, points = list(honest.enc_partial_secshares), list(honest.partial_pubshares)
    lies = [
        CoordinatorInvestigationMsg((shares[0] + 1, *shares[1:]), tuple(points)),
        CoordinatorInvestigationMsg(tuple(shares), (points[0], points[0], points[2])),
        # It moves the fault from participant 1 to us, and to our own share.
        CoordinatorInvestigationMsg((shares[0] + 1, shares[1] - 1, shares[2]), tuple(points)),
    ]
    for lie in lies:
        verdict = chilldkg.participant_investigate(error, lie.to_bytes())
        assert isinstance(verdict, FaultyCoordinatorError)
    for raw in (b"", b"\xff" * 195, lies[0].to_bytes() + b"\x00"):
        assert isinstance(chilldkg.participant_investigate(error, raw), FaultyCoordinatorError)


def test_an_investigation_without_anything_wrong_accuses_nobody() -> None:
    group = group_of(2, 3)
    pmsgs1 = with_wrong_share(group, 1, 0)
    found = suspicion(group, 0, pmsgs1).investigation
    assert isinstance(found, encpedpop.Investigation)
    honest = chilldkg.coordinator_investigate(group.pmsgs1, group.params)[0]
    enc_secshare = (found.enc_secshare - 1) % ORDER
    right = encpedpop.Investigation(found.participant, found.pubshare, enc_secshare, found.pads)
    with pytest.raises(ValueError, match="nothing to investigate"):
        chilldkg.participant_investigate(UnknownFaultyParticipantOrCoordinatorError(right, ""), honest)
    with pytest.raises(TypeError, match="no data to investigate"):
        chilldkg.participant_investigate(UnknownFaultyParticipantOrCoordinatorError(None, ""), honest)


def test_the_error_that_starts_an_investigation_shows_no_secret() -> None:
    group = group_of(2, 3)
    error = suspicion(group, 0, with_wrong_share(group, 1, 0))
    assert "pads" not in repr(error.investigation)


def test_a_coordinator_that_frames_a_participant_is_suspected_with_it() -> None:
    group = group_of(2, 3)
    msg = CoordinatorMsg1.from_bytes(group.cmsg1, 2, 3)
    simpl = msg.enc_cmsg.simpl_cmsg
    framed = type(simpl)(simpl.coms_to_secrets, simpl.sum_coms_to_nonconst_terms, (*simpl.pops[:2], bytes(64)))
    cmsg1 = CoordinatorMsg1(type(msg.enc_cmsg)(framed, msg.enc_cmsg.pubnonces), msg.enc_secshares).to_bytes()
    with pytest.raises(FaultyParticipantOrCoordinatorError, match="proof of possession") as caught:
        step2(group, 0, cmsg1)
    assert caught.value.participant == 2


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_bit_of_the_coordinators_message_leads_to_a_certificate(data: st.DataObject) -> None:
    group = group_of(2, 3)
    own_pop = range(33 * 4, 33 * 4 + 64)
    bit = data.draw(st.integers(0, 8 * len(group.cmsg1) - 1).filter(lambda bit: bit // 8 not in own_pop))
    cstate, _ = chilldkg.coordinator_step1(group.pmsgs1, group.params)
    try:
        _, pmsg2 = step2(group, 0, flip(group.cmsg1, bit))
    except ProtocolError:
        return
    others = [step2(group, participant, group.cmsg1)[1] for participant in (1, 2)]
    with pytest.raises(FaultyParticipantError) as caught:
        chilldkg.coordinator_finalize(cstate, [pmsg2, *others])
    assert caught.value.participant == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_bit_of_a_participants_message_is_its_own_fault(data: st.DataObject) -> None:
    group = group_of(2, 3)
    bit = data.draw(st.integers(0, 8 * len(group.pmsgs1[1]) - 1))
    pmsgs1 = [group.pmsgs1[0], flip(group.pmsgs1[1], bit), group.pmsgs1[2]]
    blamed: set[object] = set()
    try:
        _, cmsg1 = chilldkg.coordinator_step1(pmsgs1, group.params)
    except FaultyParticipantError as error:
        blamed.add(error.participant)
        cmsg1 = b""
    for participant in (0, 1, 2) if cmsg1 else ():
        try:
            step2(group, participant, cmsg1)
        except UnknownFaultyParticipantOrCoordinatorError as error:
            cinv = chilldkg.coordinator_investigate(pmsgs1, group.params)[participant]
            verdict = chilldkg.participant_investigate(error, cinv)
            blamed.add(getattr(verdict, "participant", "coordinator"))
        except FaultyCoordinatorError:
            blamed.add("coordinator")
    # To the one whose message was altered on the way, it was the coordinator.
    assert blamed <= {1, "coordinator"}
    assert blamed


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=700))
def test_any_bytes_as_a_message_raise_protocol_errors_only(raw: bytes) -> None:
    group = group_of(2, 3)
    with pytest.raises(FaultyParticipantError):
        chilldkg.coordinator_step1([group.pmsgs1[0], raw, group.pmsgs1[2]], group.params)
    with pytest.raises(FaultyCoordinatorError):
        step2(group, 0, raw)


def test_a_certificate_over_another_transcript_is_refused() -> None:
    group, other = group_of(2, 3), group_of(3, 3)
    state2, _ = step2(group, 0, group.cmsg1)
    with pytest.raises(FaultyCoordinatorError, match="certificate"):
        chilldkg.participant_finalize(state2, other.recovery_data[-64 * 3 :])


def test_the_second_step_with_another_host_key_is_refused() -> None:
    group = group_of(2, 3)
    with pytest.raises(errors.HostSeckeyError, match="not the one of the first step"):
        chilldkg.participant_step2(group.hostseckeys[1], group.states1[0], group.cmsg1, RANDOM)


def test_randomness_of_zeros_is_a_broken_generator() -> None:
    group = group_of(2, 3)
    with pytest.raises(errors.RandomnessError):
        chilldkg.participant_step1(group.hostseckeys[0], group.params, bytes(32))


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=800), st.integers(0, 8 * 556 - 1)))
def test_recovery_data_that_is_not_the_certified_one_is_refused(tampering: bytes | int) -> None:
    group = group_of(2, 3)
    raw = tampering if isinstance(tampering, bytes) else flip(group.recovery_data, tampering)
    for recover in (
        lambda: chilldkg.coordinator_recover(raw),
        lambda: chilldkg.participant_recover(group.hostseckeys[0], raw),
    ):
        with pytest.raises((RecoveryDataError, errors.HostSeckeyError)):
            recover()


@pytest.mark.parametrize("t", [3, 2**31, 2**32 - 1])
def test_a_threshold_that_its_bytes_do_not_cover_costs_nothing_to_refuse(t: int) -> None:
    raw = t.to_bytes(4, "big") + group_of(2, 3).recovery_data[4:]
    with pytest.raises(RecoveryDataError, match="recovery data cannot be read"):
        chilldkg.coordinator_recover(raw)


def test_recovery_data_certified_by_all_others_but_not_by_oneself_is_refused() -> None:
    group = group_of(2, 3)
    raw = bytearray(group.recovery_data)
    raw[-64 * 3 : -64 * 2] = bytes(64)
    with pytest.raises(RecoveryDataError, match="certificate"):
        chilldkg.participant_recover(group.hostseckeys[0], bytes(raw))


def certified_by_all(group: Group, **changes: object) -> bytes:
    """Recovery data with some fields of the transcript changed, and signed by all: a conspiracy, or lost keys."""
    honest = RecoveryData.from_bytes(group.recovery_data).transcript
    transcript = replace(honest, **changes)
    sigs = [
        certeq.sign(certeq.CERTEQ, key, participant, transcript.to_bytes(), RANDOM).sig
        for participant, key in enumerate(group.hostseckeys)
    ]
    return RecoveryData(transcript, certeq.Certificate(tuple(sigs))).to_bytes()


def test_recovery_data_is_checked_even_if_all_have_certified_it() -> None:
    group = group_of(2, 3)
    honest = RecoveryData.from_bytes(group.recovery_data).transcript
    assert certified_by_all(group)[: -64 * 3] == group.recovery_data[: -64 * 3]
    nonsense = [
        {"sum_coms": VSSCommitment((INFINITY, *honest.sum_coms.nonconst_terms()))},
        {"pubnonces": (*honest.pubnonces[:2], bytes(33))},
        {"enc_secshares": (honest.enc_secshares[0] + 1, *honest.enc_secshares[1:])},
    ]
    for changes in nonsense:
        with pytest.raises(RecoveryDataError, match=r"makes no key|does not match"):
            chilldkg.participant_recover(group.hostseckeys[0], certified_by_all(group, **changes))


def test_a_public_share_of_infinity_among_first_messages_is_blamed_by_the_coordinator() -> None:
    """With t = 2 the commitments are made so that the sum 2a - a x is zero at 2, in the tweaked form."""
    group = group_of(2, 3)
    secrets = Point.sum(parse1(group, i).simpl_pmsg.com.secret() for i in range(3))
    tweaked = VSSCommitment((secrets, INFINITY)).invalid_taproot_commit()[0].secret()
    half = pow(2, -1, ORDER)
    others = Point.sum(parse1(group, i).simpl_pmsg.com.points[1] for i in (0, 2))
    mine = parse1(group, 1).simpl_pmsg
    com = VSSCommitment((mine.com.secret(), -half * tweaked - others))
    with pytest.raises(FaultyParticipantError, match="participant 1: its public share is infinity"):
        chilldkg.coordinator_step1(replaced(group, 1, simpl_pmsg=type(mine)(com, mine.pop)), group.params)


def acknowledgements(group: Group) -> list[bytes]:
    return [
        chilldkg.participant_recovery_ack_sign(key, group.recovery_data, group.params, RANDOM)
        for key in group.hostseckeys
    ]


def test_all_can_show_that_they_hold_the_recovery_data() -> None:
    group = group_of(2, 3)
    chilldkg.participant_recovery_acks_verify(group.recovery_data, group.params, acknowledgements(group))


@pytest.mark.parametrize("bad", [bytes(64), b"", bytes(65)])
def test_an_invalid_acknowledgement_is_blamed_on_its_participant(bad: bytes) -> None:
    group = group_of(2, 3)
    acks = acknowledgements(group)
    with pytest.raises(errors.InvalidRecoveryAckError) as caught:
        chilldkg.participant_recovery_acks_verify(group.recovery_data, group.params, [acks[0], bad, acks[2]])
    assert caught.value.participant == 1
    with pytest.raises(errors.InvalidRecoveryAckError) as caught:
        chilldkg.participant_recovery_acks_verify(group.recovery_data, group.params, [acks[1], *acks[1:]])
    assert caught.value.participant == 0
    with pytest.raises(ValueError, match="3 participants but 2"):
        chilldkg.participant_recovery_acks_verify(group.recovery_data, group.params, acks[:2])


def test_recovery_data_of_another_session_is_not_acknowledged() -> None:
    group, other = group_of(2, 3), group_of(3, 3)
    with pytest.raises(RecoveryDataError, match="another session"):
        chilldkg.participant_recovery_ack_sign(group.hostseckeys[0], other.recovery_data, group.params, RANDOM)
    with pytest.raises(ValueError, match="auxiliary randomness"):
        chilldkg.participant_recovery_ack_sign(group.hostseckeys[0], group.recovery_data, group.params, b"")
