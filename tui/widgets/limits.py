"""What a request's field may hold, read from the wire struct itself: nothing is typed twice."""

from dataclasses import dataclass
from functools import cache

import msgspec
from msgspec import inspect

from overlay.node.wire import Ask


@dataclass(frozen=True)
class Limits:
    """For a text its length, for a number its value, for several things their count; `least` 0 lets it be empty."""

    least: int
    most: int


# Where the struct itself sets no end: longer than any address or key that a request carries.
OPEN_END = 1_000


@cache
def limits(request: type[Ask], name: str) -> Limits:
    """The limits of a field; raises KeyError when the request has no such field."""
    info = inspect.type_info(request)
    if not isinstance(info, inspect.StructType):
        raise KeyError(name)
    field = {each.name: each for each in info.fields}[name]
    match field.type:
        case inspect.IntType(ge=least, le=most):
            return Limits(least or 0, most if most is not None else 2**53 - 1)
        case inspect.StrType(min_length=least, max_length=most):
            return Limits(least or int(field.required and field.default is msgspec.NODEFAULT), most or OPEN_END)
        case inspect.VarTupleType(min_length=least, max_length=most):
            return Limits(least or 0, most or OPEN_END)
        case _:
            return Limits(0, OPEN_END)
