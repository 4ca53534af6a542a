"""Addresses, by the examples of BIP173 and BIP350 and by round trips."""

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from overlay.dao.bitcoin import address, bech32, scripts
from overlay.dao.bitcoin.address import InvalidAddress
from overlay.dao.bitcoin.bech32 import InvalidBech32
from overlay.dao.bitcoin.networks import Network

# BIP350, "Test vectors for v0-v16 native segregated witness addresses", those of kinds that are known here.
PUBLISHED = [
    (
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        Network.MAINNET,
        "0014751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        Network.SIGNET,
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        Network.TESTNET,
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        Network.TESTNET4,
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        Network.MAINNET,
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
]
# BIP350, the list of invalid ones.
MISTAKEN = [
    "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
    "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
    "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
    "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
    "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
    "bc1pw5dgrnzv",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
    "bc1gmk9yu",
]
# Of them: more than four bits of padding, and padding that is not zero.
PADDED = [
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
]
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"  # the address of the first coinbase

NETWORKS = st.sampled_from(Network)


@pytest.mark.parametrize(("text", "network", "script"), PUBLISHED)
def test_a_published_address_has_its_published_script(text: str, network: Network, script: str) -> None:
    assert address.decode(text, network).hex() == script
    assert address.encode(bytes.fromhex(script), network) == text.lower()


@pytest.mark.parametrize("text", MISTAKEN)
def test_a_published_mistake_is_refused(text: str) -> None:
    for network in Network:
        with pytest.raises(InvalidAddress):
            address.decode(text, network)


@pytest.mark.parametrize("text", PADDED)
def test_an_address_ends_on_a_byte(text: str) -> None:
    with pytest.raises(InvalidBech32, match="does not end on a byte"):
        bech32.decode(text)


def test_a_segwit_address_has_at_most_ninety_characters() -> None:
    for length, fits in ((90, True), (91, False)):
        text = bech32.encode("b" * (length - 60), 1, bytes(32))
        assert len(text) == length
        if fits:
            assert bech32.decode(text)[1:] == (1, bytes(32))
        else:
            with pytest.raises(InvalidBech32, match="at most 90 characters"):
                bech32.decode(text)


@given(st.integers(1, 2**128), NETWORKS)
def test_a_taproot_address_survives(secret: int, network: Network) -> None:
    script = scripts.witness_program(1, PrivateKey.from_int(secret).public_key_xonly.format())
    text = address.encode(script, network)
    assert text is not None
    assert address.decode(text, network) == script
    assert address.decode(text.upper(), network) == script


@given(
    NETWORKS,
    st.one_of(
        st.binary(min_size=20, max_size=20).map(scripts.pubkey_hash),
        st.binary(min_size=20, max_size=20).map(scripts.script_hash),
        st.sampled_from([20, 32]).flatmap(
            lambda size: st.binary(min_size=size, max_size=size).map(
                lambda program: scripts.witness_program(0, program)
            )
        ),
    ),
)
def test_the_older_kinds_survive(network: Network, script: bytes) -> None:
    text = address.encode(script, network)
    assert text is not None
    assert address.decode(text, network) == script


@given(
    st.integers(0, 16),
    st.binary(min_size=2, max_size=40),
    st.integers(0, 200),
    st.sampled_from(bech32.CHARSET),
)
def test_one_wrong_character_is_always_found(version: int, program: bytes, at: int, wrong: str) -> None:
    if version == 0 and len(program) not in (20, 32):
        return
    text = bech32.encode("bcrt", version, program)
    assert bech32.decode(text) == ("bcrt", version, program)
    place = 5 + at % (len(text) - 5)
    if text[place] == wrong:
        return
    with pytest.raises(InvalidBech32):
        bech32.decode(text[:place] + wrong + text[place + 1 :])


@given(st.text(max_size=100), NETWORKS)
def test_any_text_is_an_address_or_refused_in_one_sentence(text: str, network: Network) -> None:
    try:
        script = address.decode(text, network)
    except InvalidAddress:
        return
    assert address.encode(script, network) in (text, text.lower())


@pytest.mark.parametrize("text", [PUBLISHED[0][0], PUBLISHED[4][0], GENESIS])
def test_an_address_of_another_network_is_refused_naming_both(text: str) -> None:
    with pytest.raises(InvalidAddress, match="of mainnet, and this treasury is on regtest"):
        address.decode(text, Network.REGTEST)


def test_the_test_networks_that_share_addresses_are_all_named() -> None:
    with pytest.raises(InvalidAddress, match=r"of testnet or testnet4 or signet, and .* on mainnet"):
        address.decode(PUBLISHED[1][0], Network.MAINNET)


def test_a_base58_address_is_checked() -> None:
    assert address.decode(GENESIS, Network.MAINNET)[:3] == bytes.fromhex("76a914")
    with pytest.raises(InvalidAddress, match="mistyped"):
        address.decode(GENESIS[:-1] + "b", Network.MAINNET)
    for text in ("", "1", "O0Il", "1" * 35, "1" * 100_000):
        with pytest.raises(InvalidAddress):
            address.decode(text, Network.MAINNET)


def test_a_key_that_nobody_can_have_is_refused() -> None:
    with pytest.raises(InvalidAddress, match="nobody could ever spend"):
        address.decode(bech32.encode("bcrt", 1, b"\xff" * 32), Network.REGTEST)


def test_a_witness_version_of_the_future_is_refused() -> None:
    for version, program in ((2, bytes(32)), (16, bytes(2)), (1, bytes.fromhex("4e73"))):
        with pytest.raises(InvalidAddress, match=f"witness version {version}"):
            address.decode(bech32.encode("bcrt", version, program), Network.REGTEST)


def test_what_has_no_address_has_none() -> None:
    for script in (b"", b"\x6a", b"\x51", bytes(100)):
        assert address.encode(script, Network.REGTEST) is None
