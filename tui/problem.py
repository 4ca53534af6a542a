"""The one error of talking to a node."""

from typing import Literal, Self

Kind = Literal["refused", "bad-request", "not-found", "forbidden", "storage", "unavailable", "internal"]


class NodeProblem(Exception):
    """Why the node did not do or say what was asked: one sentence for people, `kind` as in `wire.Problem`."""

    def __init__(self, sentence: str, kind: Kind) -> None:
        super().__init__(sentence)
        self.kind = kind

    @classmethod
    def unreachable(cls) -> Self:
        """Nothing answers where the node should be."""
        return cls("The node does not answer.", "unavailable")
