"""Neighbours: found by broadcast, on real sockets; noise to everybody else."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from overlay.clock import SystemClock, SystemRandomness
from overlay.network.endpoint import Address
from overlay.network.lan import ANNOUNCE_SECONDS, ANNOUNCEMENT_BYTES, FIRST_SECONDS, Lan
from overlay.network.network import Network
from overlay.network.rates import LAN_HOST
from tests.network.streams_world import run
from tests.network.village import COMMONS, Internet, Station, person, until
from tests.town import HandClock, SeededRandomness

OTHER_COMMONS = bytes(20)
# Broadcast that stays on this machine.
LOOPBACK_BROADCAST = "127.255.255.255"


class Neighbour:
    """One node's ear and mouth on the local network."""

    def __init__(self, port: int, shared: int, commons: bytes = COMMONS) -> None:
        self.heard: list[Address] = []
        self.drops: Counter[str] = Counter()
        self.news, self.clock, self.port = asyncio.Event(), HandClock(), port
        self.lan = Lan(
            commons,
            self.clock,
            SeededRandomness(f"{port}"),
            self._on_neighbour,
            self._count_drop,
            (LOOPBACK_BROADCAST, shared),
        )

    def _on_neighbour(self, address: Address) -> None:
        self.heard.append(address)
        self.news.set()

    def _count_drop(self, reason: str) -> None:
        self.drops[reason] += 1
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def shared() -> int:
    """A port that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def three(shared: int) -> AsyncIterator[list[Neighbour]]:
    """Two nodes of one commons on one machine, and one of another."""
    made = [Neighbour(1111, shared), Neighbour(2222, shared), Neighbour(3333, shared, OTHER_COMMONS)]
    for each in made:
        each.lan.open(each.port)
    yield made
    for each in made:
        each.lan.close()


async def test_members_of_one_commons_hear_each_other_and_others_hear_noise(three: list[Neighbour]) -> None:
    farmer, baker, stranger = three
    farmer.lan.step()
    await baker.until(lambda: [port for _, port in baker.heard] == [1111])
    await stranger.until(lambda: stranger.drops == {"announcement of another commons": 1})
    assert stranger.heard == []
    assert baker.heard[0][0].startswith("127.")


async def test_announcements_are_frequent_at_first_and_rare_later(three: list[Neighbour]) -> None:
    farmer, baker, _ = three
    for second in range(int(3 * ANNOUNCE_SECONDS)):
        farmer.clock.time = second * 1000
        farmer.lan.step()
    expected = len(FIRST_SECONDS) + 2
    await baker.until(lambda: len(baker.heard) == expected)


def test_no_two_announcements_look_alike() -> None:
    lan = Neighbour(1111, 1).lan
    first, second = lan._announcement(), lan._announcement()
    assert first[7:] != second[7:]
    assert COMMONS not in first


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda raw: b"", "broadcast that is no announcement"),
        (lambda raw: raw + b"x", "broadcast that is no announcement"),
        (lambda raw: b"XXXX" + raw[4:], "broadcast that is no announcement"),
        (lambda raw: raw[:4] + b"\x02" + raw[5:], "broadcast that is no announcement"),
        (lambda raw: raw[:5] + b"\x00\x01" + raw[7:], "announcement of another commons"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "announcement of another commons"),
    ],
)
def test_what_is_no_announcement_is_counted(spoil: Callable[[bytes], bytes], reason: str) -> None:
    farmer, baker = Neighbour(1111, 1), Neighbour(2222, 1)
    raw = farmer.lan._announcement()
    assert len(raw) == ANNOUNCEMENT_BYTES
    assert baker.lan._hear("10.0.0.1", spoil(raw)) == reason
    assert baker.heard == []


def test_a_host_that_announces_too_much_is_heard_no_more() -> None:
    farmer, baker = Neighbour(1111, 1), Neighbour(2222, 1)
    raw = farmer.lan._announcement()
    answers = [baker.lan._hear("10.0.0.1", raw) for _ in range(int(LAN_HOST.burst) + 1)]
    assert answers == [None] * int(LAN_HOST.burst) + ["too many announcements"]


async def test_a_port_that_cannot_be_had_leaves_a_node_without_neighbours_and_alive(
    shared: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", shared))
        neighbour = Neighbour(1111, shared)
        neighbour.lan.open(1111)
        neighbour.lan.step()
        neighbour.lan.close()
    assert "no members are looked for on the local network" in caplog.text


async def test_a_node_on_loopback_announces_nothing_whatever_it_is_told() -> None:
    class Silence(Lan):
        def open(self, port: int) -> None:
            raise AssertionError("a node on loopback opened a broadcast socket")

    farmer = person("farmer")
    network = Network(farmer, COMMONS, SystemClock(), SystemRandomness(), set().__contains__, lambda _: None)
    network._lan.__class__ = Silence
    await network.start("127.0.0.1", 0, lan=True)
    await network.close()


def test_whoever_announces_itself_is_greeted_and_found() -> None:
    async def scene() -> None:
        members, internet = {person("farmer").public_key, person("baker").public_key}, Internet()
        async with Station(internet, "farmer", 1, members) as farmer, Station(internet, "baker", 2, members) as baker:
            farmer.network._lan._on_neighbour(baker.where)
            await until(lambda: farmer.network.addresses() == {baker.key: baker.where})

    run(scene())
