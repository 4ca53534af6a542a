"""What all wire models share: bounded fields, the bases of requests and answers, and what goes wrong."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Quantity = Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Line = Annotated[str, Meta(max_length=280)]
Minutes = Annotated[int, Meta(ge=1, le=60 * 24 * 365)]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of requests."""


class Tell(msgspec.Struct, frozen=True):
    """The base of answers."""


class Nothing(Ask, frozen=True):
    """A request without fields."""


class Problem(Tell, frozen=True):
    """Why a request was not carried out: one sentence for people, and a short word for programs."""

    problem: str
    kind: Literal["refused", "bad-request", "not-found", "forbidden", "storage", "unavailable", "internal"]


class Done(Tell, frozen=True):
    """The statement that was signed, by its hash."""

    id: str
