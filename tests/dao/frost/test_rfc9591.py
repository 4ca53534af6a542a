"""FROST of RFC 9591: the published runs of two suites, and plain Ed25519 signatures from a group."""

import copy
import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost.ciphersuite import Ciphersuite
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.onetime import NonceUsedError
from overlay.dao.frost.rfc9591 import GroupKey, Session, SessionCoordinator, SigningNonces, commit, sign
from tests.dao.frost.groups import stream
from tests.dao.frost.published import Vector, cases
from tests.dao.frost.secp256k1_suite import SECP256K1

MSG = b"block 7 of the council"

# RFC 9591, appendix E.1: FROST(Ed25519, SHA-512), participants 1 and 3 of 3, threshold 2.
RFC9591_E1: Vector = {
    "inputs": {
        "group_secret_key": "7b1c33d3f5291d85de664833beb1ad469f7fb6025a0ec78b3a790c6e13a98304",
        "group_public_key": "15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673",
        "message": "74657374",
        "share_polynomial_coefficients": ["178199860edd8c62f5212ee91eff1295d0d670ab4ed4506866bae57e7030b204"],
        "participant_shares": [
            {
                "identifier": 1,
                "participant_share": "929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509",
            },
            {
                "identifier": 2,
                "participant_share": "a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d",
            },
            {
                "identifier": 3,
                "participant_share": "d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02",
            },
        ],
    },
    "round_one_outputs": {
        "outputs": [
            {
                "identifier": 1,
                "hiding_nonce_randomness": "0fd2e39e111cdc266f6c0f4d0fd45c947761f1f5d3cb583dfcb9bbaf8d4c9fec",
                "binding_nonce_randomness": "69cd85f631d5f7f2721ed5e40519b1366f340a87c2f6856363dbdcda348a7501",
                "hiding_nonce": "812d6104142944d5a55924de6d49940956206909f2acaeedecda2b726e630407",
                "binding_nonce": "b1110165fc2334149750b28dd813a39244f315cff14d4e89e6142f262ed83301",
                "hiding_nonce_commitment": "b5aa8ab305882a6fc69cbee9327e5a45e54c08af61ae77cb8207be3d2ce13de3",
                "binding_nonce_commitment": "67e98ab55aa310c3120418e5050c9cf76cf387cb20ac9e4b6fdb6f82a469f932",
                "binding_factor": "f2cb9d7dd9beff688da6fcc83fa89046b3479417f47f55600b106760eb3b5603",
            },
            {
                "identifier": 3,
                "hiding_nonce_randomness": "86d64a260059e495d0fb4fcc17ea3da7452391baa494d4b00321098ed2a0062f",
                "binding_nonce_randomness": "13e6b25afb2eba51716a9a7d44130c0dbae0004a9ef8d7b5550c8a0e07c61775",
                "hiding_nonce": "c256de65476204095ebdc01bd11dc10e57b36bc96284595b8215222374f99c0e",
                "binding_nonce": "243d71944d929063bc51205714ae3c2218bd3451d0214dfb5aeec2a90c35180d",
                "hiding_nonce_commitment": "cfbdb165bd8aad6eb79deb8d287bcc0ab6658ae57fdcc98ed12c0669e90aec91",
                "binding_nonce_commitment": "7487bc41a6e712eea2f2af24681b58b1cf1da278ea11fe4e8b78398965f13552",
                "binding_factor": "b087686bf35a13f3dc78e780a34b0fe8a77fef1b9938c563f5573d71d8d7890f",
            },
        ]
    },
    "round_two_outputs": {
        "outputs": [
            {"identifier": 1, "sig_share": "001719ab5a53ee1a12095cd088fd149702c0720ce5fd2f29dbecf24b7281b603"},
            {"identifier": 3, "sig_share": "bd86125de990acc5e1f13781d8e32c03a9bbd4c53539bbc106058bfd14326007"},
        ]
    },
    "final_output": {
        "sig": "36282629c383bb820a88b71cae937d41f2f2adfcc3d02e55507e2fb9e2dd3cbe"
        "bd9d2b0844e49ae0f3fa935161e1419aab7b47d21a37ebeae1f17d4987b3160b"
    },
}


