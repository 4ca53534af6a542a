"""The package as its documentation shows it."""

import doctest

import overlay.dao.frost


def test_the_documented_example_runs_as_written() -> None:
    result = doctest.testmod(overlay.dao.frost)
    assert result.attempted > 20
    assert result.failed == 0
