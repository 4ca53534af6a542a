"""The table of JSON-RPC methods: a method is a typed function, and its parameters are checked by its signature.

Params come as an array or an object. A value of another type than the signature's is error -3, a missing or
surplus one -1 with the method's help, an unknown method -32601, as bitcoind has them.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

import msgspec

from overlay.dao.bitcoin.regtest.errors import INVALID_PARAMETER, METHOD_NOT_FOUND, MISC_ERROR, TYPE_ERROR, RpcError

Json = Any


class Parameter(NamedTuple):
    """One parameter of a method; `default` is `inspect.Parameter.empty` where it must be given."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is inspect.Parameter.empty

    @property
    def usage(self) -> str:
        """The name, in parentheses if it may be left out."""
        return self.name if self.required else f"( {self.name} )"


class Method(NamedTuple):
    """A method: its function, which takes the node first, and its parameters."""

    name: str
    function: Callable[..., Json]
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """One line: the name, the parameters, the optional ones in parentheses."""
        return " ".join([self.name, *(each.usage for each in self.parameters)])

    @property
    def help(self) -> str:
        """The usage and what the method does."""
        return f"{self.usage}\n\n{inspect.getdoc(self.function)}\n"


class MethodTable:
    """Methods by name."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def add(self, name: str) -> Callable[[Callable[..., Json]], Callable[..., Json]]:
        """Decorator: the function that follows is the method `name`."""

        def register(function: Callable[..., Json]) -> Callable[..., Json]:
            hints = get_type_hints(function)
            _, *rest = inspect.signature(function).parameters.values()
            parameters = tuple(Parameter(each.name, hints[each.name], each.default) for each in rest)
            self._methods[name] = Method(name, function, parameters)
            return function

        return register

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._methods)

    def find(self, name: str) -> Method:
        """The method of that name; raises RpcError."""
        method = self._methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return method

    def call(self, node: Any, name: str, params: list[Any] | dict[str, Any]) -> Json:
        """Call method `name` on `node`; raises RpcError."""
        method = self.find(name)
        return method.function(node, **_bind(method, params))


def _bind(method: Method, params: list[Any] | dict[str, Any]) -> dict[str, Any]:
    given = _named(method, params)
    bound = {}
    for each in method.parameters:
        value = given.get(each.name)
        if value is None and each.required:
            raise RpcError(MISC_ERROR, method.help)
        # bitcoind takes null for an optional parameter as if it were left out.
        bound[each.name] = each.default if value is None else _convert(each, value)
    return bound


def _named(method: Method, params: list[Any] | dict[str, Any]) -> dict[str, Any]:
    names = [each.name for each in method.parameters]
    if isinstance(params, list):
        if len(params) > len(names):
            raise RpcError(MISC_ERROR, method.help)
        return dict(zip(names, params, strict=False))
    unknown = sorted(set(params) - set(names))
    if unknown:
        raise RpcError(INVALID_PARAMETER, f"Unknown named parameter {unknown[0][:80]}")
    return params


def _convert(parameter: Parameter, value: Any) -> Any:
    try:
        return msgspec.convert(value, parameter.type)
    except msgspec.ValidationError as error:
        raise RpcError(TYPE_ERROR, f"Wrong type passed for {parameter.name}: {error}") from error
