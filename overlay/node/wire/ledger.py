"""The books of a node: how large they are, whether they are in order, and taking them elsewhere."""

from typing import Annotated, Literal

from msgspec import Meta

from overlay.node.wire.base import Ask, Tell


class LedgerStats(Tell, frozen=True):
    """How much this node keeps. `agreements` are answered proposals of which both halves are here; `tables` are rows
    of each view's tables; bytes are those of files on disk."""

    blocks: int
    own_blocks: int
    members: int
    agreements: int
    parts: int
    forks: int
    file_bytes: int
    wal_bytes: int
    bytes_per_block: float
    tables: dict[str, dict[str, int]]


class Finding(Tell, frozen=True):
    """Something that is not in order. `damage` is this file's; a `fault` is proven against the member `culprit`."""

    kind: Literal["damage", "fault"]
    culprit: str
    sentence: str
    blocks: tuple[str, ...]


class LedgerVerdict(Tell, frozen=True):
    """`sound` when this file holds what was signed and shown, and its views follow from it; members' faults do not
    make it unsound. `digests` are those of the views as they are; `findings` are at most the first 1,000."""

    sound: bool
    sentence: str
    blocks: int
    parts: int
    chains: int
    gaps: int
    damages: int
    faults: int
    findings: tuple[Finding, ...]
    digests: dict[str, str]


class Rebuilt(Tell, frozen=True):
    """The digest of each view after it was folded anew; `same` when all are what they were before."""

    same: bool
    sentence: str
    digests: dict[str, str]


class ExportLedger(Ask, frozen=True):
    """Write the books as tables into a folder on the node's machine."""

    to: Annotated[str, Meta(min_length=1, max_length=4096, extra={"folder": True})]
    format: Literal["csv", "parquet"] = "csv"
    with_private: bool = False


class Exported(Tell, frozen=True):
    """The files that were written, with their numbers of rows."""

    sentence: str
    files: dict[str, int]
