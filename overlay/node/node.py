"""One running member: its folder, ledger, content and, once it belongs to one, its commons."""

import asyncio
import logging
import socket
import sqlite3
from importlib import metadata
from pathlib import Path

from overlay.clock import Clock, Randomness
from overlay.content import ContentSession, token_of
from overlay.content.events import ContentEvent
from overlay.content.tallies import announce
from overlay.dao.bitcoin.backend import ChainBackend
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.esplora import EsploraBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile, Password
from overlay.economy.members import Commons, commons, member_keys
from overlay.keys import PublicKey, short
from overlay.network import joining
from overlay.network.endpoint import Address
from overlay.network.invitation import Invitation
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.node.config import ANY, LOOPBACK, Config
from overlay.node.events import EventBus
from overlay.node.folder import DataFolder, nobody_to_ask
from overlay.node.guard import SigningGuard
from overlay.node.ledger import open_ledger
from overlay.node.membership import Membership
from overlay.node.vault import Passphrase
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.statements import FoundCommons, Profile
from overlay.trustchain.store import StorageError

log = logging.getLogger(__name__)


class AlreadyMember(Exception):
    """A node belongs to one commons; another one needs another data folder."""


class NoCommons(Exception):
    """What was asked needs a commons, and this node belongs to none yet."""


