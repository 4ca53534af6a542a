"""Points, with infinity as one of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.dao.frost.group import GENERATOR, INFINITY, Point
from overlay.dao.frost.scalars import ORDER

scalars = st.one_of(st.integers(-3, 3), st.integers(0, ORDER - 1))
P = Point.generated_by(12345)


@settings(deadline=None)
@given(scalars, scalars)
def test_points_add_and_multiply_as_their_scalars_do(a: int, b: int) -> None:
    A, B = Point.generated_by(a), Point.generated_by(b)
    assert Point.generated_by(a + b) == A + B
    assert Point.generated_by(a - b) == A - B
    assert b * A == Point.generated_by(a * b)


@settings(deadline=None)
@given(st.lists(scalars, max_size=6))
def test_a_sum_of_many_is_the_sum_of_their_scalars(values: list[int]) -> None:
    assert Point.sum(Point.generated_by(value) for value in values) == Point.generated_by(sum(values))


def test_infinity_is_neutral_and_what_opposites_make() -> None:
    assert P + INFINITY == P == INFINITY + P
    assert P - P == INFINITY == -INFINITY == 0 * P == 7 * INFINITY == ORDER * P
    assert INFINITY.is_infinity
    assert not P.is_infinity


def test_infinity_is_thirty_three_zeros_where_it_is_allowed() -> None:
    assert INFINITY.to_bytes() == bytes(33)
    assert Point.parse_extended(bytes(33)) == INFINITY
    with pytest.raises(ValueError, match="could not be parsed"):
        Point.parse(bytes(33))


def test_infinity_has_no_coordinates() -> None:
    for ask in (INFINITY.to_xonly, INFINITY.has_even_y, INFINITY.with_even_y):
        with pytest.raises(ValueError, match="no coordinates"):
            ask()


@settings(deadline=None)
@given(st.integers(1, ORDER - 1))
def test_a_point_is_read_as_it_was_written(scalar: int) -> None:
    point = Point.generated_by(scalar)
    assert Point.parse(point.to_bytes()) == point == Point.parse_extended(point.to_bytes())
    assert Point.lift_x(point.to_xonly()) == point.with_even_y()
    assert hash(Point.parse(point.to_bytes())) == hash(point)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        P.to_bytes()[:-1],
        P.to_bytes() + b"\x00",
        b"\x04" + P.to_xonly(),
        b"\x02" + b"\xff" * 32,
        b"\x02" + bytes(31) + b"\x05",
        P.key.format(compressed=False),
    ],
    ids=["empty", "short", "long", "tag", "beyond-field", "off-curve", "uncompressed"],
)
def test_bytes_that_are_no_compressed_point_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"point|key"):
        Point.parse(raw)
    with pytest.raises(ValueError, match=r"point|key"):
        Point.parse_extended(raw)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_x_coordinate_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="x-only key is 32 bytes"):
        Point.lift_x(bytes(size))


def test_a_view_of_bytes_is_read_like_bytes() -> None:
    assert Point.parse(memoryview(P.to_bytes())) == P


def test_the_generator_generates() -> None:
    assert GENERATOR.to_xonly().hex() == "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    assert object() != P
    assert repr(GENERATOR).startswith("Point(0279be")
