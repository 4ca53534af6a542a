"""The Bitcoin networks, and how an address says which one it is for (BIP173, Base58Check)."""

from enum import Enum

# The target of difficulty 1, the easiest of mainnet and of the test networks that began as its copies.
DIFFICULTY_ONE = 0xFFFF << 8 * (0x1D - 3)
# Mainnet blocks have been harder than this since 2018. A treasury is younger, so a forged block costs that much.
MAINNET_DIFFICULTY = 10**12


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
    def genesis(self) -> str:
        """Hash of its first block, as people see it."""
        return _GENESIS[self]

    @property
    def easiest_target(self) -> int:
        """The target above which no block of it that concerns a treasury can be."""
        return _EASIEST_TARGETS[self]

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

_GENESIS = {
    Network.MAINNET: "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    Network.TESTNET: "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    Network.TESTNET4: "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    Network.SIGNET: "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    Network.REGTEST: "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}

_EASIEST_TARGETS = {
    Network.MAINNET: DIFFICULTY_ONE // MAINNET_DIFFICULTY,
    Network.TESTNET: DIFFICULTY_ONE,
    Network.TESTNET4: DIFFICULTY_ONE,
    Network.SIGNET: 0x0377AE << 8 * (0x1E - 3),
    Network.REGTEST: 0x7FFFFF << 8 * (0x20 - 3),
}