def whole_run(data: Vector) -> Iterator[tuple[str, Vector]]:
    yield "secp256k1", {"suite": SECP256K1, "run": data}


RUNS = [
    pytest.param({"suite": ED25519, "run": RFC9591_E1}, id="ed25519"),
    *cases("rfc9591", "frost-secp256k1-sha256", whole_run),
]


def share_at(suite: Ciphersuite, coefficients: list[bytes], participant: int) -> bytes:
    """A trusted dealer's share: the polynomial with these coefficients, constant term first, at participant + 1."""
    value = suite.scalar(0)
    for coefficient in reversed(coefficients):
        value = suite.scalar_add(suite.scalar_mul(value, suite.scalar(participant + 1)), coefficient)
    return value


def dealt(suite: Ciphersuite, coefficients: list[bytes], n: int) -> tuple[GroupKey, list[bytes]]:
    """A group's key and all secret shares, from a trusted dealer (RFC 9591, appendix C)."""
    shares = [share_at(suite, coefficients, participant) for participant in range(n)]
    pubshares = [suite.base_mul(share) for share in shares]
    return GroupKey(suite, len(coefficients), suite.base_mul(coefficients[0]), pubshares), shares


class Run:
    """A published run, as arguments of our functions."""

    def __init__(self, case: Vector) -> None:
        self.suite: Ciphersuite = case["suite"]
        run, unhex = case["run"], bytes.fromhex
        self.inputs: dict[str, Any] = run["inputs"]
        self.round_one = run["round_one_outputs"]["outputs"]
        self.shares_out = [unhex(output["sig_share"]) for output in run["round_two_outputs"]["outputs"]]
        self.signature = unhex(run["final_output"]["sig"])
        secret = unhex(self.inputs["group_secret_key"])
        coefficients = [secret, *map(unhex, self.inputs["share_polynomial_coefficients"])]
        self.key, self.shares = dealt(self.suite, coefficients, len(self.inputs["participant_shares"]))
        self.ids = [output["identifier"] - 1 for output in self.round_one]

    def commitments(self) -> list[bytes]:
        names = ("hiding_nonce_commitment", "binding_nonce_commitment")
        return [b"".join(bytes.fromhex(output[name]) for name in names) for output in self.round_one]

    def session(self) -> Session:
        return Session(self.key, self.ids, self.commitments(), bytes.fromhex(self.inputs["message"]))


def nonces_of(run: Run, output: Vector) -> tuple[Any, bytes]:
    names = ("hiding_nonce_randomness", "binding_nonce_randomness")
    rand = b"".join(bytes.fromhex(output[name]) for name in names)
    return commit(run.suite, run.shares[output["identifier"] - 1], rand)


@pytest.mark.parametrize("case", RUNS)
def test_shares_of_a_dealer_come_out_as_published(case: Vector) -> None:
    run = Run(case)
    assert run.key.public_key == bytes.fromhex(run.inputs["group_public_key"])
    assert [share.hex() for share in run.shares] == [
        entry["participant_share"] for entry in run.inputs["participant_shares"]
    ]


@pytest.mark.parametrize("case", RUNS)
def test_nonces_and_commitments_come_out_as_published(case: Vector) -> None:
    run = Run(case)
    for output, commitment in zip(run.round_one, run.commitments(), strict=True):
        nonces, made = nonces_of(run, output)
        assert made == commitment
        assert [nonce.hex() for nonce in nonces.take()] == [output["hiding_nonce"], output["binding_nonce"]]


@pytest.mark.parametrize("case", RUNS)
def test_binding_factors_come_out_as_published(case: Vector) -> None:
    run = Run(case)
    assert [factor.hex() for factor in run.session().factors] == [output["binding_factor"] for output in run.round_one]


@pytest.mark.parametrize("case", RUNS)
def test_signature_shares_and_signature_come_out_as_published(case: Vector) -> None:
    run = Run(case)
    session = run.session()
    coordinator = SessionCoordinator(session)
    for index, (participant, output) in enumerate(zip(run.ids, run.round_one, strict=True)):
        share = sign(nonces_of(run, output)[0], run.shares[participant], participant, session)
        assert share == run.shares_out[index]
        coordinator.accept(index, share)
    assert coordinator.signature() == run.signature


