"""A chain backend over the JSON-RPC of Bitcoin Core 25 or later. No transaction index and no wallet are needed.

Where that node has no index, a confirmed transaction is found through its unspent outputs (`gettxout` tells their
depth), and failing that by looking through recent blocks.
"""

import asyncio
from typing import Any, TypeVar

from overlay.dao.bitcoin import answers
from overlay.dao.bitcoin.backend import BackendError, ChainBackend, Rejected, TransactionStatus
from overlay.dao.bitcoin.jsonrpc import Credentials, JsonRpc, RpcFailure, plain
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin
from overlay.dao.bitcoin.transaction import Transaction, Txid, parse

T = TypeVar("T")

# Error codes of Bitcoin Core's RPC.
NOT_FOUND, BUSY, DECODE_FAILED, REFUSED, REFUSED_BY_RULES, KNOWN_ALREADY, WARMING_UP = (
    -5, -8, -22, -25, -26, -27, -28,
)  # fmt: skip
# Payments have few outputs; the first sixteen are looked at for one that is still unspent.
MAX_OUTPUTS_PROBED = 16
# A week of blocks, newest first.
MAX_BLOCKS_SEARCHED = 7 * 24 * 6
# Each waiting transaction takes a question of its own, half a millisecond on one machine.
MAX_WAITING_READ = 200
CONFIRMATION_TARGET = 6  # blocks, about an hour
SECONDS, SCAN_SECONDS = 30.0, 900.0  # a scan reads the whole set of unspent outputs


