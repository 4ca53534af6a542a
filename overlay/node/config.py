"""A node's configuration: `config.toml` in its data folder, typed; command-line options win over it.

[node]      headless, notice_seconds
[network]   host, port, advertise, lan UDP socket of the overlay; port 0 is any free one
[ledger]    keep_mb                    what to keep of others' chains
[rest]      host, port                 loopback only, unless you know better
[content]   host, port                 BitTorrent
[bitcoin]   rpc, cookie, user, password, network, real_coins
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from overlay.dao.bitcoin.networks import Network

Port = Annotated[int, Meta(ge=0, le=65535)]
CONFIG_FILE = "config.toml"
MAX_CONFIG_BYTES = 65_536
LOOPBACK = "127.0.0.1"
ANY = "0.0.0.0"  # noqa: S104 - other members must be able to reach a node


class BadConfig(ValueError):
    """The configuration cannot be used; the message names the file, the place and the fault."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of sections: an unknown name is a typing error and is refused."""


class NodeSection(Section, frozen=True):
    headless: bool = False


class NetworkSection(Section, frozen=True):
    host: str = ANY
    port: Port = 0
    advertise: str = ""  # the address that invitations name, when it is not `host`
    lan: bool = True  # look for members on the local network, where `host` is every address of this machine


class LedgerSection(Section, frozen=True):
    keep_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # 0: everything


class RestSection(Section, frozen=True):
    host: str = LOOPBACK
    port: Port = 0


class ContentSection(Section, frozen=True):
    host: str = ANY
    port: Port = 0


class BitcoinSection(Section, frozen=True):
    """Neither `rpc` nor `esplora`: this node sees no chain, and signs nothing. Real coins need `real_coins = true`."""

    rpc: str = ""
    esplora: str = ""
    cookie: str = ""
    user: str = ""
    password: str = ""
    network: str = Network.REGTEST.value
    real_coins: bool = False


class Config(Section, frozen=True):
    """Everything that a member may set."""

    node: NodeSection = NodeSection()
    network: NetworkSection = NetworkSection()
    ledger: LedgerSection = LedgerSection()
    rest: RestSection = RestSection()
    content: ContentSection = ContentSection()
    bitcoin: BitcoinSection = BitcoinSection()

    @property
    def chain(self) -> Network:
        """The Bitcoin network. Raises BadConfig for an unknown one, and for real coins that were not asked for."""
        known = {each.value: each for each in Network}
        if self.bitcoin.network not in known:
            raise BadConfig(f"[bitcoin] network is one of {', '.join(known)}, not '{self.bitcoin.network}'")
        found = known[self.bitcoin.network]
        if self.bitcoin.rpc and self.bitcoin.esplora:
            raise BadConfig("[bitcoin] names either rpc or esplora, not both")
        if found is Network.MAINNET and not self.bitcoin.real_coins:
            raise BadConfig("[bitcoin] network is the main one: say real_coins = true to handle real money")
        return found


def load(folder: Path, overrides: dict[str, dict[str, object]]) -> Config:
    """Read the folder's configuration, if any, and put `overrides` over it. Raises BadConfig."""
    path = folder / CONFIG_FILE
    try:
        found = tomllib.loads(_read(path)) if path.exists() else {}
        for section, values in overrides.items():
            if isinstance(found.setdefault(section, {}), dict):
                found[section] |= values
        config = msgspec.convert(found, Config)
        _ = config.chain
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, BadConfig) as error:
        raise BadConfig(f"{path}: {error}") from error
    return config


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise BadConfig(f"a configuration has at most {MAX_CONFIG_BYTES} bytes")
    return path.read_bytes().decode()
