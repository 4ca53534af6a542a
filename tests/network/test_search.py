"""What is concluded from a knock: only an answer, and only somebody else's silence."""

import pytest

from overlay.keys import PublicKey
from overlay.network.addresses import AddressBook
from overlay.network.endpoint import Address
from overlay.network.quic_errors import (
    Code,
    NoConnectionLeft,
    PeerUnreachable,
    StreamError,
    StreamRefused,
    StreamsClosed,
    WrongPeer,
)
from overlay.network.search import Search
from tests.network.village import person, place
from tests.town import HandClock

BAKER, WHERE = person("baker").public_key, place(2)


@pytest.mark.parametrize(
    ("failure", "is_there", "is_believed"),
    [
        (PeerUnreachable(BAKER, WHERE, "silence"), False, False),
        (WrongPeer(BAKER, WHERE, None), False, False),
        (NoConnectionLeft(BAKER, WHERE), False, True),
        (StreamsClosed(BAKER, WHERE), False, True),
        (StreamRefused(BAKER, WHERE, Code.DONE), True, True),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_our_own_trouble_shows_nothing_of_who_is_there(
    failure: StreamError, *, is_there: bool, is_believed: bool
) -> None:
    async def knock(peer: PublicKey, address: Address) -> None:
        raise failure

    book, found = AddressBook(HandClock()), list[Address]()
    book.claim(BAKER, WHERE, is_member=True)
    search = Search(book, knock, lambda peer, address: found.append(address))
    assert await search.find(BAKER) == (WHERE if is_there else None)
    assert found == [WHERE] * is_there
    assert (WHERE in book.of(BAKER).all()) is is_believed
