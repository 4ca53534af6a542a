"""A holding with everything that proves it."""

from typing import Annotated

from msgspec import Meta

from overlay.node.wire.base import Ask, Id, Tell

# As `overlay.economy.bundle`; in base64 it fits what a request may have.
MAX_BUNDLE_BYTES = 4 * 1024 * 1024


class AskBundle(Ask, frozen=True):
    """Of which voucher (its id) your holdings are to be proven."""

    voucher: Id


class BundleModel(Tell, frozen=True):
    """`bundle` is the file; `text` is the same as text for a QR code and `qr` that code as lines of block characters,
    both empty when it is too large for one. `sentence` says what it proves, and what not."""

    bundle: bytes
    size: int
    text: str
    qr: str
    sentence: str


class CheckBundle(Ask, frozen=True):
    """A bundle as a file, or as the text of its QR code."""

    bundle: Annotated[bytes, Meta(max_length=MAX_BUNDLE_BYTES)]


class BundleVerdict(Tell, frozen=True):
    """What a bundle proves by itself. `commons` is empty where the bundle does not show that issuer and holder belong
    to one; `made` is when its maker says that it was made, in milliseconds."""

    sentence: str
    voucher: str
    promise: str
    unit: str
    issuer: str
    issuer_name: str
    holder: str
    holder_name: str
    final: int
    provisional: int
    expires: int
    expired: bool
    commons: str
    commons_name: str
    exchanges: int
    made: int
