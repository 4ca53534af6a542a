"""Bitcoin Core's consensus code, through libbitcoinkernel: blocks in, valid or not, and a chain on disk.

Everything untyped of that library stays in this file. It validates and stores; it has no mempool, no lookup of
outputs, and reports the reason for a refusal only in its log, which is global to the process.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.regtest.errors import RegtestError
from overlay.dao.bitcoin.transaction import TxOutput

# Phrases of the kernel's log after which the reason of a refusal stands.
REASON_MARKS = ("AcceptBlock FAILED (", "Block validation error: ")
LOG_LINES = 200


class Change(Enum):
    """What happened to a block of the best chain."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class ChainEvent(NamedTuple):
    """A block entered or left the best chain; `raw` in consensus bytes, `block_hash` as people see it."""

    change: Change
    height: int
    block_hash: str
    raw: bytes


class SpentCoin(NamedTuple):
    """An output that a block has spent, from the undo data."""

    output: TxOutput
    height: int
    coinbase: bool


class Submission(NamedTuple):
    """What a submitted block changed in the best chain, in order, and why it was refused, if it was."""

    events: list[ChainEvent]
    refused: str | None


class Kernel:
    """A regtest chainstate in `folder`; use from one thread, and close it, or the last blocks stay in memory."""

    def __init__(self, folder: Path) -> None:
        self._pbk = _library()
        self._events: list[ChainEvent] = []
        self._invalid = False
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._logging = self._pbk.LoggingConnection(lambda line: self._log.append(line))
        callbacks = self._pbk.ValidationInterfaceCallbacks(
            block_checked=self._on_checked,
            block_connected=lambda _, block, entry: self._record(Change.CONNECTED, block, entry),
            block_disconnected=lambda _, block, entry: self._record(Change.DISCONNECTED, block, entry),
        )
        try:
            self._manager = self._pbk.load_chainman(folder, self._pbk.ChainType.REGTEST, callbacks)
        except RuntimeError as error:
            with self._logging:
                raise RegtestError(f"the chain in {folder} can't be opened: {self._last_error()}") from error
        self._chain = self._manager.get_active_chain()
        self._log.clear()

    @property
    def height(self) -> int:
        """Height of the best block."""
        return int(self._chain.height)

    def block_hash(self, height: int) -> str:
        """Hash of the block at `height` of the best chain; IndexError beyond it."""
        if not 0 <= height <= self.height:
            raise IndexError(height)
        return str(self._chain.block_tree_entries[height].block_hash)

    def find(self, block_hash: str) -> int | None:
        """Height of a known block, be it on the best chain or beside it."""
        entry = self._entry(block_hash)
        return None if entry is None else int(entry.height)

    def raw_block(self, block_hash: str) -> bytes:
        """Consensus bytes of a known block; KeyError for any other."""
        return bytes(self._manager.blocks[self._known(block_hash)])

    def spent_by(self, block_hash: str) -> list[list[SpentCoin]]:
        """The outputs that each transaction of the block after its coinbase has spent, in order of its inputs."""
        undo = self._manager.block_spent_outputs[self._known(block_hash)]
        return [[_spent(coin) for coin in transaction.coins] for transaction in undo.transactions]

    def submit(self, raw: bytes) -> Submission:
        """Validate a block and store it.

        A valid block on a side branch changes nothing. `process_block` of the library reports success for
        some invalid blocks too, so its verdict callback decides.
        """
        self._events, self._invalid = [], False
        self._log.clear()
        try:
            self._manager.process_block(self._pbk.Block(raw))
        except RuntimeError:
            return Submission([], "Block decode failed")
        except self._pbk.KernelException:
            return Submission(self._events, self._reason())
        return Submission(self._events, self._reason() if self._invalid else None)

    def first_bad_input(self, raw: bytes, spent: Sequence[TxOutput]) -> int | None:
        """The first input of transaction `raw` whose script fails under all consensus rules, taproot included."""
        transaction = self._pbk.Transaction(raw)
        script_pubkeys = [self._pbk.ScriptPubkey(output.script_pubkey) for output in spent]
        pairs = zip(script_pubkeys, spent, strict=True)
        outputs = [self._pbk.TransactionOutput(script, output.amount) for script, output in pairs]
        precomputed = self._pbk.script.PrecomputedTransactionData(transaction, outputs)
        flags = self._pbk.ScriptVerificationFlags.ALL
        for index, script in enumerate(script_pubkeys):
            if not script.verify(spent[index].amount, transaction, precomputed, index, flags):
                return index
        return None

    def close(self) -> None:
        """Write everything to disk and let go of it."""
        # The library destroys its objects at the end of a `with`, and writes when the manager is destroyed.
        with self._logging, self._manager:
            pass

    def _entry(self, block_hash: str) -> Any:
        key = self._pbk.BlockHash(bytes.fromhex(block_hash)[::-1])
        entries = self._manager.block_tree_entries
        if key not in entries:
            return None
        return entries[key]

    def _known(self, block_hash: str) -> Any:
        entry = self._entry(block_hash)
        if entry is None:
            raise KeyError(block_hash)
        return entry

    def _record(self, change: Change, block: Any, entry: Any) -> None:
        self._events.append(ChainEvent(change, int(entry.height), str(block.block_hash), bytes(block)))

    def _on_checked(self, _: Any, __: Any, state: Any) -> None:
        if state.validation_mode != self._pbk.ValidationMode.VALID:
            self._invalid = True

    def _reason(self) -> str:
        return next(iter(_reasons(reversed(self._log))), "rejected")

    def _last_error(self) -> str:
        lines = [line.strip() for line in self._log if "error" in line.lower()]
        return lines[-1] if lines else "the kernel gives no reason"


def _reasons(lines: Iterable[str]) -> Iterable[str]:
    """The short reasons in the kernel's log lines: the word before the first comma after one of the marks."""
    for line in lines:
        for mark in REASON_MARKS:
            if mark in line:
                yield line.split(mark, 1)[1].split(",", 1)[0].rstrip(")\n")


def _spent(coin: Any) -> SpentCoin:
    output = TxOutput(Sats(int(coin.output.amount)), bytes(coin.output.script_pubkey))
    return SpentCoin(output, int(coin.confirmation_height), bool(coin.is_coinbase))


def _library() -> Any:
    try:
        import pbk
        import pbk.script
    except (ImportError, OSError) as error:
        raise RegtestError(
            "the regtest chain needs the package py-bitcoinkernel, which is not installed for this machine"
        ) from error
    return pbk
