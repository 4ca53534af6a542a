"""Signing together: any t can, fewer cannot, and whoever sends something wrong is named."""

import copy
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import coincurve
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overlay.dao.frost import signing
from overlay.dao.frost.bip340 import schnorr_sign, schnorr_verify
from overlay.dao.frost.deterministic import deterministic_sign
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.group import INFINITY, Point
from overlay.dao.frost.nonces import SecretNonce, nonce_agg, nonce_gen, parse_pubnonces
from overlay.dao.frost.onetime import NonceUsedError
from overlay.dao.frost.scalars import ORDER, interpolating_values, scalar_from_bytes, scalar_to_bytes
from overlay.dao.frost.secret import Secret
from tests.dao.frost.groups import Signing, group_of, session_of, taproot

MSG = bytes(range(32))
scalars = st.integers(1, ORDER - 1)


def xonly(pubkey: bytes) -> bytes:
    return pubkey[1:]


@pytest.mark.parametrize("ids", list(itertools.combinations(range(5), 3)), ids=str)
def test_any_three_of_five_sign_for_the_group(ids: tuple[int, ...]) -> None:
    group = group_of(3, 5)
    signature = session_of(group, ids, MSG).signature()
    assert schnorr_verify(MSG, xonly(group.thresh_pk), signature)
    assert coincurve.PublicKeyXOnly(xonly(group.thresh_pk)).verify(signature, MSG)


@pytest.mark.parametrize("ids", [(0, 1, 2), (4, 2, 0), (3, 0, 4, 1), (0, 1, 2, 3, 4)], ids=str)
def test_any_set_of_enough_signers_in_any_order_signs_for_a_taproot_output(ids: tuple[int, ...]) -> None:
    group = group_of(3, 5)
    tweak, output_key = taproot(group)
    signature = session_of(group, ids, MSG, [tweak], [True]).signature()
    assert coincurve.PublicKeyXOnly(output_key).verify(signature, MSG)
    assert not coincurve.PublicKeyXOnly(xonly(group.thresh_pk)).verify(signature, MSG)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(scalars, st.booleans()), max_size=4), st.binary(max_size=80))
def test_any_chain_of_tweaks_and_any_message_gives_a_valid_signature(
    tweaks: list[tuple[int, bool]], msg: bytes
) -> None:
    group = group_of(2, 3)
    raw, modes = [scalar_to_bytes(tweak) for tweak, _ in tweaks], [mode for _, mode in tweaks]
    session = session_of(group, (0, 2), msg, raw, modes)
    assert schnorr_verify(msg, session.coordinator.session.key.get_xonly_pubkey(), session.signature())


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 2), (3, 3)])
def test_thresholds_at_the_edge_sign_too(t: int, n: int) -> None:
    group = group_of(t, n)
    assert schnorr_verify(MSG, xonly(group.thresh_pk), session_of(group, range(t), MSG).signature())


def test_fewer_signers_than_the_threshold_get_no_session() -> None:
    with pytest.raises(ValueError, match="2 signers are not between the threshold 3 and 5"):
        group_of(3, 5).signers([0, 1])


def test_fewer_signers_cannot_pass_for_a_group_with_a_lower_threshold() -> None:
    group = group_of(3, 5)
    with pytest.raises(ValueError, match="do not make up the threshold public key"):
        signing.SignersContext(5, 2, [0, 1], group.outputs[0].pubshares[:2], group.thresh_pk)


def test_what_fewer_signers_make_by_ignoring_all_checks_is_valid_for_another_key_only() -> None:
    group = group_of(3, 5)
    pubshares = group.outputs[0].pubshares[:2]
    points = [Point.parse(pubshare) for pubshare in pubshares]
    their_key = Point.sum(weight * point for weight, point in zip(interpolating_values([1, 2]), points, strict=True))
    signers = signing.SignersContext(5, 2, [0, 1], pubshares, their_key.to_bytes())
    nonces = [nonce_gen(bytes([i] * 32)) for i in (1, 2)]
    coordinator = signing.SigningCoordinator(signers, [pubnonce for _, pubnonce in nonces], MSG)
    for index, (secnonce, _) in enumerate(nonces):
        coordinator.accept(index, signing.sign(secnonce, group.secshare(index), index, coordinator.session))
    assert schnorr_verify(MSG, their_key.to_xonly(), coordinator.signature())
    assert not schnorr_verify(MSG, xonly(group.thresh_pk), coordinator.signature())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2), scalars)
