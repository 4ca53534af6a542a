"""Everything that runs because this node belongs to a commons, and how it reacts to what the ledger learns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from overlay.content import ContentSession
from overlay.dao.assembly.counting import Counting
from overlay.dao.bitcoin.backend import BackendError, ChainBackend
from overlay.dao.chain.group_scribe import NotWritten
from overlay.dao.chain.group_words import GroupWords
from overlay.dao.funds.signer import Signer
from overlay.dao.funds.treasury import PaymentFailed, Treasury
from overlay.dao.keyring.keygen import KeyGeneration, KeygenFailed, to_look_after
from overlay.economy import exchange, succession
from overlay.economy.errors import TooLongAHistory
from overlay.economy.exchange import Refused
from overlay.economy.members import Commons, member_keys
from overlay.keys import PublicKey
from overlay.network.courier import Courier
from overlay.network.heads import DECLARE
from overlay.network.joining import Joining
from overlay.network.network import Network
from overlay.network.sync import Sync
from overlay.node.events import EventBus
from overlay.node.guard import SigningGuard
from overlay.node.headlines import headlines
from overlay.node.keeping import Keeping
from overlay.node.pictures import Pictures
from overlay.node.reputation import Opinions
from overlay.trustchain.block import BlockHash, HalfBlock
from overlay.trustchain.ledger import Changes, Ledger, SigningRefused, StatementTooLong, meaning
from overlay.trustchain.statements import AgreeExchange, ProposeExchange, SucceedKey, VouchForKey
from overlay.trustchain.store import StorageError

log = logging.getLogger(__name__)

# How often to look after what announces nothing.
LOOK_SECONDS = 0.5
# A block comes every ten minutes; asking a Bitcoin node for its height costs next to nothing.
CHAIN_SECONDS = 5.0
CHANGES_WAITING = 1_000
# Exchanges looked at in one go: as many as share one commit (`store.MAX_BATCH`).
ANSWERED_TOGETHER = 256


class Membership:
    """One commons: network, sync, courier, groups, pictures, opinions. `start` after making it; `close` at the end."""

    def __init__(
        self,
        ledger: Ledger,
        network: Network,
        commons: Commons,
        content: ContentSession,
        backend: ChainBackend | None,
        events: EventBus,
        when_open: Callable[[], Awaitable[None]],
        *,
        headless: bool,
        keep_mb: int = 0,
    ) -> None:
        """`when_open` is awaited once this node may sign."""
        self.when_open = when_open
        self.ledger, self.network, self.commons, self.backend, self.events = ledger, network, commons, backend, events
        self.keeping = Keeping(ledger, network.clock, keep_mb)
        self.sync = Sync(ledger, network, self.members, self.keeping.keeps)
        self.courier = Courier(ledger, network, self.sync)
        self.joining = Joining(ledger, network, commons.charter)
        self.keygen = KeyGeneration(ledger, network)
        self.signer = Signer(ledger, network, backend)
        self.treasury = Treasury(ledger, network, self.signer, backend) if backend else None
        self.words = GroupWords(ledger, network)
        self.counting = Counting(ledger)
        self.pictures = Pictures(ledger, network, content, headless, self._picture_came)
        self.opinions = Opinions(ledger.identity, commons)
        self._changes: asyncio.Queue[Changes] = asyncio.Queue(CHANGES_WAITING)
        self._gossip: asyncio.Queue[HalfBlock] = asyncio.Queue(CHANGES_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._said: dict[str, str] = {}
        self._unanswered = set[BlockHash]()  # for want of room on the disk
        self._missed = False  # whether changes were lost on the way to `_respond`
        self._chain_seen = (-CHAIN_SECONDS, -1)
        self._guard: SigningGuard | None = None

    def members(self) -> set[PublicKey]:
        return member_keys(self.ledger.db, self.commons.id)

    def start(self, guard: SigningGuard) -> None:
        """Begin to look after everything; the pen stays closed until `guard` opens it."""
        self._guard = guard
        if succession.claims_on(self.ledger.db, self.ledger.identity.public_key):
            guard.retire()
        self.network.on_peer = self.courier.wake
        self.ledger.listeners.append(self._on_changes)
        self.courier.wake_all()
        self.sync.start()
        self.pictures.look()
        for work in (self._react(), self._take_gossip(), self._look_after(), self._open_pen(guard)):
            self._tasks.append(asyncio.create_task(_reported(work)))

    async def close(self) -> None:
        if self._on_changes in self.ledger.listeners:
            self.ledger.listeners.remove(self._on_changes)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pictures.close()
        await self.sync.close()
        await self.courier.close()
        await self.network.close()

    def take_gossip(self, block: HalfBlock) -> None:
        """A block that a peer sent unasked; when too many wait it is dropped, and comes with the next heads. What is
        not kept (`keeping.py`) is dropped too."""
        if not self._gossip.full() and (block.type == DECLARE or self.keeping.keeps(block.public_key)):
            self._gossip.put_nowait(block)

    def _on_changes(self, changes: Changes) -> None:
        me = self.ledger.identity.public_key
        self.network.gossip(block for block in changes.blocks if block.public_key == me)
        for fork in changes.forks:
            self.network.gossip([fork.first, fork.second])
        for receiver in sorted(changes.posted):
            self.courier.wake(receiver)
        if self._changes.full():
            log.warning("more changes than this node can react to; it looks at everything again at its next start")
            self._missed = True
            return
        self._changes.put_nowait(changes)

    async def _react(self) -> None:
        await self._answer(exchange.unfinished(self.ledger.db))
        while True:
            changes = Changes()
            changes.add(await self._changes.get())
            while not self._changes.empty():
                changes.add(self._changes.get_nowait())
            try:
                await self._respond(changes)
            except StorageError as error:
                self._missed = True
                self._say("storage", str(error))
                await self.network.clock.sleep(LOOK_SECONDS)
                if not self._changes.full():
                    self._changes.put_nowait(changes)

    async def _respond(self, changes: Changes) -> None:
        await self._follow_keys(changes)
        await self._answer(_touched(changes))
        missed, self._missed = self._missed, False
        if self.opinions.follow(self.ledger.db, None if missed else changes):
            self.events.publish("people", "Reputations have changed.")
        self.pictures.look()
        for topic, sentence, about in headlines(self.ledger, changes):
            self.events.publish(topic, sentence, about)

    async def _follow_keys(self, changes: Changes) -> None:
        """Where a new key goes on for an old one: it gets what is owed to the old one, which signs no more."""
        said = [meaning(block) for block in changes.blocks if block.type == b"declare"]
        if changes.forks or any(isinstance(each, SucceedKey | VouchForKey) for each in said):
            await self.ledger.transact(lambda tx: succession.forward_mail(tx, self.commons.id))
            if self._guard and succession.claims_on(self.ledger.db, self.ledger.identity.public_key):
                self._guard.retire()

    async def _answer(self, proposals: set[BlockHash]) -> None:
        """Do what a node does by itself about these exchanges: agree to what we offered, witness, decline cheats.

        Each for itself, many in one commit: what somebody has made unanswerable does not keep the others waiting.
        """
        due = exchange.due(self.ledger.db, self.ledger.identity.public_key, proposals)
        for first in range(0, len(due), ANSWERED_TOGETHER):
            await asyncio.gather(*(self._answer_one(each) for each in due[first : first + ANSWERED_TOGETHER]))

    async def _answer_one(self, proposal: BlockHash) -> None:
        try:
            await self.ledger.transact(lambda tx: exchange.react(tx, {proposal}))
        except StorageError as error:
            self._unanswered.add(proposal)
            self._say("storage", str(error))
        except (SigningRefused, Refused, TooLongAHistory, StatementTooLong) as refusal:
            log.warning("exchange %s is not answered now: %s", proposal.hex()[:10], refusal)

    async def _take_gossip(self) -> None:
        while True:
            block = await self._gossip.get()
            try:
                refused = await self.sync.take([block])  # which notices what is signed by another copy of us
            except StorageError as error:
                self._say("storage", str(error))
                continue
            for each in refused.values():
                log.info("gossip: %s", each)

    async def _look_after(self) -> None:
        """What nobody announces: a chain backend that sees a block, a session that has counted more bytes."""
        online: list[PublicKey] = []
        while True:
            if online != (online := self.network.online()):
                self.events.publish("people", f"{len(online)} members can be reached.")
            await self._watch_the_chain()
            await self._generate_keys()
            await self._settle_bandwidth()
            await self._make_room()
            if self.treasury is not None and self.ledger.signing_refusal is None:
                try:
                    await self.treasury.step()
                except (PaymentFailed, StorageError) as failure:
                    self._say("treasury", str(failure))
            await self._write_for_groups()
            unanswered, self._unanswered = self._unanswered, set()
            await self._answer(unanswered)
            await self.network.clock.sleep(LOOK_SECONDS)

    async def _watch_the_chain(self) -> None:
        """A new block may have moved a treasury's balance: the interfaces look again."""
        now = self.network.clock.monotonic()
        if self.backend is None or now - self._chain_seen[0] < CHAIN_SECONDS:
            return
        try:
            height = await self.backend.height()
        except BackendError:
            height = -1  # shown as an unknown balance
        if height != self._chain_seen[1]:
            self.events.publish("groups", "The Bitcoin chain has moved.")
        self._chain_seen = (now, height)

    async def _make_room(self) -> None:
        if not self.keeping.is_full:
            return
        try:
            gaps = await self.keeping.make_room()
        except StorageError as error:
            self._say("storage", str(error))
            return
        self.sync.forgotten(gaps)
        if gaps and self.opinions.follow(self.ledger.db):
            self.events.publish("people", "Reputations have changed.")

    async def _settle_bandwidth(self) -> None:
        try:
            await self.pictures.settle()
        except StorageError as error:
            self._say("storage", str(error))

    async def _generate_keys(self) -> None:
        for group in to_look_after(self.ledger.db):
            if self.keygen.is_due(group):
                try:
                    await self.keygen.coordinate(group)
                except (KeygenFailed, StorageError) as failure:
                    self._say(f"keygen {group.name}", str(failure))

    async def _write_for_groups(self) -> None:
        """What groups decided goes onto their own chains."""
        if self.ledger.signing_refusal is None:
            try:
                if self.treasury is None:  # which counts votes otherwise
                    await self.counting.step()
                await self.words.step()
            except (NotWritten, SigningRefused, StorageError) as failure:
                self._say("group chain", str(failure))

    async def _open_pen(self, guard: SigningGuard) -> None:
        await guard.watch(self.network, self.sync)
        refusal = self.ledger.signing_refusal
        self.events.publish("status", refusal or "This node may sign.")
        while self.ledger.signing_refusal is None:
            try:
                await self.when_open()
                await self._answer(exchange.unfinished(self.ledger.db))
                return
            except StorageError as error:
                self._say("storage", str(error))
                await self.network.clock.sleep(LOOK_SECONDS)
            except SigningRefused:
                return  # closed again meanwhile

    def _say(self, about: str, sentence: str) -> None:
        """Tell the member about a difficulty, once until it changes."""
        if self._said.get(about) != sentence:
            self._said[about] = sentence
            log.info("%s: %s", about, sentence)
            self.events.publish("groups", sentence)

    def _picture_came(self, infohash: str) -> None:
        self.events.publish("content", "A picture has arrived and is being shared.", infohash)


async def _reported(work: Coroutine[object, object, None]) -> None:
    """Background work that ends by an error would leave a node half alive in silence: say it aloud."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:  # whichever it is, it is said aloud and raised again
        log.exception("a part of this node has stopped; restart it")
        raise


def _touched(changes: Changes) -> set[BlockHash]:
    """The exchanges that a change says something about."""
    found = {BlockHash(part.block) for part in changes.parts}
    for block in changes.blocks:
        said = meaning(block)
        if isinstance(said, AgreeExchange):
            found.add(BlockHash(said.proposal))
        elif isinstance(said, ProposeExchange):
            found.add(block.hash)
    return found
