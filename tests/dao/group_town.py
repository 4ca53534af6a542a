"""A group of members for tests: real ledgers, key generation, signers and treasuries over a real regtest chain.

Two kinds of network lie under them. `lines` connects members in one process, call by call, where a test can cut a
line, listen, or put its own answer in; blocks travel when `tell` is awaited. `tests/dao/test_real_network.py` uses
real sockets. The chain is always the real regtest service, reached as any node reaches it.
"""

import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from overlay.clock import Clock, SystemClock
from overlay.dao.assembly import governance
from overlay.dao.assembly.charters import Charter, charter
from overlay.dao.assembly.governance import Tally, tally
from overlay.dao.assembly.groups import GroupsView
from overlay.dao.assembly.proposals import Payment, Proposal, payment, proposal
from overlay.dao.bitcoin import address
from overlay.dao.bitcoin.bitcoind import BitcoindBackend
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.bitcoin.networks import Network as Chain
from overlay.dao.bitcoin.regtest import RegtestService, serve
from overlay.dao.bitcoin.regtest import blocks as regtest_blocks
from overlay.dao.chain import group_order
from overlay.dao.chain.group_scribe import NotWritten
from overlay.dao.chain.group_words import GroupWords
from overlay.dao.funds import policy, treasury
from overlay.dao.funds.account import Account, tag
from overlay.dao.funds.signer import Signer, script_of
from overlay.dao.funds.treasury import PaymentFailed, Signed, Treasury
from overlay.dao.keyring import custody, group_key
from overlay.dao.keyring.custody import Share
from overlay.dao.keyring.keygen import KeyGeneration
from overlay.economy.members import MembersView
from overlay.keys import Identity, PublicKey
from overlay.network.messages import BadMessage
from overlay.network.network import CallFailed, Network, Refusal, Service
from overlay.trustchain import blocks
from overlay.trustchain.block import ANYONE, BlockHash, HalfBlock
from overlay.trustchain.ledger import Ledger
from overlay.trustchain.statements import Anything, FoundGroup, ProposePayment, encode
from tests.dao.bitcoin.helpers import Caller, FixedRandomness, Purse
from tests.town import HandClock, SeededRandomness

ROLES = ("farmer", "baker", "mechanic", "engineer", "welder")
MINUTE = 60_000
BTC = 100_000_000
TABLES = (custody.SCHEMA, policy.SCHEMA, treasury.SCHEMA, group_order.SCHEMA)

Answer = Callable[[PublicKey, PublicKey, str, bytes], Awaitable[bytes | None]]


class Lines:
    """Calls between members of one process. `offline` members neither ask nor answer; `tapped` hears all calls."""

    def __init__(self) -> None:
        self.services: dict[PublicKey, dict[str, Service]] = {}
        self.offline: set[PublicKey] = set()
        self.tapped: list[tuple[PublicKey, PublicKey, str, bytes, bytes]] = []
        self.instead: Answer | None = None

    def line(self, key: PublicKey) -> Network:
        """What a member takes for its network."""
        return cast(Network, Line(self, key))

    async def call(self, asker: PublicKey, peer: PublicKey, service: str, payload: bytes) -> bytes:
        """Ask one member; a test's own `instead` may answer, and what it leaves goes to the member's service."""
        if {asker, peer} & self.offline or peer not in self.services:
            raise CallFailed(peer, "it is offline")
        answer = await self.instead(asker, peer, service, payload) if self.instead else None
        try:
            answer = await self.services[peer][service](asker, payload) if answer is None else answer
        except (Refusal, BadMessage) as refusal:
            raise CallFailed(peer, str(refusal)) from refusal
        self.tapped.append((asker, peer, service, payload, answer))
        return answer


