"""Secret scalars: right in arithmetic, silent, erasable."""

import copy
import pickle

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overlay.dao.frost.group import INFINITY, Point
from overlay.dao.frost.scalars import ORDER, scalar_to_bytes
from overlay.dao.frost.secret import Secret

scalars = st.integers(1, ORDER - 1)
ONE = scalar_to_bytes(1)


def secret(value: int) -> Secret:
    return Secret(scalar_to_bytes(value))


@given(scalars, scalars)
def test_secrets_compute_as_integers_modulo_the_order(a: int, b: int) -> None:
    assume(a != b)
    assume((a + b) % ORDER != 0)
    x, y = secret(a), secret(b)
    assert (x + y).to_bytes() == (x + b).to_bytes() == scalar_to_bytes(a + b)
    assert (x - y).to_bytes() == scalar_to_bytes(a - b)
    assert (x * y).to_bytes() == (x * b).to_bytes() == scalar_to_bytes(a * b)
    assert (-x).to_bytes() == scalar_to_bytes(-a)
    assert (x.to_bytes(), y.to_bytes()) == (scalar_to_bytes(a), scalar_to_bytes(b))


@settings(deadline=None)
@given(scalars, scalars)
def test_two_parties_agree_on_a_key(a: int, b: int) -> None:
    assert secret(a).point() == Point.generated_by(a)
    assert secret(a).ecdh(secret(b).point()) == secret(b).ecdh(secret(a).point())


@pytest.mark.parametrize("raw", [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31), bytes(33), b""])
def test_what_is_not_between_one_and_the_order_is_no_secret(raw: bytes) -> None:
    with pytest.raises(ValueError, match="a secret scalar"):
        Secret(raw)


def test_secrets_that_cancel_out_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="cancelled out"):
        secret(5) + -5
    with pytest.raises(ArithmeticError, match="by zero"):
        secret(5) * 0


def test_a_hash_beyond_the_order_wraps_around() -> None:
    assert Secret.from_hash((ORDER + 1).to_bytes(32, "big")).to_bytes() == ONE
    with pytest.raises(ValueError, match="out of range"):
        Secret.from_hash(ORDER.to_bytes(32, "big"))


def test_no_key_is_agreed_on_with_infinity() -> None:
    with pytest.raises(ValueError, match="infinity"):
        secret(5).ecdh(INFINITY)


def test_a_wiped_secret_is_gone() -> None:
    wiped = secret(5)
    wiped.wipe()
    assert wiped.to_bytes() == bytes(32)
    with pytest.raises(ArithmeticError):
        wiped.add(1)
    with pytest.raises(ValueError, match="Invalid secret"):
        wiped.point()


def test_a_secret_that_nobody_refers_to_is_erased() -> None:
    forgotten = secret(5)
    raw = forgotten._raw
    del forgotten
    assert bytes(raw) == bytes(32)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__)
def test_a_secret_cannot_be_duplicated_or_shown(duplicate: object) -> None:
    assert callable(duplicate)
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        duplicate(secret(5))
    assert repr(secret(5)) == str(secret(5)) == "Secret(...)"
