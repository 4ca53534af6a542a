"""No schedule of messages, coordinators, crashes and t - 1 conspirators gives one place of a group's chain two words.

Honest members are the real functions over a file's tables; whatever they sign goes to an adversary, who holds the keys
of the conspirators, owns every ballot, and chooses what happens next.
"""

import hashlib
import itertools
import random
import sqlite3

import pytest

from overlay.dao.assembly.bylaws import founded
from overlay.dao.assembly.charters import Charter
from overlay.dao.chain import group_order
from overlay.dao.chain.group_order import OutOfOrder, Place, quorum, said, statement
from overlay.dao.chain.order_messages import Answered, Given, Lock, Proof
from overlay.keys import Identity, PublicKey
from overlay.trustchain.block import ANYONE, GENESIS_HASH, BlockHash, HalfBlock
from overlay.trustchain.statements import FoundGroup

SCHEDULES, STEPS, BALLOTS = 25, 160, 4


def charter_of(n: int, t: int) -> tuple[Charter, list[Identity]]:
    people = [Identity.from_seed(hashlib.sha512(bytes([number])).digest()) for number in range(n)]
    keys = tuple(each.public_key for each in people)
    return founded(BlockHash(bytes(32)), keys[0], FoundGroup("g", "", keys, t, t)), people


def word(text: bytes) -> HalfBlock:
    return HalfBlock(PublicKey(b"LibNaCLPK:" + bytes(64)), 1, ANYONE, 0, GENESIS_HASH, b"decide", text, 0)