class Node:
    """Make it with `open`; interfaces use its attributes; `close` ends everything."""

    def __init__(self, folder: DataFolder, config: Config, clock: Clock, random: Randomness, *, insist: bool) -> None:
        self.folder, self.config, self.clock, self.random = folder, config, clock, random
        self.identity = folder.identity
        self.ledger = open_ledger(folder, clock, random)
        self.guard = SigningGuard(self.ledger, folder, insist=insist)
        self.events = EventBus(clock)
        self.backend = _backend(config)
        self.membership: Membership | None = None
        self._content: ContentSession | None = None
        self._remembering: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        path: Path,
        config: Config,
        clock: Clock,
        random: Randomness,
        *,
        insist: bool = False,
        passphrase: Passphrase = nobody_to_ask,
    ) -> "Node":
        """Start a node on a data folder and re-enter its commons.

        Raises FolderInUse, UnusableFolder, InvalidKey, StorageError, PortInUse, ListenError, FolderError.
        """
        data = DataFolder(path, random, passphrase)
        try:
            node = cls(data, config, clock, random, insist=insist)
        except BaseException:  # whatever it was, the folder is free again; raised again
            data.close()
            raise
        try:
            await node._start()
        except BaseException:  # also when cancelled: nothing half started stays; raised again
            await node.close()
            raise
        return node

    @property
    def db(self) -> sqlite3.Connection:
        return self.ledger.db

    @property
    def content(self) -> ContentSession:
        if self._content is None:
            raise RuntimeError("the content session is made before anything can ask for it")
        return self._content

    @property
    def home(self) -> Membership:
        """The commons that this node belongs to; raises NoCommons."""
        if self.membership is None:
            raise NoCommons("this node belongs to no commons yet: found one, or join one with an invitation")
        return self.membership

    async def close(self) -> None:
        """Stop everything, in the order in which it depends on each other."""
        if self.membership is not None:
            await self.membership.close()
            await self._keep_walks(self.membership)
        await asyncio.gather(*self._remembering, return_exceptions=True)
        if self._content is not None:
            await self._content.close()
        if self.backend is not None:
            await self.backend.close()
        self.ledger.close()
        self.folder.close()

    async def found_commons(self, name: str, purpose: str, profile: Profile) -> Commons:
        """Found a commons and enter it as its first member. Raises AlreadyMember."""
        self._refuse_second_commons()
        charter = await self.ledger.append(FoundCommons(name, purpose, mib_weight=1))
        network = self._network(charter.hash[:20])
        await self._open_network(network)
        return await self._settle_in(charter.hash[:20], network, profile)

    async def join_commons(self, invitation: Invitation, profile: Profile) -> Commons:
        """Join with an invitation. Raises AlreadyMember, CallFailed, BadInvitation."""
        self._refuse_second_commons()
        network = self._network(invitation.commons)
        sync = Sync(self.ledger, network, lambda: {invitation.member} | member_keys(self.db, invitation.commons))
        try:
            await self._open_network(network)
            for place in invitation.places:
                network.add_contact(place, invitation.member)
            await joining.join(invitation, self.ledger, network, sync)
            await self._remember(invitation.member, invitation.places[0])
        except BaseException:  # also when cancelled: the socket is free for the next try; raised again
            await network.close()
            raise
        return await self._settle_in(invitation.commons, network, profile)

    async def _keep_walks(self, membership: Membership) -> None:
        """The next start need not walk anew; what cannot be kept is not missed."""
        try:
            await self.set_value("walks", membership.opinions.save())
        except StorageError as error:
            log.info("walks are not kept: %s", error)

    def advertised(self) -> Address:
        """The address that invitations name: a node that listens everywhere names the one that leads out."""
        host, port = self.home.network.address
        return (self.config.network.advertise or (outward_address() if host == ANY else host), port)

    async def set_value(self, name: str, value: bytes) -> None:
        query = "INSERT INTO node_setting VALUES (?,?) ON CONFLICT DO UPDATE SET value = excluded.value"
        await self.ledger.transact(lambda tx: tx.db.execute(query, (name, value)).rowcount)

    def value(self, name: str) -> bytes | None:
        row = self.db.execute("SELECT value FROM node_setting WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    async def _start(self) -> None:
        place = self.config.content
        self._content = await ContentSession.open(
            self.folder.path / "content",
            clock=self.clock,
            token=token_of(self.identity.public_key),
            on_event=self._on_content,
            host=place.host,
            port=place.port,
        )
        await self._content.seed_all()
        entered = self.value("commons")
        if entered is None:
            self.guard.open_alone()
        else:
            network = self._network(entered)
            await self._open_network(network)
            self._enter(entered, network)

    async def _settle_in(self, commons_id: bytes, network: Network, profile: Profile) -> Commons:
        await self.set_value("commons", commons_id)
        entered = self._enter(commons_id, network)
        await self.ledger.append(profile)
        await self._announce()
        return entered

    def _enter(self, commons_id: bytes, network: Network) -> Commons:
        found = commons(self.db, commons_id)
        if found is None:
            raise NoCommons("the charter of this node's commons is missing from its ledger; join again")
        headless = self.config.node.headless
        self.membership = Membership(
            self.ledger,
            network,
            found,
            self.content,
            self.backend,
            self.events,
            self._announce,
            headless=headless,
            keep_mb=self.config.ledger.keep_mb,
        )
        self.membership.opinions.restore(self.db, self.value("walks"))
        self.membership.start(self.guard)
        network.on_proven = self._on_proven
        for key, host, port in self.db.execute("SELECT key, host, port FROM node_contact").fetchall():
            network.add_contact((host, port), PublicKey(key))
        return found

    async def _announce(self) -> None:
        """Tell under which peer id and port we share content, where that has changed. Raises SigningRefused."""
        port = self.content.endpoint[1]
        await self.ledger.transact(lambda tx: announce(tx, port))

    def _network(self, commons_id: bytes) -> Network:
        return Network(self.identity, commons_id, self.clock, self.random, self._is_member, self._on_block)

    async def _open_network(self, network: Network) -> None:
        place = self.config.network
        await network.start(place.host, place.port, lan=place.lan)

    def _is_member(self, key: PublicKey) -> bool:
        return self.membership is not None and key in self.membership.members()

    def _on_block(self, block: HalfBlock) -> None:
        if self.membership is not None:
            self.membership.take_gossip(block)

    def _on_content(self, event: ContentEvent) -> None:
        if self.membership is not None:
            self.membership.pictures.on_event(event)

    def _on_proven(self, peer: PublicKey, address: Address) -> None:
        """Remember where a member was, for the next start."""
        task = asyncio.get_running_loop().create_task(self._remember_if_it_can(peer, address))
        self._remembering.add(task)
        task.add_done_callback(self._remembering.discard)

    async def _remember_if_it_can(self, peer: PublicKey, address: Address) -> None:
        try:
            await self._remember(peer, address)
        except StorageError as error:
            log.info("where %s is met is not kept: %s", short(peer), error)

    async def _remember(self, peer: PublicKey, address: Address) -> None:
        query = "INSERT OR REPLACE INTO node_contact VALUES (?,?,?)"
        await self.ledger.transact(lambda tx: tx.db.execute(query, (peer, *address)).rowcount)

    def _refuse_second_commons(self) -> None:
        if self.membership is not None:
            name = self.membership.commons.name
            raise AlreadyMember(f"this node belongs to '{name}' already; use another data folder for another commons")


def _backend(config: Config) -> ChainBackend | None:
    wanted = config.bitcoin
    if wanted.esplora:
        return EsploraBackend(wanted.esplora, config.chain)
    if not wanted.rpc:
        return None
    login = CookieFile(Path(wanted.cookie)) if wanted.cookie else Password(wanted.user, wanted.password)
    return BitcoindBackend(wanted.rpc, login, config.chain)


def outward_address() -> str:
    """This machine's address in its network; loopback when it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; a connected UDP socket sends nothing
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


def version() -> str:
    """The version of this software."""
    return metadata.version("counterfoil")
