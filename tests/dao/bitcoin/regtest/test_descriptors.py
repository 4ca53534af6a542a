"""Descriptors of scantxoutset."""

import pytest

from overlay.dao.bitcoin.regtest import descriptors
from overlay.dao.bitcoin.regtest.errors import RpcError
from tests.dao.bitcoin.helpers import Purse

# BIP380, test vectors.
PUBLISHED = "raw(deadbeef)#89f8spxm"


def test_the_published_checksum_is_computed_and_accepted() -> None:
    body, _, checksum = PUBLISHED.partition("#")
    assert descriptors.checksum(body) == checksum
    assert descriptors.script_of(PUBLISHED) == descriptors.script_of(body) == bytes.fromhex("deadbeef")


@pytest.mark.parametrize(
    "text",
    [
        "raw(deadbeef)#",
        "raw(deadbeef)#89f8spxmx",
        "raw(deadbeef)#89f8spx",
        "raw(dedbeef)#89f8spxm",
        "raw(deadbeef)##9f8spxm",
        "raw(deadbee)",
        "raw(deadbeef))",
        "tr(deadbeef)",
        "addr(deadbeef)",
        "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)",
        "raw(дом)",
        "",
    ],
)
def test_what_is_no_descriptor_is_refused_as_bitcoind_does(text: str) -> None:
    with pytest.raises(RpcError) as refusal:
        descriptors.script_of(text)
    assert refusal.value.code == -5


def test_a_description_describes_its_script() -> None:
    for script in (Purse("farmer").script, b"\x6a\x01\x02", b""):
        assert descriptors.script_of(descriptors.describe(script)) == script
