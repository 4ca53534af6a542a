"""Publishing, fetching and seeding between real sessions on the loopback interface."""

import asyncio
import hashlib
import shutil

import pytest

from overlay.clock import SystemClock
from overlay.content import (
    BadReference,
    ContentError,
    ContentFailed,
    ContentReceived,
    ContentSession,
    FetchTimeout,
    ListenError,
    PeerUseful,
    WrongContent,
)
from overlay.content.fetching import KEEP_SECONDS
from overlay.content.folder import ContentFolder

SIZE = 1_000_003
# Half of it, in whole pieces.
WHOLE_PIECES = SIZE // 2 // 65536 * 65536


async def half_seeder(community, member, content, data, missing):
    """A seeder of `member`'s content whose file lacks the bytes of the slice `missing`."""
    seeder = community.seeder(f"half of {missing}")
    broken = bytearray(data)
    broken[missing] = bytes(len(broken[missing]))
    (seeder.folder / f"{content.sha256}.png").write_bytes(broken)
    await seeder.seed(member.session._folder.read_record(content.infohash).torrent.encoded)
    return seeder


async def test_a_published_file_is_fetched_whole_and_its_giver_is_credited_with_its_size(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    path = await baker.fetch(content, farmer, metadata=content.metadata)
    assert path.read_bytes() == some_bytes(SIZE)
    assert baker.session.received() == {farmer.token: SIZE}
    assert farmer.session.received() == {}
    assert farmer.session.sent() == {baker.token: SIZE}
    assert baker.told[-1] == ContentReceived(content.infohash, path)


async def test_the_infohash_alone_is_enough_to_fetch(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".jpg")
    path = await baker.fetch(content, farmer)
    assert path.read_bytes() == some_bytes(SIZE)
    assert path.name == f"{content.sha256}.jpg"


async def test_two_givers_share_the_credit_and_it_adds_up_to_the_size(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    mechanic = await community.member("mechanic")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    await baker.fetch(content, farmer, metadata=content.metadata)
    await mechanic.fetch(content, farmer, baker, metadata=content.metadata)
    received = mechanic.session.received()
    assert sum(received.values()) == SIZE
    assert received.keys() <= {farmer.token, baker.token}
    assert received.get(farmer.token, 0) <= farmer.session.sent().get(mechanic.token, 0)
    assert received.get(baker.token, 0) <= baker.session.sent().get(mechanic.token, 0)


async def test_useful_bytes_are_told_as_they_grow_and_end_at_the_size(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    await baker.fetch(content, farmer, metadata=content.metadata)
    totals = [event.bytes_total for event in baker.told if isinstance(event, PeerUseful)]
    assert totals == sorted(set(totals))
    assert totals[-1] == SIZE


async def test_the_same_bytes_have_the_same_infohash_on_every_node(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    first = await farmer.session.publish(some_bytes(5), ".txt")
    assert await baker.session.publish(some_bytes(5), ".txt") == first
    assert await farmer.session.publish(some_bytes(5), ".txt") == first


async def test_a_restarted_node_seeds_what_it_had_and_remembers_who_gave_it(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    mechanic = await community.member("mechanic")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    await baker.fetch(content, farmer, metadata=content.metadata)
    await farmer.session.close()
    await community.restart(baker)
    assert await baker.session.seed_all() == [content]
    assert baker.session.received() == {farmer.token: SIZE}
    path = await mechanic.fetch(content, baker, metadata=content.metadata)
    assert path.read_bytes() == some_bytes(SIZE)
    assert mechanic.session.received() == {baker.token: SIZE}
    await farmer.start()


async def test_a_fetch_goes_on_after_a_restart_where_it_stopped(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    half = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(WHOLE_PIECES, SIZE))
    waiting = asyncio.ensure_future(baker.fetch(content, half, metadata=content.metadata))
    await baker.heard(lambda event: isinstance(event, PeerUseful) and event.bytes_total == WHOLE_PIECES)
    await baker.session.close()
    with pytest.raises(ContentError, match="what did arrive is kept"):
        await waiting
    await baker.start()
    assert baker.session.received() == {half.token: WHOLE_PIECES}
    path = await baker.fetch(content, farmer)
    assert path.read_bytes() == some_bytes(SIZE)
    assert baker.session.received() == {half.token: WHOLE_PIECES, farmer.token: SIZE - WHOLE_PIECES}
    assert farmer.session.sent() == {baker.token: SIZE - WHOLE_PIECES}


async def test_a_fetch_without_an_answer_ends_in_time_with_one_sentence(community, some_bytes, rung_clock):
    clock = rung_clock()
    baker = await community.member("baker", clock=clock)
    clock.ring(5)
    content = hashlib.sha256(b"nobody has it").hexdigest()
    with pytest.raises(FetchTimeout, match="did not arrive within 5 seconds") as failure:
        await baker.session.fetch(content, content, 1, [], timeout=5)
    assert failure.value.infohash == content
    assert baker.told == [ContentFailed(content, failure.value.reason)]
    assert baker.session.status(content).path is None


async def test_two_calls_for_one_content_share_one_download(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    paths = await asyncio.gather(baker.fetch(content), baker.fetch(content, farmer))
    assert paths[0] == paths[1]
    assert farmer.session.sent() == {baker.token: SIZE}


async def test_what_is_there_already_returns_at_once(community, some_bytes):
    farmer = await community.member("farmer")
    content = await farmer.session.publish(some_bytes(10), ".gif")
    assert (await farmer.fetch(content)).read_bytes() == some_bytes(10)
    with pytest.raises(WrongContent):
        await farmer.session.fetch(content.infohash, content.sha256, 11, [], timeout=1)


async def test_the_status_tells_progress_and_place(community, some_bytes):
    farmer = await community.member("farmer")
    content = await farmer.session.publish(some_bytes(10), ".gif")
    status = farmer.session.status(content.infohash)
    assert status.seeding
    assert status.progress == 1.0
    assert status.path.read_bytes() == some_bytes(10)
    assert not farmer.session.status("0" * 64).seeding


async def test_a_port_in_use_is_one_clear_sentence(community):
    farmer = await community.member("farmer")
    host, port = farmer.session.endpoint
    with pytest.raises(ListenError, match=f"cannot listen for content on {host} port {port}: .*another port"):
        await community.member("baker", port=port)


@pytest.mark.parametrize(
    ("infohash", "sha256", "size"),
    [("00", "0" * 64, 1), ("0" * 64, "x" * 64, 1), ("0" * 64, "0" * 64, 0), ("0" * 64, "0" * 64, 2 * 1024**3 + 1)],
)
async def test_what_no_content_can_have_is_refused(community, infohash, sha256, size):
    baker = await community.member("baker")
    with pytest.raises(BadReference):
        await baker.session.fetch(infohash, sha256, size, [], timeout=1)


async def test_announced_addresses_that_no_peer_can_have_do_not_stop_a_fetch(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(10), ".png")
    peers = [("127.0.0.1", 22), ("tracker.example", 6881), farmer.session.endpoint]
    path = await baker.session.fetch(content.infohash, content.sha256, content.size, peers, timeout=60)
    assert path.read_bytes() == some_bytes(10)


async def test_each_of_two_givers_is_credited_with_exactly_what_only_it_had(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    first = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(WHOLE_PIECES, SIZE))
    second = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(0, WHOLE_PIECES))
    await baker.fetch(content, first, second, metadata=content.metadata)
    assert baker.session.received() == {first.token: WHOLE_PIECES, second.token: SIZE - WHOLE_PIECES}


async def test_after_a_crash_a_fetch_goes_on_from_its_last_trace(community, some_bytes, rung_clock, monkeypatch):
    clock = rung_clock()
    farmer, baker = await community.member("farmer"), await community.member("baker", clock=clock)
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    half = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(WHOLE_PIECES, SIZE))
    loop, traced, write = asyncio.get_running_loop(), asyncio.Event(), ContentFolder.write_partial

    def spied(folder, infohash, partial):
        write(folder, infohash, partial)
        loop.call_soon_threadsafe(traced.set)

    monkeypatch.setattr(ContentFolder, "write_partial", spied)
    waiting = asyncio.ensure_future(baker.fetch(content, half, metadata=content.metadata, timeout=KEEP_SECONDS + 1))
    await baker.heard(lambda event: isinstance(event, PeerUseful) and event.bytes_total == WHOLE_PIECES)
    clock.ring(KEEP_SECONDS)
    await traced.wait()
    shutil.copytree(baker.folder, community.root / "baker after the crash")
    clock.ring(KEEP_SECONDS + 1)
    with pytest.raises(FetchTimeout):
        await waiting

    again = await community.member("baker after the crash")
    await again.fetch(content, farmer)
    assert again.session.received() == {half.token: WHOLE_PIECES, farmer.token: SIZE - WHOLE_PIECES}


async def test_a_caller_that_gives_up_leaves_what_arrived_for_the_next(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    half = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(WHOLE_PIECES, SIZE))
    waiting = asyncio.ensure_future(baker.fetch(content, half, metadata=content.metadata))
    await baker.heard(lambda event: isinstance(event, PeerUseful) and event.bytes_total == WHOLE_PIECES)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert baker.session.status(content.infohash).progress == 0.0
    await baker.fetch(content, farmer)
    assert baker.session.received() == {half.token: WHOLE_PIECES, farmer.token: SIZE - WHOLE_PIECES}


async def test_a_fetch_that_is_given_up_before_it_begins_can_begin_again(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(10), ".png")
    first = asyncio.ensure_future(baker.fetch(content, farmer))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (await baker.fetch(content, farmer)).read_bytes() == some_bytes(10)


async def test_a_forgotten_content_is_gone_and_earns_nobody_twice(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    await baker.fetch(content, farmer, metadata=content.metadata)
    await baker.session.forget(content.infohash)
    assert baker.files() == []
    await community.restart(baker)
    assert await baker.session.seed_all() == []
    assert baker.told == []
    await baker.fetch(content, farmer, metadata=content.metadata)
    assert baker.session.received() == {farmer.token: SIZE}
    with pytest.raises(KeyError):
        await baker.session.forget("0" * 64)


async def test_a_forgotten_fetch_leaves_nothing(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    half = await half_seeder(community, farmer, content, some_bytes(SIZE), slice(WHOLE_PIECES, SIZE))
    waiting = asyncio.ensure_future(baker.fetch(content, half, metadata=content.metadata))
    await baker.heard(lambda event: isinstance(event, PeerUseful) and event.bytes_total == WHOLE_PIECES)
    assert baker.session.status(content.infohash).progress == WHOLE_PIECES / SIZE
    await baker.session.forget(content.infohash)
    with pytest.raises(ContentError):
        await waiting
    assert baker.files() == []


async def test_a_file_of_the_user_is_published_from_where_it_lies(community, some_bytes):
    farmer = await community.member("farmer")
    song = community.root / "my song.mp3"
    song.write_bytes(some_bytes(SIZE))
    content = await farmer.session.publish(song, ".mp3")
    assert content == await farmer.session.publish(some_bytes(SIZE), ".mp3")
    assert song.name.encode() not in content.metadata
    assert song.exists()


async def test_what_cannot_be_published_is_one_clear_sentence(community):
    farmer = await community.member("farmer")
    with pytest.raises(ValueError, match="none"):
        await farmer.session.publish(b"", ".png")
    with pytest.raises(ValueError, match="cannot be shared"):
        await farmer.session.publish(b"x", ".exe")
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        await farmer.session.publish(community.root / "nowhere.png", ".png")
    assert farmer.files() == []


async def test_a_session_without_a_token_of_ours_does_not_open(community):
    with pytest.raises(ValueError, match="token"):
        await ContentSession.open(community.root, clock=SystemClock(), token="00", on_event=print)


async def test_an_upload_limit_slows_and_does_not_stop(community, some_bytes):
    farmer = await community.member("farmer", upload_limit=1_000_000)
    baker = await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    assert (await baker.fetch(content, farmer, metadata=content.metadata)).stat().st_size == SIZE


async def test_a_giver_that_was_dialled_too_early_is_dialled_again_soon(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await (await community.member("mechanic")).session.publish(some_bytes(SIZE), ".png")
    with pytest.raises(FetchTimeout):  # the farmer does not share it yet, and hangs up
        await baker.fetch(content, farmer, timeout=1)
    assert await farmer.session.publish(some_bytes(SIZE), ".png") == content
    await baker.fetch(content, farmer, timeout=15)