def test_a_wrong_partial_signature_is_blamed_on_its_signer_and_the_others_stand(index: int, shift: int) -> None:
    session = session_of(group_of(3, 5), (1, 2, 4), MSG)
    psigs = [session.psig(i) for i in range(3)]
    psigs[index] = scalar_to_bytes(scalar_from_bytes(psigs[index]) + shift)
    for honest in {0, 1, 2} - {index}:
        session.coordinator.accept(honest, psigs[honest])
    with pytest.raises(InvalidContributionError) as caught:
        session.coordinator.accept(index, psigs[index])
    assert (caught.value.signer, caught.value.what) == (index, "psig")
    assert session.coordinator.missing() == [index]


def test_a_signature_with_a_missing_part_is_not_given_out() -> None:
    session = session_of(group_of(3, 5), (1, 2, 4), MSG)
    session.coordinator.accept(0, session.psig(0))
    with pytest.raises(ValueError, match=r"\[1, 2\] are missing"):
        session.coordinator.signature()


@pytest.mark.parametrize("index", [-1, 3])
def test_a_partial_signature_from_nowhere_is_the_callers_fault(index: int) -> None:
    session = session_of(group_of(3, 5), (1, 2, 4), MSG)
    with pytest.raises(ValueError, match="no signer at index"):
        session.coordinator.accept(index, session.psig(2))


def test_swapped_partial_signatures_are_refused_though_their_sum_is_right() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    first, second = session.psig(0), session.psig(1)
    assert not session.coordinator.verify(0, second)
    assert not session.coordinator.verify(1, first)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=70))
def test_any_bytes_as_a_partial_signature_are_just_wrong(raw: bytes) -> None:
    assert not session_of(group_of(2, 3), (0, 1), MSG).coordinator.verify(1, raw)


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.binary(max_size=70), st.binary(min_size=66, max_size=66)))
def test_any_bytes_as_a_nonce_are_blamed_on_whoever_sent_them(raw: bytes) -> None:
    group = group_of(2, 3)
    good = nonce_gen(bytes([7] * 32))[1]
    assume(not raw.startswith((b"\x02", b"\x03")))
    with pytest.raises(InvalidContributionError) as caught:
        signing.SigningCoordinator(group.signers([0, 1]), [good, raw], MSG)
    assert (caught.value.signer, caught.value.what) == (1, "pubnonce")
    assume(raw != bytes(66))  # Infinity, twice: legal in a sum.
    with pytest.raises(InvalidContributionError) as caught:
        signing.SessionContext(group.signers([0, 1]), raw, MSG)
    assert (caught.value.signer, caught.value.what) == (None, "aggnonce")


def test_a_signer_who_cancels_the_nonces_of_the_others_is_the_one_who_cannot_go_on() -> None:
    group = group_of(2, 3)
    (secnonce, honest), (void, _) = nonce_gen(bytes([1] * 32)), nonce_gen(bytes([2] * 32))
    R1, R2 = parse_pubnonces([honest])[0]
    coordinator = signing.SigningCoordinator(group.signers([0, 1]), [honest, (-R1).to_bytes() + (-R2).to_bytes()], MSG)
    assert coordinator.session.aggnonce == bytes(66)
    coordinator.accept(0, signing.sign(secnonce, group.secshare(0), 0, coordinator.session))
    with pytest.raises(ArithmeticError, match="does not verify"):
        # Whatever nonce it pretends, its share of the equation is bound to the nonce that it sent.
        coordinator.accept(1, _signed_regardless(coordinator, void, group.secshare(1)))


def _signed_regardless(coordinator: signing.SigningCoordinator, nonce: SecretNonce, secshare: bytes) -> bytes:
    k1, k2 = nonce.take()
    psig = (k1 + k2 * coordinator.session.b + Secret(secshare) * coordinator.session.share_factor(1)).to_bytes()
    if not coordinator.verify(1, psig):
        raise ArithmeticError("the partial signature of the one who cancelled the nonces does not verify")
    return psig


