"""What members do with each other in a simulation: mint, offer, give, accept, decline, redeem, vote, carry files."""

import contextlib
from collections.abc import Callable
from functools import partial
from random import Random

from overlay.dao.assembly import governance
from overlay.dao.assembly.charters import charters
from overlay.dao.assembly.governance import NotAllowed
from overlay.dao.assembly.proposals import payments
from overlay.dao.assembly.shares import host_keys, threshold_key
from overlay.dao.keyring import custody
from overlay.economy import exchange
from overlay.economy.exchange import Amount, Refused, TooLongAHistory
from overlay.economy.holdings import issuer_of
from overlay.economy.standing import Standing, current_holdings, standing
from overlay.network.quic_errors import StreamError
from overlay.trustchain.block import BlockHash
from overlay.trustchain.commitment import BadDisclosure
from overlay.trustchain.ledger import SigningRefused, StatementTooLong, Transaction
from overlay.trustchain.statements import FoundGroup, Mint, ProposePayment
from overlay.trustchain.store import StorageError
from tests.simulation.member import Member

MINUTE = 60_000
SCRIPT = b"\x51\x20" + bytes(32)
ALLOWED = (Refused, NotAllowed, SigningRefused, StorageError, StatementTooLong, TooLongAHistory, BadDisclosure)
PROMISES = ("bread", "repairs", "produce", "lessons", "firewood", "rides", "haircuts")


class Workload:
    """Draws who does what next. Everything goes through the real functions that a node's actions call."""

    def __init__(self, random: Random, members: list[Member]) -> None:
        self.random, self.members = random, members
        self.done = 0

    def step(self) -> None:
        """Let one member that is there do one thing."""
        there = [member for member in self.members if member.node is not None and member.up.membership is not None]
        if len(there) < 2:
            return
        member = self.random.choice(there)
        deeds = (mint, offer, offer, give, give, give, answer, answer, answer, answer, answer, withdraw, redeem, redeem,
                 carry, mislead, found_group, sign_charter, propose_payment, vote)  # fmt: skip
        self.random.choice(deeds)(self, member)

    def do(self, member: Member, what: str, work: Callable[[Transaction], object]) -> None:
        """One transaction of a member's node; refusals are part of life."""
        node = member.up

        async def act() -> None:
            try:
                await node.ledger.transact(work)
            except ALLOWED as refusal:
                member.internet.befallen["act refused by a full disk"] += isinstance(refusal, StorageError)
                member.internet.trace.tell(member.role, f"{what}: {type(refusal).__name__}")
            else:
                self.done += 1
                member.internet.trace.tell(member.role, what)

        member.spawn(act())

    def other(self, member: Member) -> Member:
        return self.random.choice([each for each in self.members if each is not member])

    def until(self, member: Member) -> int:
        return member.clock.now() + self.random.choice((1, 1, 10)) * MINUTE


def mint(work: Workload, member: Member) -> None:
    expires = member.clock.now() + work.random.choice((1, 30)) * MINUTE if work.random.random() < 0.2 else 0
    said = Mint(work.random.choice(PROMISES), "piece", work.random.randint(1, 100), "", expires, None)
    work.do(member, "mints", lambda tx: tx.append(said))


def offer(work: Workload, member: Member) -> None:
    to, mine = work.other(member), _amount(work, member)
    wanted = member.up.db.execute("SELECT id, quantity FROM voucher_mint WHERE issuer = ? ORDER BY id", (to.key,))
    wants = wanted.fetchall()
    if mine is not None and wants:
        voucher, quantity = work.random.choice(wants)
        want, until = Amount(BlockHash(voucher), work.random.randint(1, quantity)), work.until(member)
        random = member.chance
        work.do(member, f"offers {to.role}", lambda tx: exchange.offer_swap(tx, random, to.key, mine, want, until))


def give(work: Workload, member: Member) -> None:
    to, mine = work.other(member), _amount(work, member)
    if mine is not None:
        _propose(work, member, to, mine, f"gives to {to.role}")


def redeem(work: Workload, member: Member) -> None:
    mine = _amount(work, member)
    issuer = issuer_of(member.up.db, mine.voucher) if mine else None
    to = next((each for each in work.members if each.key == issuer), None)
    if mine is not None and to is not None and to is not member:
        _propose(work, member, to, mine, f"redeems with {to.role}")


def answer(work: Workload, member: Member) -> None:
    """Accept, or decline, something that was offered or proposed to this member."""
    open_ = [found for found in _exchanges(member, "counterparty") if found[2] is Standing.OPEN]
    if not open_:
        return
    proposal, is_offer, _ = work.random.choice(open_)
    random, chance = member.chance, work.random.random()
    if chance < 0.15:
        work.do(member, "declines", lambda tx: exchange.cancel(tx, proposal, "no, thank you"))
    elif is_offer:
        work.do(member, "takes up an offer", lambda tx: exchange.accept_offer(tx, random, proposal))
    else:
        trusting, weight = chance < 0.5, work.random.randint(0, 9)
        work.do(member, "agrees", lambda tx: exchange.agree(tx, proposal, weight, trusting))


