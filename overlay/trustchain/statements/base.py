"""What all statements share: the bounds of their fields, and what goes wrong with them."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

Key = Annotated[bytes, Meta(min_length=74, max_length=74)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Commitment = Annotated[bytes, Meta(max_length=32)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Line = Annotated[str, Meta(max_length=280)]
Unit = Annotated[str, Meta(min_length=1, max_length=20)]
# 2^53 - 1: the largest integer that every JSON reader keeps.
MAX_QUANTITY: Final = 9_007_199_254_740_991
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Amount = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Time = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Small = Annotated[int, Meta(ge=0, le=255)]
# A bit for each of at most 32 parts of a body.
Mask = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]


class MalformedStatement(ValueError):
    """A transaction or part of ours that says nothing valid; the message names the kind and the fault."""


class Statement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of all statements."""
