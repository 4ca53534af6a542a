"""Segwit addresses: bech32 (BIP173) for witness version 0, bech32m (BIP350) for 1 to 16.

The checksum is a BCH code over GF(32): the characters are coefficients of a polynomial, and a valid string
leaves the remainder 1 (bech32) or 0x2bc830a3 (bech32m) modulo the generator.
"""

from collections.abc import Iterable, Sequence

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32_CONST = 1
BECH32M_CONST = 0x2BC830A3
CHECKSUM_LENGTH = 6
MAX_LENGTH = 90  # BIP173: beyond this length the code no longer finds every four errors.
MAX_WITNESS_VERSION = 16
MIN_PROGRAM, MAX_PROGRAM = 2, 40  # bytes, BIP141


class InvalidBech32(ValueError):
    """Text that is no segwit address; the message says why."""


def _polymod(values: Iterable[int]) -> int:
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, coefficient in enumerate(GENERATOR):
            if top >> bit & 1:
                remainder ^= coefficient
    return remainder


def _expand(hrp: str) -> list[int]:
    return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]


def _constant(version: int) -> int:
    return BECH32_CONST if version == 0 else BECH32M_CONST


def _to_fives(data: bytes) -> list[int]:
    """Bytes as groups of five bits, zero bits behind the last."""
    groups = -(-len(data) * 8 // 5)
    number = int.from_bytes(data) << (groups * 5 - len(data) * 8)
    return [number >> (5 * i) & 31 for i in reversed(range(groups))]


def _to_bytes(fives: Sequence[int]) -> bytes:
    """The inverse of `_to_fives`; padding must be shorter than a group and zero."""
    padding = len(fives) * 5 % 8
    number = sum(five << (5 * i) for i, five in enumerate(reversed(fives)))
    if padding >= 5 or number & ((1 << padding) - 1):
        raise InvalidBech32("the address does not end on a byte")
    return (number >> padding).to_bytes(len(fives) * 5 // 8)


def encode(hrp: str, version: int, program: bytes) -> str:
    """The address of a witness program of 2 to 40 bytes."""
    values = [version, *_to_fives(program)]
    polymod = _polymod([*_expand(hrp), *values, *[0] * CHECKSUM_LENGTH]) ^ _constant(version)
    checksum = [polymod >> (5 * (CHECKSUM_LENGTH - 1 - i)) & 31 for i in range(CHECKSUM_LENGTH)]
    return hrp + "1" + "".join(CHARSET[v] for v in values + checksum)


def decode(address: str) -> tuple[str, int, bytes]:
    """(human-readable part, witness version, program); raises InvalidBech32."""
    hrp, values = _split(address)
    if len(values) <= CHECKSUM_LENGTH or values[0] > MAX_WITNESS_VERSION:
        raise InvalidBech32("the address names no witness version")
    version = values[0]
    if _polymod(_expand(hrp) + values) != _constant(version):
        raise InvalidBech32("the address is mistyped: its checksum does not fit")
    program = _to_bytes(values[1:-CHECKSUM_LENGTH])
    if not MIN_PROGRAM <= len(program) <= MAX_PROGRAM or (version == 0 and len(program) not in (20, 32)):
        raise InvalidBech32(f"a witness program of version {version} does not have {len(program)} bytes")
    return hrp, version, program


def _split(address: str) -> tuple[str, list[int]]:
    if len(address) > MAX_LENGTH or address not in (address.lower(), address.upper()):
        raise InvalidBech32("a segwit address has at most 90 characters, all of one case")
    hrp, separator, data = address.lower().rpartition("1")
    if not separator or not hrp or any(not 33 <= ord(c) <= 126 for c in hrp):
        raise InvalidBech32("the address has no network part")
    if any(c not in CHARSET for c in data):
        raise InvalidBech32("the address has characters that no segwit address has")
    return hrp, [CHARSET.index(c) for c in data]
