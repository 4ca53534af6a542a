"""Requests and answers between honest members, on a good line and a bad line."""

import asyncio

import pytest

from overlay.keys import PublicKey
from overlay.network.quic_errors import (
    FIRST_FREE_CODE,
    Address,
    AnswerTooLarge,
    Code,
    PeerUnreachable,
    Refusal,
    RequestTimedOut,
    StreamRefused,
)
from overlay.network.quic_limits import QUIC_DATAGRAM_BYTES, StreamLimits
from tests.network.streams_world import (
    Internet,
    address,
    answering,
    ask,
    hundred_pieces,
    identity,
    join,
    pattern,
    rough_internet,
    run,
)

SIZES = [0, 1, 100_000, 5_000_000]
GENEROUS = StreamLimits(request_bytes=8 << 20, held_bytes_per_peer=16 << 20)


@pytest.mark.parametrize("size", SIZES)
def test_a_request_of_any_size_is_answered_in_full(size: int) -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, limits=GENEROUS)
        assert await ask(farmer, baker, pattern(size)) == pattern(size)

    run(scene())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 100_000])
def test_loss_doubling_and_reordering_change_nothing_in_the_answer(seed: int, size: int) -> None:
    async def scene() -> None:
        internet = rough_internet(seed)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, limits=GENEROUS)
        assert await ask(farmer, baker, pattern(size), timeout=600) == pattern(size)

    run(scene())


def test_five_megabytes_pass_over_a_bad_line() -> None:
    async def long(peer: PublicKey, address: Address, request: bytes) -> bytes:
        return pattern(5_000_000)

    async def scene() -> None:
        internet = rough_internet(1)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, long)
        assert await ask(farmer, baker, b"all", timeout=3600) == pattern(5_000_000)

    run(scene())


def test_two_hundred_requests_at_once_each_get_their_own_answer() -> None:
    async def scene() -> None:
        internet = rough_internet(2)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        questions = [f"question {number}".encode() for number in range(200)]
        assert await asyncio.gather(*(ask(farmer, baker, question) for question in questions)) == questions

    run(scene())


def test_both_members_ask_each_other_at_the_same_time() -> None:
    async def scene() -> None:
        internet = rough_internet(3)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        answers = await asyncio.gather(ask(farmer, baker, b"bread?"), ask(baker, farmer, b"flour?"))
        assert list(answers) == [b"bread?", b"flour?"]

    run(scene())


def test_the_answerer_asks_back_on_the_same_connection() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        before = len(internet.sent)
        await ask(baker, farmer, b"flour?")
        # A new handshake would begin with a datagram that is padded to the full size.
        assert all(len(datagram) < 200 for _, _, datagram in internet.sent[before:])

    run(scene())


def test_the_handler_learns_the_proven_key_and_the_address_of_who_asks() -> None:
    async def scene() -> None:
        seen: list[tuple[PublicKey, Address, bytes]] = []

        async def serve(peer: PublicKey, address: Address, request: bytes) -> bytes:
            seen.append((peer, address, request))
            return b""

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, serve)
        await ask(farmer, baker, b"bread?")
        assert seen == [(farmer.key, address(1), b"bread?")]

    run(scene())


def test_a_first_request_takes_two_round_trips_and_the_next_takes_one() -> None:
    async def scene() -> None:
        internet = Internet(delay=(0.01, 0.01))
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        assert asyncio.get_running_loop().time() == pytest.approx(4 * 0.01, abs=1e-4)
        await ask(farmer, baker, b"bread?")
        assert asyncio.get_running_loop().time() == pytest.approx(6 * 0.01, abs=1e-4)

    run(scene())


def test_requests_one_after_the_other_take_two_datagrams_each() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, b"bread?")
        await asyncio.sleep(1)
        before = len(internet.sent)
        for _ in range(100):
            await ask(farmer, baker, bytes(300))
        # Acknowledgements travel along; a few frames that raise limits are all there is besides.
        assert len(internet.sent) - before < 2.2 * 100

    run(scene())


def test_every_datagram_fits_under_the_ipv8_header() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)
        await ask(farmer, baker, pattern(100_000))
        assert max(len(datagram) for _, _, datagram in internet.sent) == QUIC_DATAGRAM_BYTES
        assert QUIC_DATAGRAM_BYTES + 23 < 1472

    run(scene())


