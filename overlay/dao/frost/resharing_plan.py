"""Between whom a key is dealt anew: its holders so far, those of them who deal, and the new participants."""

from dataclasses import dataclass, field
from typing import Final

from overlay.dao.frost.bip340 import SIGNATURE_BYTES
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.group import POINT_BYTES
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.params import SessionParams, params_hash
from overlay.dao.frost.pedpop_message import SCALAR_BYTES
from overlay.dao.frost.scalars import interpolating_values
from overlay.dao.frost.wire import count_bytes


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a key so far: its public key, the public shares, and the host keys (33 bytes), all by participant."""

    t: int
    public_key: bytes
    pubshares: tuple[bytes, ...]
    hostpubkeys: tuple[bytes, ...]


# A tagged hash.
CONTEXT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Resharing:
    """What all who take part agree on: from whom, which of them deal, and to whom. Raises ValueError."""

    suite: Arithmetic
    old: Holders
    dealers: tuple[int, ...]
    new: SessionParams
    weights: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    context: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        old, dealers = self.old, self.dealers
        if len(set(dealers)) != len(dealers) or not all(0 <= dealer < len(old.pubshares) for dealer in dealers):
            raise ValueError("dealers are different participants of the old key")
        if len(dealers) < old.t:
            raise ValueError(f"{len(dealers)} dealers are fewer than the threshold {old.t}")
        weights = interpolating_values([dealer + 1 for dealer in dealers], self.suite.order)
        object.__setattr__(self, "weights", tuple(map(self.suite.scalar, weights)))
        object.__setattr__(self, "context", self._context())

    def _context(self) -> bytes:
        who = b"".join(map(count_bytes, (self.old.t, len(self.old.pubshares), len(self.dealers), *self.dealers)))
        keys = (self.old.public_key, *self.old.pubshares, *self.old.hostpubkeys)
        return tagged_hash("counterfoil/resharing/context", who, *keys, params_hash(self.new))

    @property
    def deal_bytes(self) -> int:
        """The length of one deal."""
        return deal_bytes(self.suite, self.new.t, self.new.n)


def deal_bytes(suite: Arithmetic, t: int, n: int) -> int:
    """The length of a deal to n participants, of whom t will sign."""
    return suite.element_bytes * t + POINT_BYTES + SCALAR_BYTES * n + SIGNATURE_BYTES