def test_three_signatures_under_one_nonce_would_give_the_share_away() -> None:
    """The attack that `SecretNonce` prevents, run against the scalars of a nonce copied behind its back.

    Each partial signature is one linear equation in k1, k2 and d with public coefficients.
    """
    group = group_of(2, 3)
    secnonce, pubnonce = nonce_gen(bytes([5] * 32))
    copies = [scalar.to_bytes() for scalar in secnonce.take()]
    equations = []
    for round_number in range(3):
        other = nonce_gen(bytes([10 + round_number] * 32))[1]
        session = signing.SessionContext(group.signers([0, 1]), nonce_agg([pubnonce, other]), MSG)
        psig = signing.sign(SecretNonce((Secret(copies[0]), Secret(copies[1]))), group.secshare(0), 0, session)
        sign = 1 if session.R.has_even_y() else -1
        equations.append(([sign, sign * session.b, session.share_factor(0)], scalar_from_bytes(psig)))
    assert _solve_for_last(equations) == scalar_from_bytes(group.secshare(0))


def _solve_for_last(equations: list[tuple[list[int], int]]) -> int:
    """The third unknown of three linear equations modulo the order, by Cramer's rule."""
    left = [row for row, _ in equations]
    swapped = [[*row[:2], value] for row, value in equations]
    return _determinant(swapped) * pow(_determinant(left), -1, ORDER) % ORDER


def _determinant(m: list[list[int]]) -> int:
    (a, b, c), (d, e, f), (g, h, i) = m
    return (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) % ORDER


def test_a_secret_nonce_signs_once() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    session.psig(0)
    with pytest.raises(NonceUsedError):
        session.psig(0)


def test_a_secret_nonce_is_void_after_a_failed_attempt_too() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    with pytest.raises(ValueError, match="not that of participant 0"):
        signing.sign(session.secnonces[0], session.group.secshare(1), 0, session.coordinator.session)
    with pytest.raises(NonceUsedError):
        session.psig(0)


def test_a_signer_who_is_not_in_the_session_signs_nothing() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    with pytest.raises(ValueError, match="participant 2 is not one of the signers"):
        signing.sign(session.secnonces[0], session.group.secshare(2), 2, session.coordinator.session)


def test_a_secret_nonce_is_erased_when_it_has_signed() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    kept = session.secnonces[0]._held[0]
    session.psig(0)
    assert [scalar.to_bytes() for scalar in kept] == [bytes(32)] * 2


def test_a_secret_nonce_given_up_is_erased_and_void() -> None:
    secnonce, _ = nonce_gen(bytes([1] * 32))
    kept = secnonce._held[0]
    secnonce.void()
    assert [scalar.to_bytes() for scalar in kept] == [bytes(32)] * 2
    with pytest.raises(NonceUsedError):
        secnonce.take()


def test_of_many_threads_that_race_for_a_nonce_one_gets_it() -> None:
    for attempt in range(50):
        secnonce, _ = nonce_gen(bytes([attempt + 1] * 32))
        with ThreadPoolExecutor(8) as pool:
            outcomes = [pool.submit(secnonce.take).exception() for _ in range(8)]
        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, NonceUsedError) for outcome in outcomes) == 7


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__)
def test_a_secret_nonce_cannot_be_duplicated(duplicate: object) -> None:
    assert callable(duplicate)
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        duplicate(nonce_gen(bytes([1] * 32))[0])


def test_a_secret_nonce_shows_nothing_but_whether_it_is_used() -> None:
    secnonce, _ = nonce_gen(bytes([1] * 32))
    assert repr(secnonce) == "SecretNonce(unused)"
    secnonce.take()
    assert repr(secnonce) == "SecretNonce(void)"


def test_the_same_randomness_in_two_sessions_still_gives_two_nonces() -> None:
    rand = bytes([9] * 32)
    fields = [{}, {"msg": b""}, {"msg": b"a"}, {"extra_in": b"a"}, {"secshare": bytes([1] * 32)}]
    assert len({nonce_gen(rand, **field)[1] for field in fields}) == len(fields)


@pytest.mark.parametrize(
    "field", [{"rand": bytes(31)}, {"secshare": bytes(31)}, {"pubshare": bytes(32)}, {"thresh_pk": bytes(33)}]
)
def test_a_nonce_from_fields_of_a_wrong_length_is_refused(field: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="bytes, not"):
        nonce_gen(**({"rand": bytes([1] * 32)} | field))


def test_a_wrong_number_of_nonces_or_partial_signatures_is_the_callers_fault() -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    with pytest.raises(ValueError, match="2 signers but 1 public nonces"):
        signing.SigningCoordinator(session.group.signers([0, 1]), [bytes(66)], MSG)
    with pytest.raises(ValueError, match="2 signers but 1 partial signatures"):
        signing.partial_sig_agg([session.psig(0)], session.coordinator.session)


