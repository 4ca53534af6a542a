"""What RFC 9591 asks of a group and its hash functions (sections 3 and 6): the ground under `rfc9591` and `pedpop`.

Scalars and elements are their canonical bytes, so that a suite can hand them to a library that computes on bytes.
"""

from typing import Protocol


class Arithmetic(Protocol):
    """A prime-order group with a way to hash to its scalars.

    Operands of the methods have passed `check_scalar` or `check_element`, or come from other methods.
    """

    @property
    def order(self) -> int:
        """The order of the group."""

    @property
    def element_bytes(self) -> int:
        """The length of an element."""

    @property
    def identity(self) -> bytes:
        """The neutral element as `element_add` gives it; no message may carry it."""

    def check_scalar(self, raw: bytes) -> bytes:
        """Return `raw`; raises ValueError where it is no canonical scalar."""

    def check_element(self, raw: bytes) -> bytes:
        """Return `raw`; raises ValueError where it is no canonical element, is the identity or of small order."""

    def scalar(self, value: int) -> bytes:
        """A PUBLIC integer as a scalar."""

    def scalar_add(self, left: bytes, right: bytes) -> bytes: ...

    def scalar_sub(self, left: bytes, right: bytes) -> bytes: ...

    def scalar_mul(self, left: bytes, right: bytes) -> bytes: ...

    def element_add(self, left: bytes, right: bytes) -> bytes: ...

    def element_mul(self, scalar: bytes, element: bytes) -> bytes: ...

    def base_mul(self, scalar: bytes) -> bytes:
        """The generator times a scalar, which may be secret and may be zero."""

    def hash_to_scalar(self, domain: str, *parts: bytes) -> bytes:
        """To a scalar under a domain of our own, apart from all of the above; the parts are of fixed lengths."""


class Ciphersuite(Arithmetic, Protocol):
    """The same with the hash functions H1 to H5 of RFC 9591 and its signatures."""

    def h1(self, data: bytes) -> bytes:
        """To a scalar: binding factors."""

    def h2(self, data: bytes) -> bytes:
        """To a scalar: the challenge of a signature."""

    def h3(self, data: bytes) -> bytes:
        """To a scalar: nonces."""

    def h4(self, data: bytes) -> bytes:
        """To bytes: the message."""

    def h5(self, data: bytes) -> bytes:
        """To bytes: the commitments."""

    def verify(self, public_key: bytes, msg: bytes, signature: bytes) -> bool:
        """Whether `signature` is an ordinary signature of the suite."""