def council() -> tuple[GroupKey, list[bytes]]:
    """A 3-of-5 Ed25519 key."""
    coefficients = [ED25519.hash_to_scalar("test", bytes([j])) for j in range(3)]
    return dealt(ED25519, coefficients, 5)


def signing(ids: tuple[int, ...], msg: bytes = MSG) -> tuple[Session, list[Any], list[bytes]]:
    """A session of the council with fresh nonces."""
    key, shares = council()
    rand = stream(f"council {ids} {msg!r}")
    begun = [commit(ED25519, shares[i], next(rand) + next(rand)) for i in ids]
    session = Session(key, ids, [commitment for _, commitment in begun], msg)
    return session, [nonces for nonces, _ in begun], shares


def signature_of(ids: tuple[int, ...], msg: bytes = MSG) -> bytes:
    session, nonces, shares = signing(ids, msg)
    coordinator = SessionCoordinator(session)
    for index, participant in enumerate(ids):
        coordinator.accept(index, sign(nonces[index], shares[participant], participant, session))
    return coordinator.signature()


@pytest.mark.parametrize("ids", [*itertools.combinations(range(5), 3), (4, 0, 2, 1), (4, 3, 2, 1, 0)], ids=str)
def test_enough_members_in_any_order_make_a_plain_ed25519_signature(ids: tuple[int, ...]) -> None:
    key, _ = council()
    nacl.signing.VerifyKey(key.public_key).verify(MSG, signature_of(ids))


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=300))
def test_any_message_can_be_signed(msg: bytes) -> None:
    assert ED25519.verify(council()[0].public_key, msg, signature_of((0, 1, 2), msg))


def test_a_signature_is_for_its_message_only() -> None:
    signature = signature_of((0, 1, 2))
    key = council()[0].public_key
    assert not ED25519.verify(key, MSG + b".", signature)
    assert not ED25519.verify(key, MSG, signature[:-1])
    assert not ED25519.verify(key[:-1], MSG, signature)


def test_too_few_members_get_no_session() -> None:
    with pytest.raises(ValueError, match="2 signers are fewer than the threshold 3"):
        signing((0, 1))


def test_too_few_members_who_ignore_the_threshold_make_no_signature_of_the_group() -> None:
    key, shares = council()
    lowered = GroupKey(ED25519, 2, key.public_key, key.pubshares)
    begun = [commit(ED25519, shares[i], bytes([i + 1] * 64)) for i in (0, 1)]
    session = Session(lowered, [0, 1], [commitment for _, commitment in begun], MSG)
    coordinator = SessionCoordinator(session)
    for i, (nonces, _) in enumerate(begun):
        coordinator.accept(i, sign(nonces, shares[i], i, session))
    with pytest.raises(ArithmeticError, match="invalid signature"):
        coordinator.signature()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2), st.integers(1, ED25519.order - 1))
def test_a_wrong_share_is_blamed_on_its_signer(index: int, shift: int) -> None:
    ids = (1, 2, 4)
    session, nonces, shares = signing(ids)
    coordinator = SessionCoordinator(session)
    for i, participant in enumerate(ids):
        share = sign(nonces[i], shares[participant], participant, session)
        if i != index:
            coordinator.accept(i, share)
            continue
        with pytest.raises(InvalidContributionError) as caught:
            coordinator.accept(i, ED25519.scalar_add(share, ED25519.scalar(shift)))
        assert (caught.value.signer, caught.value.what) == (index, "signature share")
    assert coordinator.missing() == [index]


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.binary(max_size=70), st.binary(min_size=32, max_size=32)))
def test_any_bytes_as_a_share_are_just_wrong(raw: bytes) -> None:
    assert not SessionCoordinator(signing((0, 1, 2))[0]).verify(1, raw)


SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]


