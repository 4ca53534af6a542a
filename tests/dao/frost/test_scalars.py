"""Public scalars and interpolation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost.scalars import (
    ORDER,
    batch_inverse,
    interpolating_values,
    scalar_from_bytes,
    scalar_from_hash,
    scalar_to_bytes,
)

scalars = st.integers(1, ORDER - 1)


@given(st.lists(scalars, max_size=20))
def test_inverses_made_in_a_batch_are_inverses(values: list[int]) -> None:
    assert [value * inverse % ORDER for value, inverse in zip(values, batch_inverse(values), strict=True)] == [1] * len(
        values
    )


@settings(max_examples=50)
@given(st.lists(scalars, min_size=1, max_size=8), st.data())
def test_any_t_points_of_a_polynomial_give_its_value_at_zero(coefficients: list[int], data: st.DataObject) -> None:
    places = data.draw(
        st.lists(st.integers(1, 2**32), min_size=len(coefficients), max_size=len(coefficients) + 3, unique=True)
    )
    values = [sum(c * x**j for j, c in enumerate(coefficients)) for x in places]
    weights = interpolating_values(places)
    assert sum(w * v for w, v in zip(weights, values, strict=True)) % ORDER == coefficients[0]


def test_weights_follow_the_order_of_the_places() -> None:
    assert interpolating_values([3, 1, 2]) == [
        dict(zip([1, 2, 3], interpolating_values([1, 2, 3]), strict=True))[x] for x in (3, 1, 2)
    ]


@pytest.mark.parametrize("raw", [ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31), bytes(33), b""])
def test_bytes_that_are_no_scalar_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="a scalar"):
        scalar_from_bytes(raw)


def test_the_greatest_scalar_and_zero_are_read() -> None:
    assert scalar_from_bytes((ORDER - 1).to_bytes(32, "big")) == ORDER - 1
    assert scalar_from_bytes(bytes(32)) == 0


def test_a_hash_beyond_the_order_wraps_around() -> None:
    assert scalar_from_hash(scalar_to_bytes(ORDER - 1)) == ORDER - 1
    assert scalar_from_hash((ORDER + 3).to_bytes(32, "big")) == 3
