"""Promises and what one holds of them."""

from typing import Annotated

from msgspec import Meta

from overlay.node.wire.base import Ask, Line, Name, Quantity, Tell


class Picture(Tell, frozen=True):
    """Content by BitTorrent; `path` is where this node has it, empty until it is whole and checked."""

    infohash: str
    sha256: str
    size: int
    path: str
    peers: int


class MintVoucher(Ask, frozen=True):
    """Promise goods or services."""

    promise: Name
    unit: Annotated[str, Meta(min_length=1, max_length=20)]
    quantity: Quantity
    terms: Line = ""
    expires_in: Annotated[int, Meta(ge=0, le=36_500)] = 0  # days; 0: never
    picture: bytes | None = None


class Voucher(Tell, frozen=True):
    """A promise and what became of it: outstanding = minted - redeemed - expired, exact at its issuer.

    `owed_by` is the issuer, or the key that has taken its place.
    """

    id: str
    issuer: str
    issuer_name: str
    promise: str
    unit: str
    terms: str
    expires: int
    minted: int
    redeemed: int
    expired: int
    outstanding: int
    picture: Picture | None
    owed_by: str = ""
    owed_by_name: str = ""


class Vouchers(Tell, frozen=True):
    vouchers: tuple[Voucher, ...]


class HoldingModel(Tell, frozen=True):
    """What one holds of one voucher: spendable now, not final yet, and bound in open proposals."""

    voucher: str
    promise: str
    unit: str
    issuer: str
    issuer_name: str
    final: int
    provisional: int
    pending: int


class Holdings(Tell, frozen=True):
    holdings: tuple[HoldingModel, ...]