@pytest.mark.parametrize("half", [*SMALL_ORDER, b"\xff" * 32, b"", bytes(31)], ids=lambda raw: raw.hex()[:8])
def test_a_commitment_that_is_no_pair_of_elements_is_blamed_on_its_signer(half: bytes) -> None:
    session, _, _ = signing((0, 1, 2))
    good = session.commitments[1]
    for bad in (half + good[32:], good[:32] + half):
        with pytest.raises(InvalidContributionError) as caught:
            Session(session.key, session.ids, [session.commitments[0], bad, session.commitments[2]], MSG)
        assert (caught.value.signer, caught.value.what) == (1, "commitment")


def test_an_element_with_a_part_of_small_order_is_refused() -> None:
    """A point of the group plus the point of order two would pass every check but that of the subgroup."""
    mixed = ED25519.element_add(council()[0].public_key, SMALL_ORDER[2])
    with pytest.raises(ValueError, match="prime-order group"):
        ED25519.check_element(mixed)


def test_nonces_sign_once_even_if_the_first_attempt_fails() -> None:
    session, nonces, shares = signing((0, 1, 2))
    with pytest.raises(ValueError, match="not those of participant 0"):
        sign(nonces[0], shares[1], 0, session)
    with pytest.raises(NonceUsedError):
        sign(nonces[0], shares[0], 0, session)
    with pytest.raises(ValueError, match="participant 3 is not one of the signers"):
        sign(nonces[1], shares[3], 3, session)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__)
def test_nonces_cannot_be_duplicated_or_shown(duplicate: object) -> None:
    assert callable(duplicate)
    nonces = signing((0, 1, 2))[1][0]
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        duplicate(nonces)
    assert repr(nonces) == "SigningNonces(unused)"
    nonces.void()
    assert repr(nonces) == "SigningNonces(void)"


def test_sets_of_signers_that_make_no_sense_are_refused() -> None:
    key, _ = council()
    for ids, message in (((0, 0, 1), "twice"), ((0, 1, 5), "not among"), ((0, 1, -1), "not among")):
        with pytest.raises(ValueError, match=message):
            Session(key, ids, [b""] * 3, MSG)
    with pytest.raises(ValueError, match="3 signers but 2 commitments"):
        Session(key, (0, 1, 2), [b""] * 2, MSG)


def test_keys_that_make_no_sense_are_refused() -> None:
    key, _ = council()
    for t in (0, 6):
        with pytest.raises(ValueError, match="does not fit"):
            GroupKey(ED25519, t, key.public_key, key.pubshares)
    with pytest.raises(ValueError, match="prime-order group"):
        GroupKey(ED25519, 3, bytes(32), key.pubshares)


@pytest.mark.parametrize(("share", "rand"), [(b"\xff" * 32, bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63))])
def test_nonces_from_bad_arguments_are_refused(share: bytes, rand: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        commit(ED25519, share, rand)


def test_three_shares_under_one_pair_of_nonces_would_give_the_secret_share_away() -> None:
    """The attack that `SigningNonces` prevents: each share is one linear equation in both nonces and the secret."""
    key, shares = council()
    hiding, binding = commit(ED25519, shares[0], bytes(range(64)))[0].take()
    mine = ED25519.base_mul(hiding) + ED25519.base_mul(binding)
    rows, values = [], []
    for number in range(3):
        others = [commit(ED25519, shares[i], bytes([number + i + 1]) * 64)[1] for i in range(1, key.t)]
        session = Session(key, tuple(range(key.t)), [mine, *others], MSG)
        share = sign(SigningNonces((hiding, binding)), shares[0], 0, session)
        rows.append([1, number_of(session.factors[0]), number_of(session.share_factor(0))])
        values.append(number_of(share))
    left = determinant(rows)
    swapped = determinant([[*row[:2], value] for row, value in zip(rows, values, strict=True)])
    assert swapped * pow(left, -1, ED25519.order) % ED25519.order == number_of(shares[0])


def number_of(scalar: bytes) -> int:
    return int.from_bytes(scalar, "little")


def determinant(m: list[list[int]]) -> int:
    (a, b, c), (d, e, f), (g, h, i) = m
    return (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) % ED25519.order
