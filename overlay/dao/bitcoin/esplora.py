"""A chain backend over the HTTP API of Esplora, as Blockstream documents it (API.md of its repository).

One's own server, the regtest service, or a public one. A public server learns which coins are looked at; it can
hide coins, but neither invent one nor change its amount: see `esplora_reader`.
"""

import hashlib
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from overlay.dao.bitcoin import acceptance, answers
from overlay.dao.bitcoin.backend import BackendError, ChainBackend, TransactionStatus
from overlay.dao.bitcoin.esplora_answers import Waiting, read_txid
from overlay.dao.bitcoin.esplora_http import OK, EsploraHttp, check_refusal
from overlay.dao.bitcoin.esplora_reader import (
    MAX_LISTED,
    EsploraReader,
    Outpoint,
    is_coinbase,
    together,
)
from overlay.dao.bitcoin.esplora_surroundings import surroundings
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import MAX_FEE_RATE, Coin
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxOutput, parse

CONFIRMATION_TARGET = 6  # blocks, about an hour
# Estimates for this target or sooner; the least of them is for the latest.
TARGETS = frozenset(str(blocks) for blocks in range(1, CONFIRMATION_TARGET + 1))
# A thousand payments of a treasury have 200 kB; whoever sends it greater ones may be left out of its history.
MAX_HISTORY_BYTES = 20_000_000
# Esplora shows 25 transactions at a time; a history of more pages than this is cut off.
MAX_PAGES = 40


class EsploraBackend(ChainBackend):
    """`ChainBackend` over one Esplora server, which must be on `network`. Raises only BackendError and Rejected."""

    def __init__(self, url: str, network: Network) -> None:
        """`url` is where the API begins, such as https://blockstream.info/testnet/api."""
        self._http = EsploraHttp(url)
        self._reader = EsploraReader(self._http, network)
        self._network = network
        self._verified = False

    async def network(self) -> Network:
        """See ChainBackend. A network is known by its first block."""
        genesis = await self._reader.block_hash(0)
        if genesis != self._network.genesis:
            found = next((each.label for each in Network if each.genesis == genesis), "an unknown network")
            raise BackendError(f"the Bitcoin server is on {found}, and this treasury is on {self._network.label}")
        self._verified = True
        return self._network

    async def height(self) -> int:
        """See ChainBackend."""
        await self._right_network()
        return await self._reader.height()

    async def coins(self, script_pubkey: bytes) -> list[Coin]:
        """See ChainBackend. Of the spends that wait, Esplora shows 50; coins spent by others are missed."""
        await self._right_network()
        digest = _digest(script_pubkey)
        told = {(read_txid(each.txid), each.vout): each.value for each in await self._reader.unspent(digest)}
        spent = _spent_by(await self._reader.waiting(digest), script_pubkey)
        outpoints = list({**told, **dict.fromkeys(spent)})
        outputs = dict(zip(outpoints, await together(map(self._reader.output, outpoints)), strict=True))
        _compare(told, outputs, script_pubkey)
        ours = [
            each for each, output in outputs.items() if output is not None and output.script_pubkey == script_pubkey
        ]
        confirmed = await together(map(self._confirmed, ours))
        # Asked for last, so that no coin is above it.
        tip = await self._reader.height()
        coins = [each.coin for each in confirmed if each is not None and _ripe(each, tip)]
        return sorted(coins, key=lambda coin: (coin.height, coin.txid, coin.vout))

    async def coin(self, txid: Txid, vout: int) -> Coin | None:
        """See ChainBackend."""
        await self._right_network()
        if await self._reader.output((txid, vout)) is None:
            return None
        found = await self._confirmed((txid, vout))
        if found is None or not _ripe(found, await self._reader.height()):
            return None
        return None if (await self._reader.spending(txid, vout)).spent else found.coin

    async def transaction(self, txid: Txid, since: int | None = None) -> TransactionStatus | None:
        """See ChainBackend. Esplora indexes all transactions, so `since` has no part in it."""
        await self._right_network()
        raw = await self._reader.raw(txid)
        return None if raw is None else await self._status(txid, raw)

    async def waiting(self, script_pubkey: bytes) -> list[Transaction] | None:
        """See ChainBackend. At most the 50 that the server lists."""
        await self._right_network()
        txids = sorted({read_txid(each.txid) for each in await self._reader.waiting(_digest(script_pubkey))})
        found = await together(map(self._reader.transaction, txids))
        known = [each for each in found if each is not None]
        return [each for each in known if any(output.script_pubkey == script_pubkey for output in each.outputs)]

    async def history(self, script_pubkey: bytes) -> list[TransactionStatus]:
        """Transactions that the server says concern the script: what waits, then what is confirmed, newest first.

        At most 1,000 confirmed ones. Each is what it is shown to be; that it concerns the script, and that none is
        left out, is for the caller to find out from its bytes.
        """
        await self._right_network()
        digest = _digest(script_pubkey)
        page = [read_txid(each.txid) for each in await self._reader.waiting(digest)]
        found = await self._transactions(page)
        after = None
        for _ in range(MAX_PAGES):
            page = await self._reader.confirmed(digest, after)
            if not page:
                break
            found += await self._transactions(page)
            if sum(len(each.raw) for each in found) > MAX_HISTORY_BYTES:
                raise BackendError(f"the history of the script has more than {MAX_HISTORY_BYTES} bytes")
            after = page[-1]
        return found

    async def broadcast(self, raw: bytes) -> Txid:
        """See ChainBackend."""
        await self._right_network()
        txid = parse(raw).txid
        reply = await self._http.post("/tx", raw.hex())
        if reply.status != OK:
            check_refusal(reply)
        elif reply.body.strip() != txid.encode():
            raise BackendError("the Bitcoin server says it sent another transaction than the one it was given")
        return txid

    async def test_accept(self, raw: bytes) -> None:
        """See ChainBackend. Esplora has no such question, so it is judged here: see `acceptance`."""
        await self._right_network()
        transaction = parse(raw)
        acceptance.check(transaction, await surroundings(self._reader, transaction))

    async def fee_rate(self) -> int:
        """See ChainBackend. On regtest, where nobody competes for space, 1."""
        await self._right_network()
        estimates = await self._reader.fee_estimates()
        if not estimates and self._network is Network.REGTEST:
            return 1
        rates = [rate for target, rate in estimates.items() if target in TARGETS]
        if not rates:
            raise BackendError("the Bitcoin server has no estimate of fees")
        return min(map(_whole, rates))

    async def close(self) -> None:
        """See ChainBackend."""
        await self._http.close()

    async def _right_network(self) -> None:
        if not self._verified:
            await self.network()

    async def _confirmed(self, outpoint: Outpoint) -> "_Confirmed | None":
        """The output there, if its transaction is confirmed."""
        transaction, place = await self._reader.transaction(outpoint[0]), await self._reader.place(outpoint[0])
        if transaction is None or place is None:
            return None
        output = transaction.outputs[outpoint[1]]
        coin = Coin(*outpoint, output.amount, output.script_pubkey, place.height)
        return _Confirmed(coin, is_coinbase(transaction))

    async def _transactions(self, txids: list[Txid]) -> list[TransactionStatus]:
        return [each for each in await together(map(self.transaction, txids)) if each is not None]

    async def _status(self, txid: Txid, raw: bytes) -> TransactionStatus:
        place = await self._reader.place(txid)
        if place is None:
            return TransactionStatus(raw, 0, None)
        above = await self._reader.height() - place.height
        return TransactionStatus(raw, answers.bounded(above, answers.MAX_HEIGHT, "depth") + 1, place.height)


