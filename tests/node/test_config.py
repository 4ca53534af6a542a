"""A configuration that is wrong is refused with the file, the place and the fault."""

from pathlib import Path

import pytest

from overlay.dao.bitcoin.networks import Network
from overlay.node.config import BadConfig, Config, load


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == Config()
    assert load(tmp_path, {}).chain is Network.REGTEST


def test_options_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[network]\nport = 7000\nhost = '127.0.0.1'\n")
    config = load(tmp_path, {"network": {"port": 8000}})
    assert (config.network.host, config.network.port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[network\n", "line 1"),
        ("[network]\nprot = 1\n", "unknown field `prot`"),
        ("[network]\nport = 65536\n", r"\$\.network\.port"),
        ("[network]\nport = 'x'\n", r"\$\.network\.port"),
        ("network = 1\n", r"\$\.network"),
        ("[bitcoin]\nnetwork = 'moon'\n", "not 'moon'"),
        ("[bitcoin]\nnetwork = 'main'\n", "real_coins = true"),
        ("[bitcoin]\nrpc = 'http://x'\nesplora = 'http://x'\n", "not both"),
        ("x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(BadConfig, match=sentence) as caught:
        load(tmp_path, {})
    assert str(caught.value).startswith(str(tmp_path / "config.toml"))


def test_real_coins_need_an_explicit_word(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[bitcoin]\nnetwork = 'main'\nreal_coins = true\n")
    assert load(tmp_path, {}).chain is Network.MAINNET
