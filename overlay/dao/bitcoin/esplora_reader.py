"""What an Esplora server shows, believed only as far as it shows it.

Amounts and scripts come from raw transactions whose id is recomputed, never from JSON. That a transaction is
confirmed is believed with its merkle branch to the header of a block that took at least the work of an easy block
of the network. What a server leaves out, and how high a block stands, can't be seen from here.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from decimal import Decimal
from typing import TypeVar

from overlay.dao.bitcoin import answers
from overlay.dao.bitcoin.backend import BackendError
from overlay.dao.bitcoin.esplora_answers import (
    BlockTimes,
    Branch,
    Named,
    Place,
    Spending,
    Status,
    Unspent,
    Waiting,
    leads,
    read_height,
    read_place,
    read_txid,
)
from overlay.dao.bitcoin.esplora_http import EsploraHttp
from overlay.dao.bitcoin.headers import Header, InvalidHeader, parse_header
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.transaction import (
    Transaction,
    Txid,
    TxOutput,
    parse,
    serialize,
)

K = TypeVar("K")
T = TypeVar("T")

Outpoint = tuple[Txid, int]

# Requests at one time.
PARALLEL = 8
# Each coin takes three or four requests of its own: 2,000 coins take minutes.
MAX_LISTED = 2_000
# Esplora shows 25 confirmed transactions at a time; its descendants up to twice as many.
MAX_PAGE = 50
# A transaction without witness of this size could pass for an inner node of a merkle tree, so none is believed.
NODE_BYTES = 64
# Transactions, places and headers kept for next time: 4,096 each of at most 2 kB, forgotten all at once.
MAX_KEPT = 4_096
MAX_KEPT_BYTES = 2_000
NULL_TXID = "00" * 32


class EsploraReader:
    """Typed questions to one server of `network`. Every method raises BackendError where it can't believe."""

    def __init__(self, http: EsploraHttp, network: Network) -> None:
        self._http, self._network = http, network
        self._transactions: dict[Txid, Transaction] = {}
        self._headers: dict[str, Header] = {}
        self._proven: set[tuple[Txid, Place]] = set()

    async def height(self) -> int:
        """Height of the best block."""
        return read_height(await self._text("/blocks/tip/height"))

    async def block_hash(self, height: int) -> str:
        """Hash of the block at `height`."""
        return answers.block_hash(await self._text(f"/block-height/{height}"))

    async def median_time(self) -> int:
        """Median time of the best block, seconds."""
        tip = answers.block_hash(await self._text("/blocks/tip/hash"))
        told = await self._http.json(BlockTimes, f"/block/{tip}")
        if told is None:
            raise BackendError("the Bitcoin server does not know its own best block")
        return answers.bounded(told.mediantime, 0xFFFFFFFF, "time")

    async def fee_estimates(self) -> dict[str, Decimal]:
        """Satoshis per virtual byte by number of blocks; not checked."""
        return await self._http.json(dict[str, Decimal], "/fee-estimates") or {}

    async def raw(self, txid: Txid) -> bytes | None:
        """The transaction of that id in consensus bytes, if the server has it. A witness has no part in the id."""
        text = await self._http.text(f"/tx/{txid}/hex")
        if text is None:
            return None
        raw = answers.read_hex(text)
        answers.check_identity(raw, txid)
        if len(serialize(parse(raw), witness=False)) == NODE_BYTES:
            raise BackendError("the Bitcoin server gave a transaction that could be a forgery by its size")
        return raw

    async def transaction(self, txid: Txid) -> Transaction | None:
        """The transaction of that id, if the server has it; for its inputs and outputs, not for its witness."""
        if txid in self._transactions:
            return self._transactions[txid]
        raw = await self.raw(txid)
        if raw is None:
            return None
        found = parse(raw)
        if len(raw) <= MAX_KEPT_BYTES:
            _make_room(self._transactions)
            self._transactions[txid] = found
        return found

    async def output(self, outpoint: Outpoint) -> TxOutput | None:
        """The output there, from the bytes of its transaction, if there is one."""
        transaction = await self.transaction(outpoint[0])
        if transaction is None or not 0 <= outpoint[1] < len(transaction.outputs):
            return None
        return transaction.outputs[outpoint[1]]

    async def place(self, txid: Txid) -> Place | None:
        """The block that holds the transaction; None while it waits, or where the server does not know it."""
        status = await self._http.json(Status, f"/tx/{txid}/status")
        if status is None or not status.confirmed:
            return None
        place = read_place(status)
        if (txid, place) not in self._proven:
            await self._prove(txid, place)
            _make_room(self._proven)
            self._proven.add((txid, place))
        return place

    async def spending(self, txid: Txid, vout: int) -> Spending:
        """Who spends that output."""
        told = await self._http.json(Spending, f"/tx/{txid}/outspend/{vout}")
        if told is None:
            raise BackendError("the Bitcoin server does not know an output of a transaction that it has")
        return told

    async def unspent(self, digest: str) -> list[Unspent]:
        """The coins of the script with that hash, as they are told."""
        return _bounded(await self._http.json(list[Unspent], f"/scripthash/{digest}/utxo"))

    async def waiting(self, digest: str) -> list[Waiting]:
        """Up to 50 transactions that wait and concern the script with that hash, as they are told."""
        return _bounded(await self._http.json(list[Waiting], f"/scripthash/{digest}/txs/mempool"))

    async def confirmed(self, digest: str, after: Txid | None) -> list[Txid]:
        """A page of confirmed transactions that concern the script, the newest first, older than `after`."""
        path = f"/scripthash/{digest}/txs/chain{'' if after is None else f'/{after}'}"
        page = await self._http.json(list[Named], path) or []
        if len(page) > MAX_PAGE:
            raise BackendError("the Bitcoin server gave a page that is longer than a page")
        return [read_txid(each.txid) for each in page]

    async def _text(self, path: str) -> str:
        text = await self._http.text(path)
        if text is None:
            raise BackendError(f"the Bitcoin server at {self._http.name} does not speak Esplora's language")
        return text

    async def _prove(self, txid: Txid, place: Place) -> None:
        header = await self._header(place.block_hash)
        told = await self._http.json(Branch, f"/tx/{txid}/merkle-proof")
        if told is None or not leads(told, txid, place, header.merkle_root):
            raise BackendError("the Bitcoin server does not show that a transaction is in the block it names")

    async def _header(self, block_hash: str) -> Header:
        if block_hash in self._headers:
            return self._headers[block_hash]
        try:
            raw = answers.read_hex(await self._text(f"/block/{block_hash}/header"))
            header = parse_header(raw, self._network.easiest_target)
        except InvalidHeader as error:
            raise BackendError(f"the Bitcoin server shows a forged block: {error}") from error
        if header.block_hash != block_hash:
            raise BackendError("the Bitcoin server shows another block than the one asked for")
        _make_room(self._headers)
        self._headers[block_hash] = header
        return header


async def together(tasks: Iterable[Awaitable[T]]) -> list[T]:
    """What all of `tasks` give, in order, a few at a time; raises BackendError if one does."""
    room = asyncio.Semaphore(PARALLEL)

    async def one(task: Awaitable[T]) -> T:
        async with room:
            return await task

    done = await asyncio.gather(*map(one, tasks), return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]


def is_coinbase(transaction: Transaction) -> bool:
    """Whether a transaction makes new coins."""
    return any(each.txid == NULL_TXID for each in transaction.inputs)


def _bounded(listed: list[T] | None) -> list[T]:
    found = listed or []
    if len(found) > MAX_LISTED:
        raise BackendError(f"the Bitcoin server lists more than {MAX_LISTED} coins of one script")
    return found


def _make_room(kept: dict[K, T] | set[K]) -> None:
    if len(kept) >= MAX_KEPT:
        kept.clear()