class _Confirmed(NamedTuple):
    """A confirmed output, and whether it is new coins."""

    coin: Coin
    coinbase: bool


def _ripe(found: _Confirmed, tip: int) -> bool:
    """Whether the block after `tip` could spend it."""
    age = answers.bounded(tip - found.coin.height, answers.MAX_HEIGHT, "height") + 1
    return not found.coinbase or age >= answers.COINBASE_MATURITY


def _digest(script_pubkey: bytes) -> str:
    """How Esplora names a script."""
    return hashlib.sha256(script_pubkey).hexdigest()


def _compare(told: dict[Outpoint, int], outputs: dict[Outpoint, TxOutput | None], script_pubkey: bytes) -> None:
    """That what is told of coins is what their transactions say."""
    for outpoint, value in told.items():
        output = outputs[outpoint]
        if output is None or output.script_pubkey != script_pubkey:
            raise BackendError("the Bitcoin server reports coins that are not the treasury's")
        if output.amount != value:
            raise BackendError("the Bitcoin server reports another amount of a coin than its transaction")


def _spent_by(waiting: list[Waiting], script_pubkey: bytes) -> list[Outpoint]:
    """Outputs to the script that waiting transactions are told to spend."""
    inputs = [each for found in waiting for each in found.vin]
    ours = [each for each in inputs if each.prevout and each.prevout.scriptpubkey == script_pubkey.hex()]
    if len(ours) > MAX_LISTED:
        raise BackendError(f"the Bitcoin server lists more than {MAX_LISTED} coins of one script")
    return [(read_txid(each.txid), each.vout) for each in ours]


def _whole(rate: Decimal) -> int:
    """Whole satoshis per virtual byte, rounded up, if anybody should pay that."""
    if not rate.is_finite() or not 0 < rate <= MAX_FEE_RATE:
        raise BackendError("the Bitcoin server recommends an impossible fee")
    return int(rate.to_integral_value(ROUND_CEILING))
