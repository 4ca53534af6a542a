"""Addresses: what is proven, given and claimed, and what liars can do to it."""

import pytest

from overlay.keys import PublicKey
from overlay.network.addresses import (
    CLAIM_SECONDS,
    FAILED_SECONDS,
    MAX_CLAIMS,
    MAX_FAILED,
    MAX_GIVEN,
    MAX_PAST,
    MAX_STRANGERS,
    AddressBook,
    is_numeric,
    is_reachable,
)
from tests.network.village import person, place
from tests.town import HandClock

BAKER, MECHANIC = person("baker").public_key, person("mechanic").public_key
HOME, WORK = place(1), place(2)
LIES = [place(number) for number in range(100, 200)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def book(clock: HandClock) -> AddressBook:
    return AddressBook(clock)


def claim(book: AddressBook, address: tuple[str, int], peer: PublicKey = BAKER) -> bool:
    return book.claim(peer, address, is_member=True)


def test_a_claim_is_news_once(book: AddressBook) -> None:
    assert claim(book, HOME)
    assert not claim(book, HOME)
    assert book.of(BAKER).all() == [HOME]


def test_lies_never_displace_what_is_proven_given_or_past(book: AddressBook) -> None:
    book.give(BAKER, WORK)
    book.prove(BAKER, place(3), is_member=True)
    book.prove(BAKER, HOME, is_member=True)
    for lie in LIES:
        claim(book, lie)
    assert book.of(BAKER).all()[:3] == [HOME, WORK, place(3)]
    assert len(book.of(BAKER).all()) == 3 + MAX_CLAIMS


def test_lies_do_not_wash_out_an_honest_claim_before_it_was_tried(book: AddressBook) -> None:
    claim(book, HOME)
    for lie in LIES:
        claim(book, lie)
    assert HOME in book.of(BAKER).all()


def test_a_claim_that_failed_makes_room_and_is_not_believed_again_at_once(book: AddressBook, clock: HandClock) -> None:
    for lie in LIES[:MAX_CLAIMS]:
        claim(book, lie)
    assert not claim(book, HOME)
    book.fail(BAKER, LIES[0])
    assert not claim(book, LIES[0])
    assert claim(book, HOME)


async def test_a_claim_that_failed_may_come_true_later(book: AddressBook, clock: HandClock) -> None:
    claim(book, HOME)
    book.fail(BAKER, HOME)
    await clock.sleep(FAILED_SECONDS)
    assert claim(book, HOME)


async def test_an_old_claim_that_nobody_tried_makes_way(book: AddressBook, clock: HandClock) -> None:
    for lie in LIES[:MAX_CLAIMS]:
        claim(book, lie)
    await clock.sleep(CLAIM_SECONDS)
    assert claim(book, HOME)
    assert LIES[0] not in book.of(BAKER).all()


def test_what_was_proven_before_stays_worth_a_try_within_its_limit(book: AddressBook) -> None:
    for number in range(1, MAX_PAST + 3):
        book.prove(BAKER, place(number), is_member=True)
    assert book.of(BAKER).proven == place(MAX_PAST + 2)
    assert book.of(BAKER).past == [place(number) for number in range(MAX_PAST + 1, 1, -1)]


def test_what_the_user_said_stays_when_it_fails(book: AddressBook) -> None:
    book.give(BAKER, HOME)
    book.fail(BAKER, HOME)
    assert book.of(BAKER).all() == [HOME]


def test_the_user_may_say_so_many_addresses_and_the_newest_count(book: AddressBook) -> None:
    for number in range(1, MAX_GIVEN + 2):
        book.give(BAKER, place(number))
    assert book.of(BAKER).given == [place(number) for number in range(MAX_GIVEN + 1, 1, -1)]


def test_one_address_is_proven_for_one_member_the_latest(book: AddressBook) -> None:
    book.prove(BAKER, HOME, is_member=True)
    book.prove(MECHANIC, HOME, is_member=True)
    assert book.at(HOME) == MECHANIC
    assert dict(book.proven()) == {MECHANIC: HOME}


def test_a_failed_address_is_proven_no_more(book: AddressBook) -> None:
    book.prove(BAKER, HOME, is_member=True)
    book.fail(BAKER, HOME)
    assert book.at(HOME) is None
    assert book.of(BAKER).all() == [HOME]


def test_strangers_are_bounded_and_members_never_make_way_for_them(book: AddressBook) -> None:
    book.prove(BAKER, HOME, is_member=True)
    for number in range(MAX_STRANGERS + 50):
        book.prove(person(f"stranger {number}").public_key, LIES[number % 100], is_member=False)
    assert len(book) == MAX_STRANGERS + 1
    assert book.of(BAKER).proven == HOME


def test_a_newcomer_keeps_its_place_when_it_becomes_a_member(book: AddressBook) -> None:
    book.prove(BAKER, HOME, is_member=False)
    book.prove(BAKER, HOME, is_member=True)
    for number in range(MAX_STRANGERS + 1):
        book.claim(person(f"stranger {number}").public_key, WORK, is_member=False)
    assert book.at(HOME) == BAKER


def test_failures_are_remembered_within_a_limit(book: AddressBook) -> None:
    for number in range(MAX_FAILED + 100):
        lie = (f"10.1.{number // 256}.{number % 256}", 1)
        claim(book, lie)
        book.fail(BAKER, lie)
    assert len(book._failed) == MAX_FAILED


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("192.168.1.7", 1), True),
        (("127.0.0.1", 65_535), True),
        (("192.168.1.7", 0), False),
        (("192.168.1.7", 65_536), False),
        (("0.0.0.0", 80), False),
        (("224.0.0.1", 80), False),
        (("255.255.255.255", 80), False),
        (("::1", 80), False),
        (("bridge.example", 80), False),
    ],
)
def test_only_a_numeric_address_of_one_host_is_sent_to(address: tuple[str, int], *, expected: bool) -> None:
    assert is_reachable(address) == expected


def test_a_name_is_no_number() -> None:
    assert is_numeric("::1")
    assert not is_numeric("bridge.example")
