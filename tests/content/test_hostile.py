"""Peers, publishers and disks that do their worst."""

import asyncio
import hashlib
import resource
from contextlib import contextmanager

import libtorrent as lt
import pytest

from overlay.content import BadMetadata, Content, ContentFailed, FetchTimeout, FolderError, PeerUseful, WrongContent

SIZE = 500_003


@contextmanager
def disk_full_above(count):
    """The system refuses to make any file of this process longer than `count` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def as_stated(torrent, **other):
    content = torrent.content
    return Content(
        **{"infohash": content.infohash, "sha256": content.sha256, "size": content.size, "metadata": b""} | other
    )


async def test_bytes_that_are_not_of_the_stated_sha256_are_refused_and_deleted(community, claim, some_bytes):
    stranger, baker = community.seeder("stranger"), await community.member("baker")
    promised = hashlib.sha256(b"the promised picture").hexdigest()
    torrent = claim(stranger.folder, promised, some_bytes(SIZE))
    await stranger.seed(torrent.encoded)
    with pytest.raises(WrongContent, match="do not have the stated SHA-256") as failure:
        await baker.fetch(as_stated(torrent), stranger)
    assert failure.value.infohash == torrent.content.infohash
    assert baker.files() == []
    assert any(isinstance(event, ContentFailed) for event in baker.told)


async def test_a_block_that_states_another_size_is_refused_before_any_byte_is_written(community, claim, some_bytes):
    stranger, baker = community.seeder("stranger"), await community.member("baker")
    data = some_bytes(SIZE)
    torrent = claim(stranger.folder, hashlib.sha256(data).hexdigest(), data)
    await stranger.seed(torrent.encoded)
    with pytest.raises(BadMetadata, match="one plain file of 7 bytes"):
        await baker.fetch(as_stated(torrent, size=7), stranger)
    assert baker.files() == []
    assert baker.session.received() == {}


async def test_a_torrent_of_two_files_is_refused_before_any_byte_is_written(community, some_bytes):
    stranger, baker = community.seeder("stranger"), await community.member("baker")
    root = stranger.folder / "album"
    root.mkdir()
    names = ("a.png", "b.png")
    for name in names:
        (root / name).write_bytes(some_bytes(SIZE))
    entries = [lt.create_file_entry(f"album/{name}", SIZE) for name in names]
    builder = lt.create_torrent(entries, 65536, lt.create_torrent.v2_only)
    lt.set_piece_hashes(builder, str(stranger.folder))
    generated = builder.generate()
    await stranger.seed(lt.bencode(generated))
    content = Content(hashlib.sha256(lt.bencode(generated[b"info"])).hexdigest(), "0" * 64, SIZE, b"")
    with pytest.raises(BadMetadata, match="exactly one file"):
        await baker.fetch(content, stranger)
    assert baker.files() == []


async def seed_inflated(stranger, claim, data, junk):
    """Let the stranger serve a torrent with that many bytes of junk in its metadata; and the honest one of `data`."""
    honest = claim(stranger.folder, hashlib.sha256(data).hexdigest(), data)
    inflated = lt.bdecode(honest.encoded)
    inflated[b"info"][b"junk"] = bytes(junk)
    await stranger.seed(lt.bencode(inflated))
    await stranger.seed(honest.encoded)
    return honest, hashlib.sha256(lt.bencode(inflated[b"info"])).hexdigest()


async def test_metadata_of_thirty_megabytes_is_never_taken_from_a_peer(community, claim, some_bytes, rung_clock):
    clock = rung_clock()
    stranger = community.seeder("stranger", max_metadata_size=64 * 1024**2)
    baker = await community.member("baker", clock=clock)
    honest, infohash = await seed_inflated(stranger, claim, some_bytes(SIZE), 30 * 1024**2)
    fetch = asyncio.ensure_future(baker.fetch(as_stated(honest, infohash=infohash), stranger, timeout=5))
    await stranger.alert(lt.peer_connect_alert)
    # The same peer answers in full about an honest content: it could have begun to send the other metadata too.
    await baker.fetch(as_stated(honest), stranger)
    clock.ring(5)
    with pytest.raises(FetchTimeout):
        await fetch
    assert baker.files() == [f"{honest.content.sha256}.png"]


async def test_metadata_that_is_long_but_not_absurd_is_refused_when_it_has_come(community, claim, some_bytes):
    stranger, baker = community.seeder("stranger"), await community.member("baker")
    honest, infohash = await seed_inflated(stranger, claim, some_bytes(SIZE), 1024**2)
    with pytest.raises(BadMetadata, match="512 are allowed"):
        await baker.fetch(as_stated(honest, infohash=infohash), stranger)
    assert baker.files() == []


async def test_a_peer_that_sends_wrong_blocks_gets_no_credit_and_an_honest_one_completes(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    stranger = community.seeder("stranger", disable_hash_checks=True)
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    (stranger.folder / f"{content.sha256}.png").write_bytes(some_bytes(SIZE, seed=1))
    await stranger.seed(farmer.session._folder.read_record(content.infohash).torrent.encoded)
    fetch = asyncio.ensure_future(baker.fetch(content, stranger, metadata=content.metadata))
    await stranger.alert(lt.block_uploaded_alert)
    baker.session.add_peers(content.infohash, [farmer.session.endpoint])
    assert (await fetch).read_bytes() == some_bytes(SIZE)
    assert baker.session.received() == {farmer.token: SIZE}


async def test_a_file_that_rotted_on_disk_is_never_sent_and_the_node_is_told(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    mechanic = await community.member("mechanic")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    await baker.fetch(content, farmer, metadata=content.metadata)
    await baker.session.close()
    file = baker.folder / "complete" / f"{content.sha256}.png"
    file.write_bytes(bytes(SIZE))
    await baker.start()
    await baker.session.seed_all()
    fetch = asyncio.ensure_future(mechanic.fetch(content, baker, metadata=content.metadata))
    told = await baker.heard(lambda event: isinstance(event, ContentFailed))
    assert "damaged" in told.reason
    assert not baker.session.status(content.infohash).seeding
    mechanic.session.add_peers(content.infohash, [farmer.session.endpoint])
    assert (await fetch).read_bytes() == some_bytes(SIZE)
    assert mechanic.session.received() == {farmer.token: SIZE}


async def test_what_is_missing_or_damaged_in_the_folder_is_told_at_the_start_and_not_seeded(community, some_bytes):
    farmer = await community.member("farmer")
    contents = [await farmer.session.publish(some_bytes(100, seed), ".png") for seed in range(4)]
    await farmer.session.close()
    complete = farmer.folder / "complete"
    (complete / f"{contents[0].sha256}.png").unlink()
    (complete / f"{contents[1].infohash}.record").write_bytes(b"\xc1")
    (complete / f"{contents[2].sha256}.png").write_bytes(b"short")
    farmer.told.clear()
    await farmer.start()
    assert await farmer.session.seed_all() == [contents[3]]
    assert {event.infohash for event in farmer.told} == {content.infohash for content in contents[:3]}


async def test_a_full_disk_ends_a_fetch_with_one_clear_error_and_leaves_nothing(community, some_bytes):
    farmer, baker = await community.member("farmer"), await community.member("baker")
    content = await farmer.session.publish(some_bytes(SIZE), ".png")
    with disk_full_above(SIZE // 2), pytest.raises(FolderError, match="File too large"):
        await baker.fetch(content, farmer, metadata=content.metadata)
    assert baker.files() == []
    assert baker.session.received().get(farmer.token, 0) < SIZE
    assert (await baker.fetch(content, farmer)).read_bytes() == some_bytes(SIZE)
    assert sum(baker.session.received().values()) == SIZE


async def test_a_full_disk_ends_a_publication_with_one_clear_error_and_leaves_nothing(community, some_bytes):
    farmer = await community.member("farmer")
    with disk_full_above(SIZE // 2), pytest.raises(FolderError, match="File too large"):
        await farmer.session.publish(some_bytes(SIZE), ".png")
    assert farmer.files() == []


async def test_a_folder_that_is_no_folder_is_one_clear_error(community):
    (community.root / "farmer").write_text("a file lies where the folder should be")
    with pytest.raises(FolderError, match="the content folder cannot be used"):
        await community.member("farmer")


async def test_credit_is_told_only_for_verified_bytes(community, claim, some_bytes):
    stranger, baker = community.seeder("stranger"), await community.member("baker")
    torrent = claim(stranger.folder, "0" * 64, some_bytes(SIZE))
    await stranger.seed(torrent.encoded)
    with pytest.raises(WrongContent):
        await baker.fetch(as_stated(torrent), stranger)
    assert all(event.bytes_total <= SIZE for event in baker.told if isinstance(event, PeerUseful))
