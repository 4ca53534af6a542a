"""A value that is handed out once: what secret nonces of every kind are made of."""

from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class NonceUsedError(ValueError):
    """A secret nonce was asked to sign a second time. Signatures under one nonce give the share away."""


class OneTime(Generic[T]):
    """Holds a secret until it is taken. It cannot be copied, pickled or shown, so it ends with its process."""

    __slots__ = ("_held",)

    def __init__(self, value: T) -> None:
        self._held = [value]

    def take(self) -> T:
        """The value, for the one who uses it up; raises NonceUsedError the second time, to any thread."""
        try:
            # list.pop is atomic: of two threads that race for one nonce, one finds the list empty.
            return self._held.pop()
        except IndexError:
            raise NonceUsedError("this secret nonce has already signed; it never signs again") from None

    def void(self) -> None:
        """Give the value up unused."""
        self._held.clear()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'unused' if self._held else 'void'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret nonce cannot be copied or pickled")
