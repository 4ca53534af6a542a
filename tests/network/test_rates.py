"""Rates: what is granted at once, in the long run, and to whom."""

import pytest

from overlay.network.rates import Allowance, Buckets, Rate
from tests.town import HandClock

RATE = Rate(per_second=2, burst=3)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def grants(buckets: Buckets[str] | Allowance[str], key: str, tries: int) -> int:
    return sum(buckets.take(key) for _ in range(tries))


def test_a_full_bucket_grants_its_burst_and_not_one_more(clock: HandClock) -> None:
    assert grants(Buckets(clock, RATE), "baker", 10) == 3


async def test_a_bucket_fills_at_its_rate_and_never_above_its_burst(clock: HandClock) -> None:
    buckets: Buckets[str] = Buckets(clock, RATE)
    grants(buckets, "baker", 3)
    await clock.sleep(0.5)
    assert grants(buckets, "baker", 10) == 1
    await clock.sleep(3600)
    assert grants(buckets, "baker", 10) == 3


async def test_a_clock_that_jumps_back_takes_nothing_away_and_grants_nothing(clock: HandClock) -> None:
    buckets: Buckets[str] = Buckets(clock, RATE)
    grants(buckets, "baker", 2)
    await clock.sleep(-7200)
    assert grants(buckets, "baker", 10) == 1


def test_one_key_does_not_use_up_what_another_has(clock: HandClock) -> None:
    buckets: Buckets[str] = Buckets(clock, RATE)
    grants(buckets, "liar", 1000)
    assert grants(buckets, "baker", 10) == 3


def test_keys_beyond_the_limit_make_way_the_oldest_first(clock: HandClock) -> None:
    buckets: Buckets[str] = Buckets(clock, RATE, most=2)
    for key in ("farmer", "baker", "farmer", "mechanic"):
        buckets.take(key)
    assert len(buckets) == 2
    assert grants(buckets, "farmer", 10) == 1  # still counted
    assert grants(buckets, "baker", 10) == 3  # forgotten, and begins anew


def test_more_than_is_left_is_refused_whole(clock: HandClock) -> None:
    buckets: Buckets[str] = Buckets(clock, RATE)
    assert not buckets.take("baker", 4)
    assert buckets.take("baker", 3)


def test_all_together_have_a_rate_of_their_own(clock: HandClock) -> None:
    allowance: Allowance[str] = Allowance(clock, RATE, Rate(1, 4))
    assert [allowance.take(f"liar {number}") for number in range(6)] == [True] * 4 + [False] * 2


def test_whoever_exceeds_his_own_rate_takes_nothing_of_the_others(clock: HandClock) -> None:
    allowance: Allowance[str] = Allowance(clock, RATE, Rate(1, 4))
    assert grants(allowance, "liar", 100) == 3
    assert allowance.take("baker")
