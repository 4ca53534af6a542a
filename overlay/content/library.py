"""What a node has and gives: new files on their way in, and which of the old ones are sound."""

from pathlib import Path

from overlay.content.bandwidth import Tally
from overlay.content.disk import drop, read_chunks
from overlay.content.errors import WrongContent
from overlay.content.folder import ContentFolder, Record
from overlay.content.torrent import Torrent, check_metadata, check_reference, file_name, make_torrent


def take_in(folder: ContentFolder, tally: Tally, source: bytes | Path, extension: str) -> Torrent:
    """Store a user's bytes or file durably, with its record. Slow: call it in a thread.

    Raises ValueError for a source that is empty, too large, unreadable or of an extension not allowed; FolderError.
    """
    file_name("", extension)
    chunks = [source] if isinstance(source, bytes) else read_chunks(source)
    name, sha256, size = folder.take_in(chunks, extension)
    torrent = make_torrent(folder.complete, name, sha256, size)
    received = tally.content(torrent.content.infohash, size).received
    folder.write_record(Record(torrent, dict(received)))
    return torrent


def restore(folder: ContentFolder, tally: Tally) -> None:
    """Go on counting where earlier runs stopped."""
    for infohash in folder.recorded():
        if record := folder.read_record(infohash):
            tally.restore(infohash, record.torrent.content.size, record.received)
    for infohash in folder.unfinished():
        if partial := folder.read_partial(infohash):
            tally.restore(infohash, partial.size, partial.received)


def sound(folder: ContentFolder, infohash: str) -> Torrent | None:
    """The torrent of a complete content whose file has the right length; None if it was forgotten.

    Raises BadReference, BadMetadata or WrongContent. The file's bytes are checked when a peer asks for them.
    """
    record = folder.read_record(infohash)
    if record is None:
        raise WrongContent(infohash, "its record on disk is damaged")
    if record.forgotten:
        return None
    content = record.torrent.content
    check_reference(infohash, content.sha256, content.size)
    name = check_metadata(content.metadata, infohash, content.sha256, content.size)
    path = folder.complete / name
    if record.torrent.name != name or not path.is_file() or path.stat().st_size != content.size:
        raise WrongContent(infohash, "its file is missing or has another length; fetch it again")
    return record.torrent


def forget(folder: ContentFolder, infohash: str) -> None:
    """Delete the file of a content and keep its counters."""
    record = folder.read_record(infohash)
    if record is not None:
        folder.write_record(Record(record.torrent, record.received, forgotten=True))
        drop(folder.complete / record.torrent.name)