class Line:
    """One member's end of `Lines`."""

    def __init__(self, lines: Lines, key: PublicKey) -> None:
        self._lines, self._key = lines, key

    def serve(self, service: str, handler: Service) -> None:
        self._lines.services.setdefault(self._key, {})[service] = handler

    async def call(self, peer: PublicKey, service: str, payload: bytes, timeout: float = 10.0) -> bytes:
        return await self._lines.call(self._key, peer, service, payload)


class Member:
    """One member's node, as far as groups go. `start` it; `stop` it and `start` again for a restart."""

    def __init__(self, role: str, folder: Path, clock: Clock) -> None:
        self.role, self.folder, self.clock = role, folder, clock
        self.identity = Identity.from_seed(hashlib.sha512(role.encode()).digest())
        self.starts = 0
        self.ledger: Ledger
        self.keygen: KeyGeneration
        self.signer: Signer
        self.treasury: Treasury
        self.words: GroupWords
        self.backend: BitcoindBackend

    @property
    def key(self) -> PublicKey:
        return self.identity.public_key

    def open_ledger(self) -> Ledger:
        self.starts += 1
        random = SeededRandomness(f"{self.role} {self.starts}")
        views = [MembersView(), GroupsView()]
        path = self.folder / f"{self.role}.db"
        self.ledger = Ledger(path, self.identity, views, self.clock, random, "NORMAL", tables=TABLES)
        return self.ledger

    def start(self, network: Network, backend: BitcoindBackend) -> None:
        self.backend = backend
        self.keygen = KeyGeneration(self.ledger, network)
        self.signer = Signer(self.ledger, network, backend)
        self.treasury = Treasury(self.ledger, network, self.signer, backend)
        self.words = GroupWords(self.ledger, network)

    def group(self, id_: BlockHash) -> Charter:
        found = charter(self.ledger.db, id_)
        assert found is not None
        return found

    def payment(self, proposal: BlockHash) -> Payment:
        found = payment(self.ledger.db, proposal)
        assert found is not None
        return found

    def share(self, group: BlockHash) -> Share:
        found = custody.share_of(self.ledger.db, self.identity, self.group(group))
        assert found is not None
        return found

    def proposal(self, id_: bytes) -> Proposal:
        found = proposal(self.ledger.db, id_)
        assert found is not None
        return found

    def tally(self, id_: bytes) -> Tally:
        asked = self.proposal(id_)
        return tally(self.ledger.db, self.group(asked.group), asked, self.clock.now())

    async def account(self, group: BlockHash) -> Account:
        assert self.signer.accounts is not None
        return await self.signer.accounts.look(self.group(group), script_of(self.share(group)))

    async def say(self, statement: Anything) -> HalfBlock:
        """Sign anything at all, as a member with a program of its own would."""
        return await self.ledger.append(statement)

    async def vote(self, proposal: bytes, choice: str = "yes") -> BlockHash:
        return (await self.ledger.transact(lambda tx: governance.cast_vote(tx, proposal, choice, ""))).hash

    async def count(self, id_: bytes) -> bool:
        """Record the decision, if there is one to record."""
        asked = self.proposal(id_)
        group = self.group(asked.group)
        return await self.ledger.transact(lambda tx: governance.record_decision(tx, group, asked))


