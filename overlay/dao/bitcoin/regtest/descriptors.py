"""Output descriptors as far as `scantxoutset` needs them: raw(HEX) and addr(ADDRESS), with checksum (BIP380)."""

import re

from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.regtest.errors import INVALID_ADDRESS_OR_KEY, RpcError

# BIP380: characters in groups of 32, so that mistakes of case stay close together.
INPUT_CHARSET = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
CHECKSUM_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
CHECKSUM_LENGTH = 8
DESCRIPTOR = re.compile(r"(?P<body>(?P<function>raw|addr)\((?P<argument>[0-9A-Za-z]*)\))(?:#(?P<checksum>.*))?")


def script_of(descriptor: str) -> bytes:
    """The scriptPubKey that `descriptor` describes; raises RpcError."""
    match = DESCRIPTOR.fullmatch(descriptor)
    if match is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "only raw(HEX) and addr(ADDRESS) are understood here")
    if match["checksum"] is not None and match["checksum"] != checksum(match["body"]):
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Provided checksum does not match computed checksum")
    try:
        if match["function"] == "raw":
            return bytes.fromhex(match["argument"])
        return address.decode(match["argument"], Network.REGTEST)
    except ValueError as error:
        raise RpcError(INVALID_ADDRESS_OR_KEY, f"{match['function']}(): {error}") from error


def describe(script_pubkey: bytes) -> str:
    """A descriptor of `script_pubkey` with its checksum."""
    text = address.encode(script_pubkey, Network.REGTEST)
    body = f"raw({script_pubkey.hex()})" if text is None else f"addr({text})"
    return f"{body}#{checksum(body)}"


def checksum(body: str) -> str:
    """The eight characters behind the `#`."""
    groups: list[int] = []
    symbols = []
    for character in body:
        position = INPUT_CHARSET.index(character)
        symbols.append(position & 31)
        groups.append(position >> 5)
        if len(groups) == 3:
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups.clear()
    if groups:
        symbols.append(sum(group * 3**place for place, group in enumerate(reversed(groups))))
    value = _polymod([*symbols, *[0] * CHECKSUM_LENGTH]) ^ 1
    return "".join(CHECKSUM_CHARSET[value >> 5 * (7 - place) & 31] for place in range(CHECKSUM_LENGTH))


def _polymod(symbols: list[int]) -> int:
    value = 1
    for symbol in symbols:
        top = value >> 35
        value = (value & 0x7FFFFFFFF) << 5 ^ symbol
        for bit, coefficient in enumerate(GENERATOR):
            if top >> bit & 1:
                value ^= coefficient
    return value
