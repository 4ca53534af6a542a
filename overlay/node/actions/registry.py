"""One action is one typed function: the command line, the REST route and its OpenAPI entry are made from it.

    @action("voucher", "mint")
    async def mint(node: Node, ask: MintVoucher) -> Voucher: ...

The function's docstring is its help. What changes something is a POST. What only reads is a GET:

    @query("voucher", "list")
    def vouchers(node: Node, ask: Nothing) -> Vouchers: ...

It is not a coroutine, so it answers from one state of the ledger, whatever is stored meanwhile. A read that also asks
elsewhere is an action with `query=True`, and takes a snapshot by itself for what must fit together.
"""

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from overlay.node.node import Node
from overlay.node.wire import Ask, Tell

A = TypeVar("A", bound=Ask)
T = TypeVar("T", bound=Tell)


class BadRequest(ValueError):
    """What was asked cannot be carried out as it was asked; one sentence for people."""


class NotFound(LookupError):
    """What was named does not exist, as far as this node knows; one sentence for people."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a member can ask of its node."""

    group: str
    verb: str
    help: str
    query: bool
    ask: type[Ask]
    tell: type[Tell]
    run: Callable[[Node, Any], Awaitable[Tell]]

    @property
    def path(self) -> str:
        return f"/v1/{self.group}/{self.verb}"


ACTIONS: dict[tuple[str, str], Action] = {}


def action(
    group: str, verb: str, *, query: bool = False
) -> Callable[[Callable[[Node, A], Awaitable[T]]], Callable[[Node, A], Awaitable[T]]]:
    """Register a function of this node under a group and a verb."""

    def register(function: Callable[[Node, A], Awaitable[T]]) -> Callable[[Node, A], Awaitable[T]]:
        hints = typing.get_type_hints(function)
        help_ = inspect.getdoc(function)
        if not help_:
            raise TypeError(f"the action {group} {verb} has no docstring, which is its help")
        ACTIONS[group, verb] = Action(group, verb, help_, query, hints["ask"], hints["return"], function)
        return function

    return register


def query(group: str, verb: str) -> Callable[[Callable[[Node, A], T]], Callable[[Node, A], Awaitable[T]]]:
    """Register a function that reads from one state of this node's ledger."""

    def register(function: Callable[[Node, A], T]) -> Callable[[Node, A], Awaitable[T]]:
        @functools.wraps(function)
        async def read(node: Node, ask: A) -> T:
            with node.ledger.snapshot():
                return function(node, ask)

        return action(group, verb, query=True)(read)

    return register