class GroupTown:
    """A group, its members' nodes and the chain."""

    def __init__(self, folder: Path, service: RegtestService, clock: Clock) -> None:
        self.folder, self.service, self.clock = folder, service, clock
        self.rpc = Caller(service.url, CookieFile(service.cookie_path))
        self.lines = Lines()
        self.members: dict[str, Member] = {}
        self.id: BlockHash

    def __getattr__(self, role: str) -> Member:
        return self.members[role]

    @property
    def all(self) -> list[Member]:
        return list(self.members.values())

    def new_backend(self) -> BitcoindBackend:
        return BitcoindBackend(self.service.url, CookieFile(self.service.cookie_path), Chain.REGTEST)

    def add(self, role: str) -> Member:
        made = Member(role, self.folder, self.clock)
        made.open_ledger()
        made.start(self.lines.line(made.key), self.new_backend())
        self.members[role] = made
        return made

    async def restart(self, member: Member) -> None:
        """What is in memory only is gone: nonces, sessions, turns."""
        await self.stop(member)
        member.open_ledger()
        member.start(self.lines.line(member.key), self.new_backend())

    async def restart_from_nothing(self, member: Member) -> None:
        """A new device with the old identity, once it has what the others know."""
        member.open_ledger()
        member.start(self.lines.line(member.key), self.new_backend())
        await self.tell()

    async def stop(self, member: Member) -> None:
        await member.backend.close()
        member.ledger.close()

    async def tell(self, *without: Member) -> None:
        """Every member but those `without` gets every block that any of them has."""
        present = [member for member in self.all if member not in without]
        everything = [block for member in present for block in blocks.everything(member.ledger.db)]
        for member in present:
            assert await member.ledger.ingest(everything) == []

    async def found(self, approvals: int, threshold: int, roles: Iterable[str] = ROLES) -> Charter:
        """A charter that all have signed."""
        for role in roles:
            self.add(role)
        first, keys = self.all[0], tuple(member.key for member in self.all)
        said = FoundGroup("bridge group", "rebuild it", keys, approvals, threshold)
        self.id = (await first.ledger.transact(lambda tx: governance.found_group(tx, said))).hash
        await self.sign_charter()
        return first.group(self.id)

    async def sign_charter(self) -> None:
        """All members sign, and hear of each other."""
        await self.tell()
        for member in self.all:
            key = custody.host_key(member.identity, self.id)
            await member.ledger.transact(lambda tx, key=key: governance.sign_charter(tx, self.id, key))  # type: ignore[misc]
        await self.tell()

    async def generate(self) -> None:
        founder = self.all[0]
        await founder.keygen.coordinate(founder.group(self.id))
        await self.tell()

    @property
    def script(self) -> bytes:
        return script_of(self.all[0].share(self.id))

    async def fund(self, *amounts: int) -> None:
        """Pay into the treasury, each amount (satoshis) in a block of its own."""
        place = address.encode(self.script, Chain.REGTEST)
        for amount in amounts:
            await self.rpc("sendtoaddress", place, f"{amount // BTC}.{amount % BTC:08d}")
            await self.mine()

    async def mine(self, count: int = 1) -> None:
        await self.rpc("generatetoaddress", count, await self.rpc("getnewaddress"))

    async def reorganise(self, length: int = 2, depth: int = 1) -> None:
        """The newest `depth` blocks are left behind by `length` empty ones, which are more."""
        chain = self.service.node.chain
        tip = first = chain.block(chain.tip)
        for _ in range(depth - 1):
            first = chain.block(first.previous)
        parent, height = first.previous, chain.height - depth + 1
        for number in range(length):
            miner, time = Purse("miner").script, tip.time + 1 + number
            raw = regtest_blocks.assemble(parent, height + number, time, miner, [], 0)
            await self.rpc("submitblock", raw.hex())
            parent = regtest_blocks.parse_block(raw).block_hash
        assert await self.rpc("getbestblockhash") == parent

    async def propose(self, proposer: Member, amount: int = 1_500_000, **changes: Any) -> BlockHash:
        """A payment to the welder's own address."""
        fields: dict[str, Any] = {
            "group": self.id,
            "title": "Weld the girder",
            "reason": "",
            "payee": proposer.key,
            "script": Purse("welder").script,
            "amount": amount,
            "fee_cap": 10_000,
            "deadline": self.clock.now() + 10 * MINUTE,
        }
        said = ProposePayment(**(fields | changes))
        return (await proposer.ledger.transact(lambda tx: governance.propose_payment(tx, said))).hash

    async def vote(self, proposal: bytes, **choices: str) -> None:
        """All hear of a proposal, members vote, and all hear of that."""
        await self.tell()
        for role, choice in choices.items():
            await self.members[role].vote(proposal, choice)
        await self.tell()

    async def decide(self, proposal: BlockHash, *without: Member) -> None:
        """Every node but those `without` counts the votes, and all of them hear of it."""
        for member in self.all:
            if member not in without:
                await member.count(proposal)
        await self.tell(*without)

    async def approved(self, proposer: Member, amount: int = 1_500_000, **changes: Any) -> BlockHash:
        """A proposal on which the first members said yes, counted by all."""
        proposal = await self.propose(proposer, amount, **changes)
        needed = self.all[0].group(self.id).approvals
        await self.vote(proposal, **{member.role: "yes" for member in self.all[:needed]})
        await self.decide(proposal)
        return proposal

    async def ground(self, member: Member, decided: BlockHash, *, lower: bool, **changes: Any) -> BlockHash:
        """A member's proposal like a decided one, tried until its lock time is the same and its id lower, or higher."""
        asked, mine = member.payment(decided), blocks.chain(member.ledger.db, member.key, 1, 999, 999)[-1]
        head: dict[str, Any] = {
            "payee": asked.payee,
            "script": asked.script,
            "amount": asked.amount,
            "fee_cap": asked.fee_cap,
        }
        head |= {"group": self.id, "reason": "", "deadline": asked.deadline} | changes
        for number in itertools.count():
            said = ProposePayment(title=f"number {number}", **head)
            kind, raw = encode(said)
            made = HalfBlock(member.key, mine.sequence_number + 1, ANYONE, 0, mine.hash, kind, raw, self.clock.now())
            made = made.signed_by(member.identity)
            if tag(made.hash) == tag(decided) and (made.hash < decided) == lower:
                break
        assert await member.ledger.ingest([made]) == []
        return made.hash

    async def pay(self, coordinator: Member, proposal: BlockHash) -> Signed:
        """Let a node coordinate, whosever turn it is."""
        asked = coordinator.payment(proposal)
        account, share = await coordinator.account(self.id), coordinator.share(self.id)
        return await coordinator.treasury.pay(coordinator.group(self.id), asked, account, share)

    async def step(self, *members: Member) -> list[str]:
        """Let nodes look after the treasury once (all of them if none is named); what they could not do."""
        failures = []
        for member in members or self.all:
            try:
                await member.treasury.step()
            except PaymentFailed as failure:
                failures.append(str(failure))
        return failures

    @property
    def agent(self) -> PublicKey:
        """The group as the author of its own chain."""
        found = group_key.agent_of(self.all[0].ledger.db, self.all[0].group(self.id))
        assert found is not None
        return found

    async def write(self, *members: Member) -> list[str]:
        """Let nodes look after the group's chain once (all of them if none is named); what they could not do."""
        failures = []
        for member in members or self.all:
            try:
                await member.words.step()
            except NotWritten as failure:
                failures.append(str(failure))
        return failures

    async def mempool(self) -> list[str]:
        return cast(list[str], await self.rpc("getrawmempool"))

    async def received(self, script: bytes) -> int:
        """What a script holds in the chain, in satoshis."""
        return sum(coin.amount for coin in await self.all[0].backend.coins(script))

    async def close(self) -> None:
        for member in self.all:
            await self.stop(member)
        await self.rpc.close()


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[RegtestService]:
    """A regtest service of one's own."""
    service = await serve(folder / "chain", "127.0.0.1", 0, SystemClock(), FixedRandomness("service"))
    try:
        yield service
    finally:
        await service.close()


@asynccontextmanager
async def town(folder: Path, clock: Clock | None = None) -> AsyncIterator[GroupTown]:
    """A town without members yet; time stands still in it unless a clock is given."""
    async with chain(folder) as service:
        made = GroupTown(folder, service, clock or HandClock())
        try:
            yield made
        finally:
            await made.close()
