"""Block headers and merkle branches, against the first blocks of Bitcoin and trees of every size."""

import pytest
from bitcoin.core import CBlock

from overlay.dao.bitcoin import headers
from overlay.dao.bitcoin.headers import InvalidHeader, parse_header
from overlay.dao.bitcoin.networks import Network

# The first block of mainnet, whose hash everybody knows.
GENESIS = bytes.fromhex(
    "01000000"
    + "00" * 32
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    + "29ab5f49"
    + "ffff001d"
    + "1dac2b7c"
)
DIFFICULTY_ONE = Network.TESTNET.easiest_target


def test_the_first_header_has_its_hash_and_target() -> None:
    header = parse_header(GENESIS, DIFFICULTY_ONE)
    assert header.block_hash == Network.MAINNET.genesis
    assert header.merkle_root[::-1].hex() == "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    assert (header.previous, header.time, header.bits) == ("00" * 32, 1_231_006_505, 0x1D00FFFF)
    assert header.target == DIFFICULTY_ONE == 0xFFFF << 208


@pytest.mark.parametrize("raw", [b"", GENESIS[:-1], GENESIS + b"\x00"])
def test_a_header_has_eighty_bytes(raw: bytes) -> None:
    with pytest.raises(InvalidHeader, match="80 bytes"):
        parse_header(raw, DIFFICULTY_ONE)


def test_a_header_without_its_work_is_refused() -> None:
    with pytest.raises(InvalidHeader, match="took less work than it claims"):
        parse_header(GENESIS[:-1] + b"\x00", DIFFICULTY_ONE)


@pytest.mark.parametrize("bits", ["ffff7f20", "ffff801d", "0000ff21", "ffff00ff"])
def test_a_header_may_not_choose_an_easier_target(bits: str) -> None:
    with pytest.raises(InvalidHeader, match="less work than any block"):
        parse_header(GENESIS[:72] + bytes.fromhex(bits) + GENESIS[76:], DIFFICULTY_ONE)


def test_the_first_block_is_too_easy_for_a_treasury_of_today() -> None:
    with pytest.raises(InvalidHeader, match="less work than any block"):
        parse_header(GENESIS, Network.MAINNET.easiest_target)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_every_leaf_of_every_tree_has_a_branch_to_its_root(count: int) -> None:
    leaves = [headers.double_sha256(bytes([number])) for number in range(count)]
    root = CBlock.build_merkle_tree_from_txids(leaves)[-1]
    for position, leaf in enumerate(leaves):
        beside = headers.branch(leaves, position)
        assert headers.root(leaf, position, beside) == root
        assert headers.root(leaf, position + (1 << len(beside)), beside) is None
        assert headers.root(bytes(32), position, beside) != root
