"""Addresses to scriptPubKeys and back: bech32m taproot, bech32 segwit version 0, base58."""

import hashlib

import bitcoin.base58
from coincurve import PublicKeyXOnly

from overlay.dao.bitcoin import bech32, scripts
from overlay.dao.bitcoin.networks import Network
from overlay.dao.bitcoin.scripts import ScriptKind

CHECKSUM_BYTES = 4
DIGEST_BYTES = 20
# Base58 decoding is quadratic; version, digest and checksum (25 bytes) never need more than 35 characters.
MAX_BASE58_LENGTH = 35


class InvalidAddress(ValueError):
    """Text that is no address to pay to on this network; one sentence says why."""


def encode(script_pubkey: bytes, network: Network) -> str | None:
    """The address of `script_pubkey`, or None where its kind has none."""
    match scripts.kind(script_pubkey):
        case ScriptKind.TAPROOT:
            return bech32.encode(network.hrp, 1, script_pubkey[2:])
        case ScriptKind.WITNESS_PUBKEY_HASH | ScriptKind.WITNESS_SCRIPT_HASH:
            return bech32.encode(network.hrp, 0, script_pubkey[2:])
        case ScriptKind.PUBKEY_HASH:
            return _encode_base58(network.pubkey_hash_version, script_pubkey[3:23])
        case ScriptKind.SCRIPT_HASH:
            return _encode_base58(network.script_hash_version, script_pubkey[2:22])
        case _:
            return None


def decode(address: str, network: Network) -> bytes:
    """The scriptPubKey that `address` stands for on `network`; raises InvalidAddress."""
    hrp, separator, _ = address.lower().rpartition("1")
    if separator and hrp in {each.hrp for each in Network}:
        return _decode_segwit(address, network)
    return _decode_base58(address, network)


def _decode_segwit(address: str, network: Network) -> bytes:
    try:
        hrp, version, program = bech32.decode(address)
    except bech32.InvalidBech32 as error:
        raise InvalidAddress(str(error)) from error
    if hrp != network.hrp:
        raise _wrong_network([each for each in Network if each.hrp == hrp], network)
    if version == 1 and len(program) == 32:
        _check_spendable(program)
    elif version != 0:
        raise InvalidAddress(f"the address is of witness version {version}, which has no known way to be spent")
    return scripts.witness_program(version, program)


def _check_spendable(output_key: bytes) -> None:
    try:
        PublicKeyXOnly(output_key)
    except ValueError as error:
        raise InvalidAddress("nobody could ever spend from this address: it holds no public key") from error


def _decode_base58(address: str, network: Network) -> bytes:
    version, digest = _split_base58(address)
    if version == network.pubkey_hash_version:
        return scripts.pubkey_hash(digest)
    if version == network.script_hash_version:
        return scripts.script_hash(digest)
    found = [each for each in Network if version in (each.pubkey_hash_version, each.script_hash_version)]
    if found:
        raise _wrong_network(found, network)
    raise InvalidAddress("the address is of a kind that no Bitcoin network uses")


def _split_base58(address: str) -> tuple[int, bytes]:
    if len(address) > MAX_BASE58_LENGTH:
        raise InvalidAddress("this is no Bitcoin address")
    try:
        raw: bytes = bitcoin.base58.decode(address)
    except bitcoin.base58.InvalidBase58Error as error:
        raise InvalidAddress("this is no Bitcoin address") from error
    if len(raw) != 1 + DIGEST_BYTES + CHECKSUM_BYTES:
        raise InvalidAddress("this is no Bitcoin address")
    if _checksum(raw[:-CHECKSUM_BYTES]) != raw[-CHECKSUM_BYTES:]:
        raise InvalidAddress("the address is mistyped: its checksum does not fit")
    return raw[0], raw[1:-CHECKSUM_BYTES]


def _encode_base58(version: int, digest: bytes) -> str:
    payload = bytes([version]) + digest
    text: str = bitcoin.base58.encode(payload + _checksum(payload))
    return text


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:CHECKSUM_BYTES]


def _wrong_network(found: list[Network], wanted: Network) -> InvalidAddress:
    names = " or ".join(network.label for network in found)
    return InvalidAddress(f"the address is of {names}, and this treasury is on {wanted.label}")
