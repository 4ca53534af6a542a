"""A treasury as its members' interfaces see it. All amounts are in satoshis."""

from typing import Annotated, Literal

from msgspec import Meta

from overlay.node.wire.base import Ask, Id, Line, Minutes, Tell

# Ten transactions of the greatest size in base64, as BIP174 hands them about.
PsbtFile = Annotated[bytes, Meta(max_length=1_000_000)]


class AskTreasury(Ask, frozen=True):
    group: Id


class AskFees(Ask, frozen=True):
    """What a payment of so much to one payee would cost now."""

    group: Id
    amount: Annotated[int, Meta(ge=1, le=2_100_000_000_000_000)] = 1_000


class AskPayment(Ask, frozen=True):
    proposal: Id


class LabelTreasury(Ask, frozen=True):
    """`about` is a group or a transaction; an empty `label` takes the note away."""

    about: Id
    label: Annotated[str, Meta(max_length=280)]


class MoveTreasury(Ask, frozen=True):
    """Propose that `group` pays all that its treasury holds to the treasury of the group `to`."""

    group: Id
    to: Id
    title: Annotated[str, Meta(max_length=60)] = ""
    reason: Line = ""
    minutes: Minutes = 60 * 24 * 7


class ShowPsbt(Ask, frozen=True):
    """A partially signed transaction, as bytes or in base64, and the proposal that it is said to pay."""

    proposal: Id
    psbt: PsbtFile


class CoinModel(Tell, frozen=True):
    """A coin in the chain; `promised_to` is the proposal that this node keeps it for at the moment, if any."""

    txid: str
    vout: int
    amount: int
    height: int
    confirmations: int
    promised_to: str
    label: str


class LimitsModel(Tell, frozen=True):
    """What may leave the treasury within `blocks` blocks; 0 is no limit."""

    blocks: int
    total: int
    each: int


class TreasuryModel(Tell, frozen=True):
    """`unconfirmed` is what waiting transactions will add (or take, below zero); None where nobody can tell."""

    group: str
    name: str
    label: str
    address: str
    network: str
    height: int
    confirmed: int
    unconfirmed: int | None
    coins: tuple[CoinModel, ...]
    limits: LimitsModel | None


class TreasuryAddress(Tell, frozen=True):
    """The address, as text, as a payment link, and as a QR code of block characters."""

    address: str
    uri: str
    qr: str


class HistoryEntry(Tell, frozen=True):
    """`kind` is received or paid; `amount` is without the fee; `fee` None where a spent coin is not known any more."""

    kind: Literal["received", "paid"]
    txid: str
    height: int
    confirmations: int
    amount: int
    fee: int | None
    proposal: str
    title: str
    label: str


class History(Tell, frozen=True):
    entries: tuple[HistoryEntry, ...]


class Fees(Tell, frozen=True):
    """`fee_rate` in satoshis per virtual byte, for confirmation within about an hour."""

    fee_rate: int
    inputs: int
    vsize: int
    fee: int


class TreasuryMove(Tell, frozen=True):
    """A proposal, by its `id`, and in satoshis what it moves, at most for which fee, and what stays behind at most.

    `coins_left` coins are more than one payment spends: they wait for the next move.
    """

    id: str
    amount: int
    fee_cap: int
    left_at_most: int
    coins_left: int


class RunInput(Tell, frozen=True):
    """A coin that would be spent, and what would be signed for it."""

    txid: str
    vout: int
    amount: int
    height: int
    sighash: str


class RunOutput(Tell, frozen=True):
    """`to` is the payee's name, or `change`."""

    address: str
    amount: int
    to: str


class RunCheck(Tell, frozen=True):
    """One thing that was looked at; an empty `problem` says that it holds."""

    what: str
    problem: str


class DryRun(Tell, frozen=True):
    """Exactly what this node would sign for a proposal now. Nothing was signed, promised or sent."""

    proposal: str
    title: str
    would_sign: bool
    checks: tuple[RunCheck, ...]
    not_checked: tuple[str, ...]
    txid: str
    inputs: tuple[RunInput, ...]
    outputs: tuple[RunOutput, ...]
    fee: int
    fee_rate: int
    fee_cap: int
    change: int
    vsize: int
    lock_time: int
    transaction: str


class PsbtModel(Tell, frozen=True):
    """A partially signed transaction in base64; `signatures` says how many of its `inputs` are signed."""

    psbt: str
    txid: str
    inputs: int
    signatures: int


class PsbtVerdict(Tell, frozen=True):
    """Whether this node would sign this very transaction; `problem` says why not."""

    would_sign: bool
    problem: str
    txid: str
    fee: int
    signatures: int


class Sent(Tell, frozen=True):
    txid: str
