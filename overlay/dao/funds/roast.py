"""ROAST over FROST: one payment signed by the first `threshold` members that answer, whoever is silent or lies.

Every candidate is asked at once and goes its own way: commit, wait for a seat, sign, and commit again. Whenever
`threshold` of them wait, they make a session. Who has answered in a session that others hold up sits in the next; who
is silent, refuses or sends a wrong share is out of this run. Each session that fails costs at least one member its
place, so there are at most n - t + 1 (Ruffing et al., ROAST, section 4).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from overlay.clock import Randomness
from overlay.dao.assembly.charters import Charter
from overlay.dao.bitcoin.payment import UnsignedPayment
from overlay.dao.frost import signing
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.funds.signer import signers_context
from overlay.dao.keyring.custody import Share
from overlay.dao.keyring.messages import AskCommitments, AskShares, Commitments, SignatureShares
from overlay.keys import PublicKey, short

log = logging.getLogger(__name__)

SESSION_BYTES = 16


class Unfit(Exception):
    """A member that cannot be part of this run; the message says why."""


# Members who did not vote yes are asked when this has passed, or when one who did is out: they sign what was decided,
# but whoever approved comes first.
RESERVE_SECONDS = 1.5


class TooFew(Exception):
    """Less than `threshold` members would sign; the message says why the others did not."""

    def __init__(self, threshold: int, said: tuple[str, ...]) -> None:
        reasons = "; ".join(sorted(set(said)))
        super().__init__(f"it waits for {threshold} members' nodes that sign ({reasons or 'none can be asked'})")


@dataclass(frozen=True, slots=True)
class Fault:
    """A member sent what it should not have; what was asked and answered proves it to whoever sees the coins."""

    member: PublicKey
    what: str
    transaction: bytes
    signers: tuple[int, ...]
    nonces: tuple[tuple[bytes, ...], ...]
    answer: tuple[bytes, ...]


class Asking(Protocol):
    """How a run reaches a member; raises Unfit."""

    async def commit(self, member: PublicKey, ask: AskCommitments) -> Commitments:
        """First round."""

    async def sign(self, member: PublicKey, ask: AskShares) -> SignatureShares:
        """Second round."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """One signature per input, and the places in the charter of those who made them."""

    signatures: tuple[bytes, ...]
    signers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Session:
    """Those who sign together, by their places in the charter, and one coordinator per input."""

    signers: tuple[int, ...]
    nonces: tuple[tuple[bytes, ...], ...]
    inputs: tuple[signing.SigningCoordinator, ...]

    @property
    def aggregates(self) -> tuple[bytes, ...]:
        """One aggregate nonce per input."""
        return tuple(each.session.aggnonce for each in self.inputs)

    @property
    def is_complete(self) -> bool:
        """Whether all have sent valid shares."""
        return not any(each.missing() for each in self.inputs)

    def accept(self, number: int, shares: Sequence[bytes]) -> None:
        """Keep a signer's shares of all inputs; raises InvalidContributionError."""
        index = self.signers.index(number)
        if len(shares) != len(self.inputs):
            raise InvalidContributionError(index, "number of shares")
        for each, share in zip(self.inputs, shares, strict=True):
            each.accept(index, share)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A member that has committed and waits for a session."""

    number: int
    nonces: tuple[bytes, ...]
    session: asyncio.Future[_Session]


class Run:
    """One payment being signed. Make it, and await its `result` once."""

    def __init__(
        self,
        group: Charter,
        share: Share,
        proposal: bytes,
        unsigned: UnsignedPayment,
        asking: Asking,
        random: Randomness,
        on_fault: Callable[[Fault], Awaitable[None]],
    ) -> None:
        """`share` gives the public shares that key generation gave *us*; `on_fault` is told who sent what is wrong."""
        self._group, self._share, self._proposal, self._unsigned = group, share, proposal, unsigned
        self._asking, self._random, self._on_fault = asking, random, on_fault
        self._waiting: list[_Seat] = []
        self._said: dict[PublicKey, str] = {}

    async def result(self, candidates: Sequence[PublicKey], reserves: Sequence[PublicKey] = ()) -> Signatures:
        """Ask the candidates, and the reserves too once a candidate is out or late.

        Raises TooFew when less than `threshold` of them all are left.
        """
        going, waiting = self._start(candidates or reserves), list(reserves if candidates else ())
        try:
            while len(going) + len(waiting) >= self._group.threshold:
                patience = RESERVE_SECONDS if waiting else None
                ended, going = await asyncio.wait(going, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    if (done := task.result()) is not None:
                        return done
                going, waiting = going | self._start(waiting), []
        finally:
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)
        raise TooFew(self._group.threshold, tuple(self._said.values()))

    def _start(self, members: Sequence[PublicKey]) -> set[asyncio.Task[Signatures | None]]:
        return {asyncio.create_task(self._go(member)) for member in members}

    async def _go(self, member: PublicKey) -> Signatures | None:
        """One member's way: the signatures when its shares were the last that were missing; None when it is out."""
        number = self._group.members.index(member)
        try:
            while True:
                name = self._random.bytes(SESSION_BYTES)
                session = await self._seated(number, await self._commit(member, name))
                await self._sign(member, name, session)
                if session.is_complete:
                    return Signatures(tuple(each.signature() for each in session.inputs), session.signers)
        except Unfit as unfit:
            self._said[member] = str(unfit)
            log.info("%s signs without %s: %s", self._group.name, short(member), unfit)
            return None

    async def _commit(self, member: PublicKey, name: bytes) -> tuple[bytes, ...]:
        answer = await self._asking.commit(member, AskCommitments(self._proposal, name, self._unsigned.raw))
        if len(answer.nonces) != len(self._unsigned.coins):
            raise Unfit("it committed to the wrong number of nonces")
        try:
            signing.nonce_agg(answer.nonces)
        except InvalidContributionError as error:
            raise Unfit("it committed to a nonce that is none") from error
        return answer.nonces

    async def _seated(self, number: int, nonces: tuple[bytes, ...]) -> _Session:
        """Wait until enough others have committed, too."""
        seat = _Seat(number, nonces, asyncio.get_running_loop().create_future())
        self._waiting.append(seat)
        if len(self._waiting) == self._group.threshold:
            together, self._waiting = self._waiting, []
            session = self._session(sorted(together, key=lambda each: each.number))
            for each in together:
                each.session.set_result(session)
        return await seat.session

    def _session(self, seats: Sequence[_Seat]) -> _Session:
        numbers = tuple(seat.number for seat in seats)
        signers, tweak = signers_context(self._group, self._share, numbers), self._share.tweak
        inputs = tuple(
            signing.SigningCoordinator(signers, [seat.nonces[at] for seat in seats], sighash, [tweak], [True])
            for at, sighash in enumerate(self._unsigned.sighashes)
        )
        return _Session(numbers, tuple(seat.nonces for seat in seats), inputs)

    async def _sign(self, member: PublicKey, name: bytes, session: _Session) -> None:
        answer = await self._asking.sign(member, AskShares(name, session.signers, session.aggregates))
        try:
            session.accept(self._group.members.index(member), answer.shares)
        except InvalidContributionError as error:
            fault = Fault(member, error.what, self._unsigned.raw, session.signers, session.nonces, answer.shares)
            await self._on_fault(fault)
            raise Unfit("it sent a wrong signature share") from error