class BitcoindBackend(ChainBackend):
    """`ChainBackend` over one bitcoind, which must be on `network`. Raises only BackendError and Rejected."""

    def __init__(self, url: str, credentials: Credentials, network: Network) -> None:
        self._rpc = JsonRpc(url, credentials)
        self._network = network
        self._verified = False
        # bitcoind runs one scan at a time and refuses a second.
        self._scanning = asyncio.Lock()

    async def network(self) -> Network:
        """See ChainBackend."""
        answer = await self._ask(answers.Chain, "getblockchaininfo")
        known = {each.value: each for each in Network}
        if known.get(answer.chain) is not self._network:
            found = known[answer.chain].label if answer.chain in known else "an unknown network"
            raise BackendError(f"the Bitcoin node is on {found}, and this treasury is on {self._network.label}")
        self._verified = True
        return self._network

    async def height(self) -> int:
        """See ChainBackend."""
        await self._right_network()
        return answers.bounded(await self._ask(int, "getblockcount"), answers.MAX_HEIGHT, "height")

    async def coins(self, script_pubkey: bytes) -> list[Coin]:
        """See ChainBackend. Takes minutes on mainnet: the node reads its whole set of unspent outputs."""
        await self._right_network()
        async with self._scanning:
            scan = await self._ask(
                answers.Scan, "scantxoutset", "start", [{"desc": f"raw({script_pubkey.hex()})"}], timeout=SCAN_SECONDS
            )
        if not scan.success or len(scan.unspents) > answers.MAX_COINS:
            raise BackendError("the Bitcoin node did not finish its search for the treasury's coins")
        return answers.spendable_coins(scan, script_pubkey)

    async def coin(self, txid: Txid, vout: int) -> Coin | None:
        """See ChainBackend."""
        await self._right_network()
        found = await self._txout(txid, vout, mempool=True)
        if found is None or found.confirmations == 0:
            return None
        height = await self._height_of(found)
        if found.coinbase and found.confirmations < answers.COINBASE_MATURITY:
            return None
        return answers.read_coin(txid, vout, found.value, found.script.hex, height)

    async def transaction(self, txid: Txid, since: int | None = None) -> TransactionStatus | None:
        """See ChainBackend."""
        await self._right_network()
        found = await self._raw(txid)
        if found is None:
            block = await self._block_of_outputs(txid) or await self._block_by_search(txid, since)
            found = await self._raw(txid, block) if block else None
        return None if found is None else await self._status(txid, found)

    async def waiting(self, script_pubkey: bytes) -> list[Transaction] | None:
        """See ChainBackend. A bitcoind has no index of scripts, so a full mempool is not gone through: None."""
        await self._right_network()
        if (await self._ask(answers.Mempool, "getmempoolinfo")).size > MAX_WAITING_READ:
            return None
        listed = await self._ask(list[str], "getrawmempool")
        if len(listed) > MAX_WAITING_READ:
            return None
        found = []
        for txid in sorted(map(answers.read_txid, listed)):
            told = await self._raw(txid)
            if told is not None and told.blockhash is None:
                found.append(answers.read_transaction(answers.read_hex(told.hex), txid))
        return [each for each in found if any(output.script_pubkey == script_pubkey for output in each.outputs)]

    async def broadcast(self, raw: bytes) -> Txid:
        """See ChainBackend."""
        await self._right_network()
        txid = parse(raw).txid
        try:
            told = await self._rpc.call(str, "sendrawtransaction", raw.hex(), timeout=SECONDS)
        except RpcFailure as failure:
            if failure.code == KNOWN_ALREADY:
                return txid
            raise _refusal(failure, "sendrawtransaction") from failure
        if told != txid:
            raise BackendError("the Bitcoin node says it sent another transaction than the one it was given")
        return txid

    async def test_accept(self, raw: bytes) -> None:
        """See ChainBackend."""
        await self._right_network()
        txid = parse(raw).txid
        try:
            verdicts = await self._rpc.call(list[answers.Acceptance], "testmempoolaccept", [raw.hex()], timeout=SECONDS)
        except RpcFailure as failure:
            raise _refusal(failure, "testmempoolaccept") from failure
        if len(verdicts) != 1 or verdicts[0].txid != txid:
            raise BackendError("the Bitcoin node judged another transaction than the one it was given")
        if not verdicts[0].allowed:
            raise Rejected(plain(verdicts[0].reason) or "no reason given")

    async def fee_rate(self) -> int:
        """See ChainBackend. On regtest, where nobody competes for space, 1."""
        await self._right_network()
        estimate = (await self._ask(answers.Fee, "estimatesmartfee", CONFIRMATION_TARGET)).feerate
        if estimate is None:
            if self._network is Network.REGTEST:
                return 1
            raise BackendError("the Bitcoin node has no estimate of fees yet; it must see some blocks first")
        return answers.fee_rate(estimate)

    async def close(self) -> None:
        """See ChainBackend."""
        await self._rpc.close()

    async def _right_network(self) -> None:
        if not self._verified:
            await self.network()

    async def _ask(self, shape: type[T], method: str, *params: Any, timeout: float = SECONDS) -> T:
        """Call a method that has no business failing."""
        try:
            return await self._rpc.call(shape, method, *params, timeout=timeout)
        except RpcFailure as failure:
            raise _trouble(failure, method) from failure

    async def _txout(self, txid: Txid, vout: int, *, mempool: bool) -> answers.TxOut | None:
        found = await self._ask(answers.TxOut | None, "gettxout", txid, vout, mempool)  # type: ignore[arg-type]
        if found is not None:
            answers.bounded(found.confirmations, answers.MAX_HEIGHT, "number of confirmations")
        return found

    async def _height_of(self, found: answers.TxOut) -> int:
        tip = await self._header(found.bestblock)
        return answers.bounded(tip.height - found.confirmations + 1, answers.MAX_HEIGHT, "height")

    async def _header(self, block: str) -> answers.Header:
        header = await self._ask(answers.Header, "getblockheader", answers.block_hash(block))
        answers.bounded(header.height, answers.MAX_HEIGHT, "height")
        return header

    async def _raw(self, txid: Txid, block: str | None = None) -> answers.Verbose | None:
        params = [txid, True] if block is None else [txid, True, block]
        try:
            return await self._rpc.call(answers.Verbose, "getrawtransaction", *params, timeout=SECONDS)
        except RpcFailure as failure:
            if failure.code == NOT_FOUND:
                return None
            raise _trouble(failure, "getrawtransaction") from failure

    async def _status(self, txid: Txid, found: answers.Verbose) -> TransactionStatus:
        raw = answers.read_hex(found.hex)
        answers.check_identity(raw, txid)
        if found.blockhash is None:
            return TransactionStatus(raw, 0, None)
        header = await self._header(found.blockhash)
        # A block that a reorganisation has left behind confirms nothing; bitcoind gives it -1.
        if header.confirmations < 1:
            return TransactionStatus(raw, 0, None)
        return TransactionStatus(raw, answers.bounded(header.confirmations, answers.MAX_HEIGHT, "depth"), header.height)

    async def _block_of_outputs(self, txid: Txid) -> str | None:
        for vout in range(MAX_OUTPUTS_PROBED):
            found = await self._txout(txid, vout, mempool=False)
            if found is not None:
                return answers.block_hash(await self._ask(str, "getblockhash", await self._height_of(found)))
        return None

    async def _block_by_search(self, txid: Txid, since: int | None) -> str | None:
        if since is None:
            return None
        tip = await self.height()
        for height in range(tip, max(since, tip - MAX_BLOCKS_SEARCHED, 0), -1):
            block = answers.block_hash(await self._ask(str, "getblockhash", height))
            if txid in (await self._ask(answers.Block, "getblock", block, 1)).tx:
                return block
        return None


def _refusal(failure: RpcFailure, method: str) -> Exception:
    if failure.code in (DECODE_FAILED, REFUSED, REFUSED_BY_RULES):
        return Rejected(failure.text)
    return _trouble(failure, method)


def _trouble(failure: RpcFailure, method: str) -> BackendError:
    if failure.code == WARMING_UP:
        return BackendError("the Bitcoin node is still starting; try again in a moment")
    if failure.code == BUSY and method == "scantxoutset":
        return BackendError("the Bitcoin node is busy with another search for coins; try again in a moment")
    return BackendError(f"the Bitcoin node refused {method}: {failure}")