class Adversary:
    """Everything that was ever said about one place, and the choice of what comes next."""

    def __init__(self, n: int, t: int, conspirators: int, seed: int) -> None:
        charter, self.people = charter_of(n, t)
        self.place, self.t, self.chance = Place(charter, 1), t, random.Random(seed)
        self.bad = set(self.chance.sample(range(n), conspirators))
        self.tables = {number: sqlite3.connect(":memory:") for number in range(n) if number not in self.bad}
        for db in self.tables.values():
            db.executescript(group_order.SCHEMA)
        self.words = (word(b"a"), word(b"b"))
        self.answers: dict[int, dict[int, list[Answered]]] = {ballot: {} for ballot in range(1, BALLOTS + 1)}
        self.voted: dict[tuple[int, int], dict[int, bytes]] = {}
        self.locked: dict[tuple[int, int], dict[int, bytes]] = {}
        self.shared: dict[int, set[int]] = {0: set(), 1: set()}

    def proof(self, kind: bytes, signed: dict[tuple[int, int], dict[int, bytes]], at: tuple[int, int]) -> Proof | None:
        """What honest members signed, and every conspirator too."""
        ballot, which = at
        message = said(kind, self.place, ballot, statement(self.words[which]))
        all_ = signed.get(at, {}) | {number: self.people[number].sign(message) for number in self.bad}
        return Proof(tuple(all_), tuple(all_.values())) if len(all_) >= self.place.quorum else None

    def lock_of(self, ballot: int, which: int) -> Lock | None:
        votes = self.proof(b"voted", self.voted, (ballot, which))
        return Lock(ballot, self.words[which].pack(signature=False), votes) if votes else None

    def step(self, time: int) -> None:
        """Something from the ballot that it is time for, or from the one before."""
        number = self.chance.choice(list(self.tables))
        ballot = max(1, 1 + time * BALLOTS // STEPS - self.chance.choice((0, 0, 0, 1)))
        which = self.chance.randint(0, 1)
        action = self.chance.choice((self.prepare, self.vote, self.vote, self.lock, self.lock, self.share))
        try:
            action(number, ballot, which)
        except OutOfOrder:
            return

    def prepare(self, number: int, ballot: int, which: int) -> None:
        promise, signature = group_order.prepare(self.tables[number], self.people[number], self.place, ballot)
        if promise.promised in self.answers:
            told = Answered(number, promise.lock, signature)
            self.answers[promise.promised].setdefault(number, []).append(told)

    def vote(self, number: int, ballot: int, which: int) -> None:
        """Any quorum of any answers that were ever given, and conspirators who show any lock that there is, or none."""
        shown = [self.chance.choice(each) for each in self.answers[ballot].values()]
        locks = [None, *filter(None, (self.lock_of(b, w) for b in range(1, ballot + 1) for w in (0, 1)))]
        for liar in self.bad:
            lie = self.chance.choice(locks)
            message = said(b"prepared", self.place, ballot, group_order._encoded(lie))
            shown.append(Answered(liar, lie, self.people[liar].sign(message)))
        self.chance.shuffle(shown)
        chosen = shown[: self.place.quorum]
        block = self.words[which]
        signature = group_order.vote(self.tables[number], self.people[number], self.place, ballot, block, chosen)
        self.voted.setdefault((ballot, which), {})[number] = signature

    def lock(self, number: int, ballot: int, which: int) -> None:
        to = self.lock_of(ballot, which)
        if to is not None:
            about = statement(self.words[which])
            signature = group_order.lock(self.tables[number], self.people[number], self.place, to, about)
            self.locked.setdefault((ballot, which), {})[number] = signature

    def share(self, number: int, ballot: int, which: int) -> None:
        locks = self.proof(b"locked", self.locked, (ballot, which))
        if locks is not None:
            given = Given(statement(self.words[which]), (number,), (bytes(64),), bytes(32))
            group_order.give(self.tables[number], self.place, ballot, locks, given)
            self.shared[which].add(number)

    def signed(self) -> list[int]:
        """Which words enough shares were given for: conspirators give theirs for both."""
        return [which for which, givers in self.shared.items() if len(givers) + len(self.bad) >= self.t]


def run(n: int, t: int, conspirators: int, seed: int) -> Adversary:
    adversary = Adversary(n, t, conspirators, seed)
    for time in range(STEPS):
        adversary.step(time)
    for db in adversary.tables.values():
        db.close()
    return adversary


@pytest.mark.parametrize(("n", "t"), [(3, 2), (4, 2), (5, 3)])
def test_below_t_conspirators_no_schedule_gives_two_words(n: int, t: int) -> None:
    ended = [run(n, t, t - 1, seed) for seed in range(SCHEDULES)]
    assert all(len(each.signed()) < 2 for each in ended)
    assert sum(len(each.signed()) == 1 for each in ended) > SCHEDULES // 10  # the schedules get somewhere


def test_promises_of_as_many_as_sign_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the adversary above is known to find a fork where there is one: two of four sign, and two others."""
    monkeypatch.setattr(group_order, "quorum", lambda n, t: t)
    assert any(len(run(4, 2, 1, seed).signed()) == 2 for seed in range(SCHEDULES))


def test_two_quorums_share_an_honest_member_and_no_smaller_ones_would() -> None:
    for n in range(1, 40):
        for t in range(1, n + 1):
            q = quorum(n, t)
            assert t <= q <= n
            assert 2 * q - n >= t
            assert 2 * (q - 1) - n < t


def test_a_member_votes_once_in_a_ballot_and_in_none_below_its_promise() -> None:
    adversary = Adversary(3, 3, 0, 0)
    for number in range(3):
        adversary.prepare(number, 2, 0)
    adversary.vote(0, 2, 0)
    adversary.vote(0, 2, 0)
    with pytest.raises(OutOfOrder, match="voted for another block"):
        adversary.vote(0, 2, 1)
    adversary.prepare(0, 4, 0)
    with pytest.raises(OutOfOrder, match="ballot 4 is promised"):
        adversary.vote(0, 2, 0)


def test_answers_that_are_too_few_or_not_their_members_are_no_quorum() -> None:
    adversary = Adversary(3, 2, 0, 0)
    for number in range(3):
        adversary.prepare(number, 1, 0)
    told = [each[0] for each in adversary.answers[1].values()]
    assert group_order.bound_by(adversary.place, 1, told) is None
    with pytest.raises(OutOfOrder, match="fewer than the quorum"):
        group_order.bound_by(adversary.place, 1, told[:2])
    with pytest.raises(OutOfOrder, match="fewer than the quorum"):
        group_order.bound_by(adversary.place, 1, [told[0]] * 3)
    forged = Answered(2, None, told[0].signature)
    with pytest.raises(OutOfOrder, match="is not its own"):
        group_order.bound_by(adversary.place, 1, [*told[:2], forged])


def test_ballots_belong_to_one_member_each_and_always_rise() -> None:
    place = Adversary(5, 3, 0, 0).place
    for number, seen in itertools.product(range(5), range(30)):
        ballot = group_order.next_ballot(place, number, seen)
        assert seen < ballot <= seen + 5
        assert place.owner(ballot) == number


def voted_by_all(adversary: Adversary, ballot: int) -> None:
    for number in adversary.tables:
        adversary.prepare(number, ballot, 0)
    for number in adversary.tables:
        adversary.vote(number, ballot, 0)


def test_who_has_answered_to_a_later_ballot_is_bound_and_signs_in_no_earlier_one() -> None:
    adversary = Adversary(3, 2, 0, 0)
    voted_by_all(adversary, 1)
    adversary.lock(1, 1, 0)
    adversary.lock(2, 1, 0)
    adversary.prepare(0, 2, 0)
    with pytest.raises(OutOfOrder, match="ballot 2 is promised"):
        adversary.lock(0, 1, 0)
    adversary = Adversary(3, 2, 0, 0)
    voted_by_all(adversary, 1)
    for number in range(3):
        adversary.lock(number, 1, 0)
    adversary.prepare(0, 2, 0)
    with pytest.raises(OutOfOrder, match="ballot 2 is promised"):
        adversary.share(0, 1, 0)


def test_a_share_takes_the_locks_of_a_quorum_and_is_given_once_in_a_ballot() -> None:
    adversary = Adversary(3, 2, 0, 0)
    voted_by_all(adversary, 1)
    for number in range(3):
        adversary.lock(number, 1, 0)
    locks = adversary.proof(b"locked", adversary.locked, (1, 0))
    assert locks is not None
    few = Proof(locks.signers[:2], locks.signatures[:2])
    twice = Proof((0, 0, 0), (locks.signatures[0],) * 3)
    votes = adversary.proof(b"voted", adversary.voted, (1, 0))
    assert votes is not None
    given = Given(statement(adversary.words[0]), (0, 1), (bytes(64),) * 2, bytes(32))
    again = Proof((*locks.signers, 0), (*locks.signatures, locks.signatures[0]))
    for wrong in (few, twice, again, votes):
        with pytest.raises(OutOfOrder):
            group_order.give(adversary.tables[0], adversary.place, 1, wrong, given)
    group_order.give(adversary.tables[0], adversary.place, 1, locks, given)
    with pytest.raises(OutOfOrder, match="gave its share"):
        group_order.give(adversary.tables[0], adversary.place, 1, locks, given)


def test_nobody_uses_up_the_ballots_by_jumping() -> None:
    adversary = Adversary(3, 2, 0, 0)
    db, me = adversary.tables[0], adversary.people[0]
    with pytest.raises(OutOfOrder, match="too far above"):
        group_order.prepare(db, me, adversary.place, group_order.MAX_STEP + 1)
    promise, _ = group_order.prepare(db, me, adversary.place, group_order.MAX_STEP)
    assert promise.promised == group_order.MAX_STEP
