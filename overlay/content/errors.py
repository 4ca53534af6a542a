"""What can go wrong with content. Each error carries its culprit and one clear sentence for people."""

from pathlib import Path


class ContentError(Exception):
    """Something is wrong with one content; `infohash` says which, `reason` is one sentence."""

    def __init__(self, infohash: str, reason: str) -> None:
        super().__init__(f"content {infohash}: {reason}")
        self.infohash = infohash
        self.reason = reason


class BadReference(ContentError):
    """What a block says about a content (infohash, SHA-256, size) cannot be true of any content."""


class BadMetadata(ContentError):
    """The metadata does not describe exactly the one file that the block stated."""


class WrongContent(ContentError):
    """The bytes that arrived, or that lie on disk, are not those that the block stated."""


class FetchTimeout(ContentError):
    """The content did not arrive in time; what did arrive is kept and the next fetch goes on from there."""


class FolderError(Exception):
    """The content folder cannot be read or written; `path` says where."""

    def __init__(self, path: Path, cause: str) -> None:
        self.reason = f"the content folder cannot be used: {path}: {cause}"
        super().__init__(self.reason)
        self.path = path


class ListenError(Exception):
    """The session cannot listen where it was told to; `host` and `port` say where."""

    def __init__(self, host: str, port: int, cause: str) -> None:
        super().__init__(f"cannot listen for content on {host} port {port}: {cause}")
        self.host = host
        self.port = port
