"""Other people's clients find what they expect: BDK over the Esplora side, bitcoin-core-rpc over the JSON-RPC.

Both come with `pip install bdkpython==3.1.1 bitcoin-core-rpc==2026.10.23`; without them these tests are skipped.
"""

import asyncio
import base64
from typing import Any

import pytest

from overlay.dao.bitcoin import address, payment, psbt
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Payee, UnsignedPayment
from overlay.dao.bitcoin.regtest import RegtestService, blocks
from overlay.dao.bitcoin.transaction import Txid
from tests.dao.bitcoin.helpers import Purse, coin

# Addresses that a wallet looks past its last used one, and requests at one time.
GAP, PARALLEL = 5, 2


def imported(name: str) -> Any:
    return pytest.importorskip(name, reason=f"the package {name} is not installed to test against")


class BdkWallet:
    """A wallet of the Bitcoin Dev Kit over Esplora; its calls block, so they run beside the service."""

    def __init__(self, url: str) -> None:
        self.bdk = imported("bdkpython")
        kind = self.bdk.NetworkKind.TEST
        key = self.bdk.DescriptorSecretKey(kind, self.bdk.Mnemonic.from_entropy(bytes(16)), None)
        chains = (self.bdk.KeychainKind.EXTERNAL, self.bdk.KeychainKind.INTERNAL)
        descriptors = [self.bdk.Descriptor.new_bip86(key, chain, kind) for chain in chains]
        persister = self.bdk.Persister.new_in_memory()
        self.wallet = self.bdk.Wallet(*descriptors, self.bdk.Network.REGTEST, persister)
        self.client = self.bdk.EsploraClient(url)
        own = self.wallet.reveal_next_address(chains[0]).address
        self.script = address.decode(str(own), Network.REGTEST)

    async def scan(self) -> None:
        """Looks for everything that was ever paid to its addresses."""
        request = self.wallet.start_full_scan().build()
        self.wallet.apply_update(await asyncio.to_thread(self.client.full_scan, request, GAP, PARALLEL))

    async def sync(self) -> None:
        """Looks again at the addresses it knows."""
        request = self.wallet.start_sync_with_revealed_spks().build()
        self.wallet.apply_update(await asyncio.to_thread(self.client.sync, request, PARALLEL))

    def balance(self) -> tuple[int, int]:
        """Confirmed and waiting satoshis."""
        told = self.wallet.balance()
        return told.confirmed.to_sat(), told.trusted_pending.to_sat() + told.untrusted_pending.to_sat()

    async def send(self, unsigned: Any) -> Any:
        """Signs and broadcasts."""
        assert self.wallet.sign(unsigned, None)
        transaction = unsigned.extract_tx()
        await asyncio.to_thread(self.client.broadcast, transaction)
        # It replaces its own payments only once it has seen them.
        await self.sync()
        return transaction

    def paying(self, script: bytes, amount: int, rate: int) -> Any:
        bdk = self.bdk
        builder = bdk.TxBuilder().add_recipient(bdk.Script(script), bdk.Amount.from_sat(amount))
        return builder.fee_rate(bdk.FeeRate.from_sat_per_vb(rate)).finish(self.wallet)


@pytest.fixture
def bdk_wallet(service: RegtestService) -> BdkWallet:
    return BdkWallet(service.esplora_url)


async def test_bdk_finds_its_coins_pays_and_sees_it_mined(
    service: RegtestService, bdk_wallet: BdkWallet, farmer: Purse
) -> None:
    node = service.node
    node.give(bdk_wallet.script, Sats(10_000_000))
    node.mine(node.faucet.script_pubkey, 1)
    node.give(bdk_wallet.script, Sats(1_000_000))
    await bdk_wallet.scan()
    assert bdk_wallet.balance() == (10_000_000, 1_000_000)
    transaction = await bdk_wallet.send(bdk_wallet.paying(farmer.script, 400_000, 2))
    txid = Txid(str(transaction.compute_txid()))
    waiting = node.chain.mempool.get(txid)
    assert waiting is not None
    assert sum(bdk_wallet.balance()) == 11_000_000 - 400_000 - waiting.fee
    node.mine(node.faucet.script_pubkey, 1)
    await bdk_wallet.sync()
    assert bdk_wallet.balance() == (11_000_000 - 400_000 - waiting.fee, 0)
    proof = await asyncio.to_thread(bdk_wallet.client.get_merkle_proof, transaction.compute_txid())
    assert proof.block_height == node.chain.height


