"""The Bitcoin networks, and how an address says which one it is for (BIP173, Base58Check)."""

from enum import Enum


class Network(Enum):
    """A network; the value is its name in `getblockchaininfo` of Bitcoin Core."""

    MAINNET = "main"
    TESTNET = "test"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"

    @property
    def hrp(self) -> str:
        """Human-readable part of its bech32 addresses. The three public test networks share one."""
        return {Network.MAINNET: "bc", Network.REGTEST: "bcrt"}.get(self, "tb")

    @property
    def pubkey_hash_version(self) -> int:
        """Version byte of its base58 pay-to-pubkey-hash addresses."""
        return 0 if self is Network.MAINNET else 111

    @property
    def script_hash_version(self) -> int:
        """Version byte of its base58 pay-to-script-hash addresses."""
        return 5 if self is Network.MAINNET else 196

    @property
    def label(self) -> str:
        """The name for people."""
        return _LABELS[self]


_LABELS = {
    Network.MAINNET: "mainnet",
    Network.TESTNET: "testnet",
    Network.TESTNET4: "testnet4",
    Network.SIGNET: "signet",
    Network.REGTEST: "regtest",
}
