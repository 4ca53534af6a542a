"""Where a holding comes from: the blocks and single legs that prove it to another member, back to the mint.

Only the legs of the one voucher are disclosed, never the other side of a swap or the words between the parties.
"""

from collections.abc import Iterable

from overlay.economy.holdings import agreement_of
from overlay.economy.standing import Leg, inputs_of, legs_of
from overlay.keys import PublicKey
from overlay.trustchain.ledger import Transaction
from overlay.trustchain.statements import Source

# A holding that is longer in coming than this is handed over in person or after its issuer has exchanged it: at
# about 600 bytes a step, 256 steps are 150 kB.
MAX_STEPS = 256


class TooLongAHistory(ValueError):
    """A holding has passed through more hands than can be proven in one message."""


def post_sources(tx: Transaction, receiver: PublicKey, sources: Iterable[Source]) -> None:
    """Owe `receiver` what proves these holdings. Raises TooLongAHistory."""
    waiting, seen = [(source.block, source.index) for source in sources], set[tuple[bytes, int]]()
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        if len(seen) > MAX_STEPS:
            raise TooLongAHistory(f"this holding has passed through more than {MAX_STEPS} exchanges")
        waiting += _post_step(tx, receiver, *step)


def _post_step(tx: Transaction, receiver: PublicKey, block: bytes, index: int) -> list[tuple[bytes, int]]:
    leg = next((leg for leg in legs_of(tx.db, block) if leg.position == index // 2), None)
    if leg is None:
        tx.post(receiver, block)  # the mint
        return []
    _post_exchange(tx, receiver, leg)
    return [(source, at) for source, at in inputs_of(tx.db, leg)]


def post_leg(tx: Transaction, receiver: PublicKey, leg: Leg) -> None:
    """Owe `receiver` one leg of an exchange, with both halves, the issuers' words and what its inputs come from."""
    _post_exchange(tx, receiver, leg)
    post_sources(tx, receiver, [Source(block, index) for block, index in inputs_of(tx.db, leg)])


def _post_exchange(tx: Transaction, receiver: PublicKey, leg: Leg) -> None:
    tx.post(receiver, leg.proposal, 1 << leg.position)
    agreement = agreement_of(tx.db, leg.proposal)
    if agreement is not None:
        tx.post(receiver, agreement[0])
    words = tx.db.execute("SELECT block FROM voucher_witness WHERE proposal = ?", (leg.proposal,)).fetchall()
    for (word,) in words:
        tx.post(receiver, word)