async def test_bdk_replaces_a_payment_that_waits(service: RegtestService, bdk_wallet: BdkWallet, farmer: Purse) -> None:
    node, bdk = service.node, bdk_wallet.bdk
    node.give(bdk_wallet.script, Sats(10_000_000))
    node.mine(node.faucet.script_pubkey, 1)
    await bdk_wallet.scan()
    first = await bdk_wallet.send(bdk_wallet.paying(farmer.script, 400_000, 2))
    rate = bdk.FeeRate.from_sat_per_vb(9)
    second = await bdk_wallet.send(bdk.BumpFeeTxBuilder(first.compute_txid(), rate).finish(bdk_wallet.wallet))
    assert [each.txid for each in node.chain.mempool] == [str(second.compute_txid())]


async def test_bdk_follows_a_reorganisation(service: RegtestService, bdk_wallet: BdkWallet, farmer: Purse) -> None:
    node = service.node
    chain, parent = node.chain, node.chain.tip
    node.give(bdk_wallet.script, Sats(10_000_000))
    node.mine(node.faucet.script_pubkey, 1)
    await bdk_wallet.scan()
    assert bdk_wallet.balance() == (10_000_000, 0)
    for height in (chain.height, chain.height + 1):
        rival = blocks.assemble(parent, height, node.time + height, farmer.script, [], 0)
        chain.submit(rival, node.time)
        parent = blocks.parse_block(rival).block_hash
    assert chain.tip == parent
    await bdk_wallet.sync()
    assert bdk_wallet.balance() == (0, 10_000_000)


def unsigned_payment(treasury: Purse, farmer: Purse) -> UnsignedPayment:
    coins = [coin(number, 60_000, treasury.script) for number in (1, 2)]
    return payment.build(coins, [Payee(farmer.script, Sats(100_000))], 2, treasury.script)


def test_bdk_reads_writes_and_finishes_our_psbt(treasury: Purse, farmer: Purse) -> None:
    bdk = imported("bdkpython")
    unsigned = unsigned_payment(treasury, farmer)
    raw = psbt.to_psbt(unsigned, treasury.internal_key)
    theirs = bdk.Psbt(base64.b64encode(raw).decode())
    assert theirs.fee() == unsigned.fee
    assert base64.b64decode(theirs.serialize()) == raw
    signatures = [treasury.signature(each) for each in unsigned.sighashes]
    signed = psbt.to_psbt(unsigned, treasury.internal_key, signatures)
    finished = theirs.combine(bdk.Psbt(base64.b64encode(signed).decode())).finalize()
    assert finished.could_finalize
    assert finished.psbt.extract_tx().serialize() == treasury.sign(unsigned)
    again = psbt.from_psbt(base64.b64decode(finished.psbt.serialize()))
    assert psbt.signatures_for(again, unsigned) == signatures


async def test_a_psbt_of_bdks_own_making_is_read(service: RegtestService, bdk_wallet: BdkWallet, farmer: Purse) -> None:
    service.node.give(bdk_wallet.script, Sats(10_000_000))
    service.node.mine(service.node.faucet.script_pubkey, 1)
    await bdk_wallet.scan()
    theirs = bdk_wallet.paying(farmer.script, 400_000, 2)
    ours = psbt.from_psbt(base64.b64decode(theirs.serialize()))
    (each,) = ours.inputs
    assert (each.spent.amount, each.spent.script_pubkey, each.signature) == (10_000_000, bdk_wallet.script, None)
    assert bdk_wallet.wallet.sign(theirs, None)
    (each,) = psbt.from_psbt(base64.b64decode(theirs.serialize())).inputs
    assert each.signature is not None
    assert each.signature == theirs.extract_tx().input()[0].witness[0]


async def test_bitcoin_core_rpc_calls_in_both_forms_and_in_batches(service: RegtestService, farmer: Purse) -> None:
    library = imported("bitcoin_core_rpc")
    client = library.BitcoinCoreRpcClient(service.url, cookie_path=service.cookie_path)

    async def call(method: str, params: Any = ()) -> Any:
        return await asyncio.to_thread(client.call, method, params)

    assert await call("getblockcount") == service.node.chain.height
    assert (await call("getblockchaininfo"))["chain"] == "regtest"
    await asyncio.to_thread(client.assert_chain, "regtest")
    (tip,) = await call("generatetoaddress", {"nblocks": 1, "address": farmer.address})
    assert tip == service.node.chain.tip
    assert str((await call("gettxout", [(await call("getblock", [tip]))["tx"][0], 0]))["value"]) == "50.00000000"
    heights = [("getblockhash", [height]) for height in range(3)]
    assert await asyncio.to_thread(client.call_batch, heights) == [
        service.node.chain.kernel.block_hash(height) for height in range(3)
    ]
    with pytest.raises(library.RpcError) as refusal:
        await call("getblockhash", [10_000])
    assert refusal.value.code == -8
    with pytest.raises(library.RpcError) as refusal:
        await call("nothing")
    assert refusal.value.code == -32601