def withdraw(work: Workload, member: Member) -> None:
    open_ = [found for found in _exchanges(member, "proposer") if found[2] is Standing.OPEN]
    if open_:
        proposal = work.random.choice(open_)[0]
        work.do(member, "takes back", lambda tx: exchange.cancel(tx, proposal))


def carry(work: Workload, member: Member) -> None:
    """Deliver some bytes of a picture: the nodes settle it by themselves."""
    to = work.other(member)
    if to.node is not None:
        member.content.carry(member.key, to.content, to.key, work.random.randint(1, 1 << 20))


def mislead(work: Workload, member: Member) -> None:
    """Ask another something that is damaged: it must refuse, and go on as before."""
    to, net = work.other(member), member.internet
    if net.requests:
        payload = net.damage(work.random.choice(net.requests))
        member.spawn(_ask(member, to, payload))


async def _ask(member: Member, to: Member, payload: bytes) -> None:
    with contextlib.suppress(StreamError):
        await member.up.home.network._streams.request(to.key, to.address, payload, timeout=5.0)


def cheat(work: Workload, member: Member) -> None:
    """With an old copy of the ledger: agree again to all that is open there, and give away again all that is held."""
    random, until = member.chance, work.until(member)
    for proposal, is_offer, stands in _exchanges(member, "counterparty"):
        if stands is Standing.OPEN and not is_offer:
            work.do(member, "agrees again", partial(exchange.agree, proposal=proposal, allow_provisional=True))
    for each in current_holdings(member.up.db, member.key, member.clock.now()):
        to, amount = work.other(member).key, Amount(each.holding.voucher, each.holding.quantity)
        again = partial(exchange.propose, random=random, to=to, give=[amount], valid_until=until)
        work.do(member, "gives again", again)


def found_group(work: Workload, member: Member) -> None:
    if len(charters(member.up.db)) < 2 and len(work.members) > 2:
        others = work.random.sample([each for each in work.members if each is not member and not each.is_cheat], 2)
        keys = (member.key, *(each.key for each in others))
        if all(keys):
            said = FoundGroup("bridge", "rebuild it", keys, 2, 2)
            work.do(member, "founds a group", lambda tx: governance.found_group(tx, said))


def sign_charter(work: Workload, member: Member) -> None:
    db = member.up.db
    waiting = [each for each in charters(db) if member.key in each.members and member.key not in host_keys(db, each)]
    if waiting:
        group = waiting[0].id
        key = custody.host_key(member.up.identity, group)
        work.do(member, "signs a charter", lambda tx: governance.sign_charter(tx, group, key))


def propose_payment(work: Workload, member: Member) -> None:
    db = member.up.db
    ready = [each for each in charters(db) if member.key in each.members and threshold_key(db, each) is not None]
    if ready:
        amount, until = work.random.randint(1, 10_000), work.until(member)
        said = ProposePayment(ready[0].id, "wood", "for the bridge", member.key, SCRIPT, amount, 500, until)
        work.do(member, "proposes a payment", lambda tx: governance.propose_payment(tx, said))


def vote(work: Workload, member: Member) -> None:
    db = member.up.db
    asked = [each for group in charters(db) if member.key in group.members for each in payments(db, group)]
    if asked:
        proposal, choice = work.random.choice(asked).id, work.random.choice(("yes", "yes", "no", "abstain"))
        work.do(member, f"votes {choice}", lambda tx: governance.cast_vote(tx, proposal, choice, ""))


def _propose(work: Workload, member: Member, to: Member, mine: Amount, what: str) -> None:
    random, until, weight = member.chance, work.until(member), work.random.randint(0, 9)
    words = ("mended a roof", "thank you") if work.random.random() < 0.3 else ("", "")
    work.do(member, what, lambda tx: exchange.propose(tx, random, to.key, [mine], until, *words, weight))


def _amount(work: Workload, member: Member) -> Amount | None:
    """Some of something that this member holds; mostly all of what it can give, sometimes more than that."""
    held: dict[BlockHash, int] = {}
    for each in current_holdings(member.up.db, member.key, member.clock.now()):
        held[each.holding.voucher] = held.get(each.holding.voucher, 0) + each.holding.quantity
    if not held:
        return None
    voucher = work.random.choice(sorted(held))
    return Amount(voucher, work.random.randint(1, held[voucher]))


def _exchanges(member: Member, side: str) -> list[tuple[BlockHash, bool, Standing]]:
    db, now = member.up.db, member.clock.now()
    rows = db.execute(
        f"SELECT proposal, is_offer FROM voucher_exchange WHERE {side} = ? ORDER BY proposal", (member.key,)
    ).fetchall()
    return [(BlockHash(proposal), bool(is_offer), standing(db, proposal, now)) for proposal, is_offer in rows]