def test_a_handler_refuses_with_a_code_of_its_own() -> None:
    async def serve(peer: PublicKey, address: Address, request: bytes) -> bytes:
        raise Refusal(FIRST_FREE_CODE + 5)

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, serve)
        with pytest.raises(StreamRefused) as caught:
            await ask(farmer, baker, b"bread?")
        assert (caught.value.code, caught.value.peer) == (FIRST_FREE_CODE + 5, baker.key)

    run(scene())


def test_codes_of_the_protocol_are_not_for_handlers() -> None:
    with pytest.raises(ValueError, match="refuses with a code from 256"):
        Refusal(FIRST_FREE_CODE - 1)


def test_a_handler_that_breaks_is_reported_here_and_named_there() -> None:
    class Broken(Exception):
        pass

    async def serve(peer: PublicKey, address: Address, request: bytes) -> bytes:
        raise Broken

    async def scene() -> None:
        reported: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, serve)
        with pytest.raises(StreamRefused) as caught:
            await ask(farmer, baker, b"bread?")
        assert caught.value.code == Code.FAILED
        assert [type(error) for error in reported] == [Broken]

    run(scene())


def test_an_answer_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2)

        async def fetch(size: int) -> bytes:
            return await farmer.streams.request(baker.key, baker.where, bytes(size), timeout=9, limit=5_000)

        assert len(await fetch(5_000)) == 5_000
        with pytest.raises(AnswerTooLarge) as caught:
            await fetch(5_001)
        assert caught.value.limit == 5_000
        assert await ask(farmer, baker, b"and on it goes") == b"and on it goes"

    run(scene())


def test_nobody_at_the_address_is_unreachable() -> None:
    async def scene() -> None:
        farmer = join(Internet(), "farmer", 1)
        with pytest.raises(PeerUnreachable) as caught:
            await farmer.streams.request(identity("baker").public_key, address(9), b"", timeout=3)
        assert (caught.value.peer, caught.value.address) == (identity("baker").public_key, address(9))
        assert "10.0.0.9:7759" in str(caught.value)
        assert farmer.streams.connections == 0  # Nobody waits for it any more.

    run(scene())


def test_a_handshake_that_takes_too_long_is_given_up_before_the_request_is() -> None:
    async def scene() -> None:
        farmer = join(Internet(), "farmer", 1)
        with pytest.raises(PeerUnreachable, match="no handshake in time"):
            await farmer.streams.request(identity("baker").public_key, address(9), b"", timeout=600)
        assert asyncio.get_running_loop().time() == pytest.approx(StreamLimits().handshake_seconds)

    run(scene())


def test_a_peer_that_is_there_but_slow_is_timed_out_and_its_handler_cancelled() -> None:
    async def scene() -> None:
        cancelled = asyncio.Event()

        async def serve(peer: PublicKey, address: Address, request: bytes) -> bytes:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return b""

        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, serve)
        with pytest.raises(RequestTimedOut) as caught:
            await ask(farmer, baker, b"bread?", timeout=3)
        assert caught.value.seconds == 3
        await asyncio.wait_for(cancelled.wait(), 1)

    run(scene())


def test_a_handler_may_think_for_longer_than_the_idle_timeout() -> None:
    async def serve(peer: PublicKey, address: Address, request: bytes) -> bytes:
        await asyncio.sleep(5 * StreamLimits().idle_seconds)
        return b"thought"

    async def scene() -> None:
        internet = Internet()
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, serve)
        assert await ask(farmer, baker, b"think", timeout=1000) == b"thought"

    run(scene())


# Answers in pieces


def test_the_same_seed_gives_the_same_trace() -> None:
    async def scene() -> list[tuple[float, Address, Address, int]]:
        internet = rough_internet(5)
        farmer, baker = join(internet, "farmer", 1), join(internet, "baker", 2, answering(hundred_pieces))
        questions = [pattern(300 * number) for number in range(60)]
        fetching = asyncio.ensure_future(ask(farmer, baker, b"pieces", timeout=600))
        await asyncio.gather(*(ask(baker, farmer, question, timeout=600) for question in questions))
        await fetching
        return internet.trace

    assert run(scene()) == run(scene())


# Real sockets
