"""Methods that make blocks and coins, and that concern the service itself."""

from decimal import Decimal
from typing import Any

from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.amounts import InvalidAmount, from_btc
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import InsufficientFunds, PaymentError
from overlay.dao.bitcoin.regtest import errors, views
from overlay.dao.bitcoin.regtest.blocks import MAX_BLOCK_BYTES, parse_block
from overlay.dao.bitcoin.regtest.errors import BlockRefused, Refused, RpcError
from overlay.dao.bitcoin.regtest.methods_mempool import RELAY_FEE
from overlay.dao.bitcoin.regtest.node import RegtestNode
from overlay.dao.bitcoin.regtest.table import METHODS, script_argument

# What clients read off the version decides which answers they expect: those of Bitcoin Core 29.
CORE_VERSION, PROTOCOL_VERSION = 290000, 70016
SUBVERSION = "/Counterfoil-regtest:1/"
# All calls wait while blocks are made, at about a millisecond each.
MAX_BLOCKS_AT_ONCE = 1_000


@METHODS.add("generatetoaddress")
def generate(node: RegtestNode, nblocks: int, address: str, maxtries: int = 1_000_000) -> list[str]:
    """Mine blocks at once, their coins to the address; their hashes."""
    script = script_argument(address)
    if not 0 <= nblocks <= MAX_BLOCKS_AT_ONCE:
        raise RpcError(errors.INVALID_PARAMETER, f"nblocks is between 0 and {MAX_BLOCKS_AT_ONCE} here")
    try:
        return node.mine(script, nblocks)
    except BlockRefused as refusal:
        raise RpcError(errors.INTERNAL_ERROR, f"ProcessNewBlock, block not accepted: {refusal}") from refusal


@METHODS.add("submitblock")
def submit_block(node: RegtestNode, hexdata: str, dummy: str = "") -> str | None:
    """Judge a block, and follow it if it is best; null, or the reason why it is refused (BIP22)."""
    try:
        raw = bytes.fromhex(hexdata)
        block_hash = parse_block(raw).block_hash
    except ValueError as error:
        raise RpcError(errors.DESERIALIZATION_ERROR, "Block decode failed") from error
    if len(raw) > MAX_BLOCK_BYTES:
        return "bad-blk-length"
    if node.chain.kernel.find(block_hash) is not None:
        return "duplicate"
    try:
        node.chain.submit(raw, node.time)
    except BlockRefused as refusal:
        return refusal.reason
    node.chain.sync()
    return None if node.chain.confirmations(block_hash) > 0 else "inconclusive"


@METHODS.add("sendtoaddress")
def send_to_address(node: RegtestNode, address: str, amount: Decimal) -> str:
    """Pay an address out of the faucet; the id of the payment."""
    script = script_argument(address)
    try:
        return node.give(script, from_btc(amount))
    except InvalidAmount as error:
        raise RpcError(errors.TYPE_ERROR, f"Invalid amount: {error}") from error
    except InsufficientFunds as error:
        raise RpcError(errors.INSUFFICIENT_FUNDS, f"Insufficient funds: {error}") from error
    except (PaymentError, Refused) as error:
        raise RpcError(errors.VERIFY_REJECTED, str(error)) from error


@METHODS.add("getnewaddress")
def faucet_address(node: RegtestNode) -> str:
    """The faucet's address, always the same."""
    text = address.encode(node.faucet.script_pubkey, Network.REGTEST)
    assert text is not None
    return text


@METHODS.add("getnetworkinfo")
def network_info(node: RegtestNode) -> dict[str, Any]:
    """The version that this service speaks like. It has no peers."""
    return {
        "version": CORE_VERSION,
        "subversion": SUBVERSION,
        "protocolversion": PROTOCOL_VERSION,
        "localservices": f"{0:016x}",
        "localservicesnames": [],
        "localrelay": False,
        "timeoffset": 0,
        "networkactive": False,
        "connections": 0,
        "connections_in": 0,
        "connections_out": 0,
        "networks": [],
        "relayfee": views.money(RELAY_FEE),
        "incrementalfee": views.money(RELAY_FEE),
        "localaddresses": [],
        "warnings": [],
    }


@METHODS.add("uptime")
def uptime(node: RegtestNode) -> int:
    """Seconds since the start."""
    return node.uptime


@METHODS.add("stop")
def stop(node: RegtestNode) -> str:
    """Write everything to disk and end the service."""
    node.stopping.set()
    return "Counterfoil regtest stopping"


@METHODS.add("help")
def show_help(node: RegtestNode, command: str = "") -> str:
    """All methods, or one in detail."""
    if not command:
        return "\n".join(METHODS.find(name).usage for name in METHODS.names())
    try:
        return METHODS.find(command).help
    except RpcError:
        return f"help: unknown command: {command}"