def test_a_tweak_cannot_take_the_key_to_infinity() -> None:
    context = signing.TweakContext(Point.generated_by(5))
    with pytest.raises(ValueError, match="infinity"):
        context.apply(scalar_to_bytes(-5), is_xonly=False)


def test_public_shares_that_cancel_out_make_no_key() -> None:
    """With all weights and shares chosen so that the sum is infinity, no 33 bytes are its key."""
    weights = interpolating_values([1, 2])
    inverse = pow(weights[1], -1, ORDER)
    pubshares = [Point.generated_by(1).to_bytes(), Point.generated_by(-weights[0] * inverse).to_bytes()]
    with pytest.raises(ValueError, match="do not make up"):
        signing.SignersContext(2, 2, [0, 1], pubshares, INFINITY.to_bytes())


def test_two_sessions_of_one_context_do_not_disturb_each_other() -> None:
    group = group_of(2, 3)
    sessions: list[Signing] = [session_of(group, (0, 1), msg, label=str(msg)) for msg in (b"a", b"b")]
    for session, msg in zip(sessions, (b"a", b"b"), strict=True):
        assert schnorr_verify(msg, xonly(group.thresh_pk), session.signature())


@pytest.mark.parametrize(("t", "n"), [(0, 3), (4, 3), (1, 2**32)])
def test_a_threshold_that_does_not_fit_is_refused(t: int, n: int) -> None:
    group = group_of(2, 3)
    with pytest.raises(ValueError, match="does not fit"):
        signing.SignersContext(n, t, [0, 1], group.outputs[0].pubshares[:2], group.thresh_pk)


def test_each_signer_needs_one_public_share() -> None:
    group = group_of(2, 3)
    with pytest.raises(ValueError, match="2 signers but 3 public shares"):
        signing.SignersContext(3, 2, [0, 1], group.outputs[0].pubshares, group.thresh_pk)


def test_the_plain_key_shows_the_parity_that_a_control_block_needs() -> None:
    key = signing.TweakContext.init(group_of(2, 3).thresh_pk)
    assert key.get_plain_pubkey() == group_of(2, 3).thresh_pk
    assert (key.get_plain_pubkey()[0] & 1 == 0) is Point.parse(group_of(2, 3).thresh_pk).has_even_y()


def faulty(self: Secret, other: Secret | int) -> Secret:
    """A multiplication as a machine with a flipped bit might do it."""
    result = Secret(self.to_bytes())
    result.multiply(other)
    result.multiply(2)
    return result


def test_a_machine_that_computes_wrongly_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    monkeypatch.setattr(Secret, "__mul__", faulty)
    with pytest.raises(ArithmeticError, match="partial signature just made does not verify"):
        session.psig(0)
    with pytest.raises(ArithmeticError, match="signature just made does not verify"):
        schnorr_sign(MSG, bytes([1] * 32), bytes(32))


def test_a_sum_that_does_not_verify_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(group_of(2, 3), (0, 1), MSG)
    monkeypatch.setattr(signing.SigningCoordinator, "verify", lambda *_: True)
    for index in (0, 1):
        session.coordinator.accept(index, bytes(32))
    with pytest.raises(ArithmeticError, match="added up to an invalid signature"):
        session.coordinator.signature()


def test_a_sole_signer_needs_no_nonces_of_others_and_others_need_them() -> None:
    alone, pair = group_of(1, 3), group_of(2, 3)
    others = nonce_gen(bytes([1] * 32))[1]
    signature = deterministic_sign(alone.secshare(1), 1, None, alone.signers([1]), MSG)
    session = signing.SessionContext(alone.signers([1]), signature[0], MSG)
    assert schnorr_verify(MSG, xonly(alone.thresh_pk), signing.partial_sig_agg([signature[1]], session))
    for group, ids, aggothernonce in ((alone, [1], others), (pair, [1, 2], None)):
        with pytest.raises(ValueError, match="where there are others, and only there"):
            deterministic_sign(group.secshare(1), 1, aggothernonce, group.signers(ids), MSG)


@pytest.mark.parametrize(("secshare", "rand"), [(bytes(31), None), (bytes([1] * 32), bytes(31))])
def test_a_deterministic_nonce_from_fields_of_a_wrong_length_is_refused(secshare: bytes, rand: bytes | None) -> None:
    with pytest.raises(ValueError, match="bytes, not 31"):
        deterministic_sign(secshare, 1, None, group_of(1, 3).signers([1]), MSG, rand=rand)
