"""The kinds of scriptPubKey that wallets pay to, told apart by their bytes, and their dust limits."""

from enum import Enum

from overlay.dao.bitcoin.amounts import Sats

OP_0, OP_1, OP_RETURN = 0x00, 0x51, 0x6A
OP_DUP, OP_EQUAL, OP_EQUALVERIFY, OP_HASH160, OP_CHECKSIG = 0x76, 0x87, 0x88, 0xA9, 0xAC

# Bitcoin Core's default dust relay fee, satoshis per virtual byte.
DUST_FEE_RATE = 3
# What spending an output costs later, in virtual bytes: outpoint 36 + script length 1 + sequence 4, and a signature
# with its key, 107 bytes, which count a quarter each in a witness.
SPEND_VSIZE = 36 + 1 + 4 + 107
SPEND_VSIZE_WITNESS = 36 + 1 + 4 + 107 // 4


class ScriptKind(Enum):
    """A template; the value is its name in Bitcoin Core's JSON."""

    PUBKEY_HASH = "pubkeyhash"
    SCRIPT_HASH = "scripthash"
    WITNESS_PUBKEY_HASH = "witness_v0_keyhash"
    WITNESS_SCRIPT_HASH = "witness_v0_scripthash"
    TAPROOT = "witness_v1_taproot"
    NULL_DATA = "nulldata"
    NONSTANDARD = "nonstandard"


def pubkey_hash(digest: bytes) -> bytes:
    """Pay to the HASH160 (20 bytes) of a public key."""
    return bytes([OP_DUP, OP_HASH160, len(digest)]) + digest + bytes([OP_EQUALVERIFY, OP_CHECKSIG])


def script_hash(digest: bytes) -> bytes:
    """Pay to the HASH160 (20 bytes) of a script."""
    return bytes([OP_HASH160, len(digest)]) + digest + bytes([OP_EQUAL])


def witness_program(version: int, program: bytes) -> bytes:
    """Pay to a witness program (BIP141)."""
    return bytes([OP_0 if version == 0 else OP_1 - 1 + version, len(program)]) + program


def _is_pubkey_hash(script: bytes) -> bool:
    return len(script) == 25 and script == pubkey_hash(script[3:23])


def _is_script_hash(script: bytes) -> bool:
    return len(script) == 23 and script == script_hash(script[2:22])


_WITNESS_KINDS = {
    (OP_0, 20): ScriptKind.WITNESS_PUBKEY_HASH,
    (OP_0, 32): ScriptKind.WITNESS_SCRIPT_HASH,
    (OP_1, 32): ScriptKind.TAPROOT,
}


def kind(script: bytes) -> ScriptKind:
    """Which template `script` follows."""
    if _is_pubkey_hash(script):
        return ScriptKind.PUBKEY_HASH
    if _is_script_hash(script):
        return ScriptKind.SCRIPT_HASH
    if script[:1] == bytes([OP_RETURN]):
        return ScriptKind.NULL_DATA
    if len(script) >= 2 and script[1] == len(script) - 2:
        return _WITNESS_KINDS.get((script[0], script[1]), ScriptKind.NONSTANDARD)
    return ScriptKind.NONSTANDARD


def dust_limit(script: bytes) -> Sats:
    """The least amount that nodes relay to `script`: an output worth less than a third of its cost is dust."""
    which = kind(script)
    if which is ScriptKind.NULL_DATA:
        return Sats(0)
    legacy = which in (ScriptKind.PUBKEY_HASH, ScriptKind.SCRIPT_HASH, ScriptKind.NONSTANDARD)
    size = 8 + 1 + len(script) + (SPEND_VSIZE if legacy else SPEND_VSIZE_WITNESS)
    return Sats(size * DUST_FEE_RATE)
