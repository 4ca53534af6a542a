"""The coordinator of a signing session: it checks each signer's part as it comes and joins them to a signature."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from overlay.dao.frost.errors import InvalidContributionError


class Coordinator(ABC):
    """Collects one valid part of each of `signers` signers.

    It needs no secret and is trusted with nothing but to name the right culprit: whoever holds the messages can check
    its verdict by running it again.
    """

    part: str
    """What a signer's contribution is called in the protocol."""

    def __init__(self, signers: int) -> None:
        self._parts: Final[dict[int, bytes]] = {}
        self._signers: Final = signers

    @abstractmethod
    def verify(self, index: int, part: bytes) -> bool:
        """Whether `part`, any bytes, is what the signer at `index` owes."""

    @abstractmethod
    def _join(self, parts: Sequence[bytes]) -> bytes:
        """The signature made of the valid parts of all, in the order of the signers; checked."""

    def accept(self, index: int, part: bytes) -> None:
        """Keep a valid part; raises InvalidContributionError, which names `index`, for any other.

        Raises ValueError where there is no signer at `index`.
        """
        if not 0 <= index < self._signers:
            raise ValueError(f"there is no signer at index {index} of {self._signers}")
        if not self.verify(index, part):
            raise InvalidContributionError(index, self.part)
        self._parts[index] = part

    def missing(self) -> list[int]:
        """The indices of the signers whose part is still awaited."""
        return [index for index in range(self._signers) if index not in self._parts]

    def signature(self) -> bytes:
        """The 64-byte signature; raises ValueError while some part is missing."""
        if missing := self.missing():
            raise ValueError(f"the contributions of the signers at indices {missing} are missing")
        return self._join([self._parts[index] for index in range(self._signers)])
