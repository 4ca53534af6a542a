"""What the tests of Bitcoin share: a purse with one plain key, and clocks and chance that can be handed in."""

import asyncio
import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import msgspec
from coincurve import PrivateKey

from overlay.dao.bitcoin import address, payment, taproot
from overlay.dao.bitcoin.amounts import Sats
from overlay.dao.bitcoin.jsonrpc import CookieFile, Credentials, JsonRpc
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.payment import Coin, UnsignedPayment
from overlay.dao.bitcoin.transaction import Transaction, Txid, TxInput, TxOutput, serialize

SECONDS = 10.0
# A bitcoind (25 or later) to test against as well.
BITCOIND = os.environ.get("BITCOIND_EXE", "")
START_SECONDS = 60


class Purse:
    """A taproot key path with a plain key where a treasury has a threshold key."""

    def __init__(self, role: str) -> None:
        internal = PrivateKey(hashlib.sha256(role.encode()).digest())
        self.internal_key = internal.public_key_xonly.format()
        self.key = PrivateKey(taproot.tweak_secret(internal.secret))
        self.script = taproot.script_pubkey(taproot.output_key(self.internal_key).key)
        self.address = address.encode(self.script, Network.REGTEST) or ""

    def sign(self, unsigned: UnsignedPayment) -> bytes:
        """The payment, ready to be broadcast."""
        return payment.attach_signatures(unsigned, [self.signature(each) for each in unsigned.sighashes])

    def signature(self, sighash: bytes) -> bytes:
        return self.key.sign_schnorr(sighash, bytes(32))

    def spend(self, coins: list[Coin], outputs: list[TxOutput], **changes: Any) -> bytes:
        """A signed transaction that need not make sense: `changes` are of version, locktime, sequence."""
        sequence = changes.pop("sequence", 0xFFFFFFFF)
        inputs = tuple(TxInput(coin.txid, coin.vout, sequence=sequence) for coin in coins)
        unsigned = Transaction(inputs, tuple(outputs), **changes)
        spent = [coin.output for coin in coins]
        signed = tuple(
            msgspec.structs.replace(each, witness=(self.signature(taproot.signature_hash(unsigned, spent, index)),))
            for index, each in enumerate(inputs)
        )
        return serialize(msgspec.structs.replace(unsigned, inputs=signed))


class Caller:
    """Calls methods by name and gives their results as plain JSON."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self._rpc = JsonRpc(url, credentials)

    async def __call__(self, method: str, *params: Any) -> Any:
        return await self._rpc.call(Any, method, *params, timeout=SECONDS)  # type: ignore[arg-type]

    async def close(self) -> None:
        await self._rpc.close()


class FixedRandomness:
    """Chance that repeats itself: the same bytes in every run."""

    def __init__(self, seed: str) -> None:
        self._state = seed.encode()

    def bytes(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            self._state = hashlib.sha256(self._state).digest()
            out += self._state
        return out[:count]


def coin(number: int, amount: int, script: bytes, height: int = 1) -> Coin:
    """A coin that exists only on paper."""
    return Coin(Txid(f"{number:064x}"), 0, Sats(amount), script, height)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start_bitcoind(folder: Path) -> tuple[str, CookieFile, asyncio.subprocess.Process]:
    """A bitcoind of its own, without wallet, index or peers; it tells on its output when it is ready."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        BITCOIND,
        "-regtest",
        f"-datadir={folder}",
        f"-rpcport={port}",
        "-listen=0",
        "-server=1",
        "-printtoconsole=1",
        "-txindex=0",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        async for line in process.stdout:
            if b"Done loading" in line:
                break
    return f"http://127.0.0.1:{port}/", CookieFile(folder / "regtest/.cookie"), process
