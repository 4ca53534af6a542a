"""A key is dealt anew to others: the same key, other shares, and everybody who deals wrongly is named."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from overlay.dao.frost import bip340, chilldkg, pedpop, resharing, resharing_deal, rfc9591, signing
from overlay.dao.frost.bip340 import SIGNATURE_BYTES
from overlay.dao.frost.ciphersuite import Arithmetic
from overlay.dao.frost.ed25519 import ED25519
from overlay.dao.frost.errors import FaultyParticipantError, RandomnessError, RecoveryDataError
from overlay.dao.frost.resharing import NewShare
from overlay.dao.frost.resharing_plan import Holders, Resharing
from overlay.dao.frost.scalars import interpolating_values
from overlay.dao.frost.secp256k1 import SECP256K1

MSG = bytes(range(32))


def host(number: int) -> bytes:
    return bytes([number + 1]) * 32


def params(hosts: Sequence[int], t: int) -> chilldkg.SessionParams:
    return chilldkg.SessionParams([chilldkg.hostpubkey_gen(host(number)) for number in hosts], t)


@dataclass(frozen=True)
class Held:
    """A key: who holds it (numbers of hosts), publicly and secretly."""

    suite: Arithmetic
    hosts: tuple[int, ...]
    public: Holders
    secshares: tuple[bytes, ...]


def bitcoin_key(hosts: Sequence[int], t: int) -> Held:
    """By ChillDKG."""
    session = params(hosts, t)
    begun = [chilldkg.participant_step1(host(each), session, os.urandom(32)) for each in hosts]
    state, cmsg = chilldkg.coordinator_step1([pmsg for _, pmsg in begun], session)
    certified = [
        chilldkg.participant_step2(host(each), mine, cmsg, os.urandom(32))
        for each, (mine, _) in zip(hosts, begun, strict=True)
    ]
    cmsg2, _, _ = chilldkg.coordinator_finalize(state, [pmsg for _, pmsg in certified])
    outputs = [chilldkg.participant_finalize(mine, cmsg2)[0] for mine, _ in certified]
    public = Holders(t, outputs[0].thresh_pk, outputs[0].pubshares, tuple(session.hostpubkeys))
    return Held(SECP256K1, tuple(hosts), public, tuple(output.secshare or b"" for output in outputs))


def ledger_key(hosts: Sequence[int], t: int) -> Held:
    """By PedPop."""
    session = params(hosts, t)
    begun = [pedpop.participant_step1(ED25519, host(each), session, os.urandom(32)) for each in hosts]
    pmsgs = [pmsg for _, pmsg in begun]
    certified = [
        pedpop.participant_step2(ED25519, host(each), mine, pmsgs, os.urandom(32))
        for each, (mine, _) in zip(hosts, begun, strict=True)
    ]
    sigs = [sig for _, sig in certified]
    shares = [pedpop.participant_finalize(mine, sigs)[0] for mine, _ in certified]
    key = shares[0].key
    public = Holders(t, key.public_key, tuple(key.pubshares), tuple(session.hostpubkeys))
    return Held(ED25519, tuple(hosts), public, tuple(share.secshare for share in shares))


MAKERS = [bitcoin_key, ledger_key]


def deals_of(held: Held, plan: Resharing) -> list[bytes]:
    return [
        resharing_deal.deal(plan, host(held.hosts[dealer]), held.secshares[dealer], os.urandom(32))
        for dealer in plan.dealers
    ]


def reshare(held: Held, dealers: tuple[int, ...], hosts: Sequence[int], t: int) -> tuple[Held, Resharing, bytes]:
    """All steps; what the new participants hold, and the recovery data."""
    plan = Resharing(held.suite, held.public, dealers, params(hosts, t))
    deals = deals_of(held, plan)
    sigs = [resharing.certify(plan, host(each), deals, os.urandom(32)) for each in hosts]
    recovery = resharing.finalize(plan, deals, sigs)
    shares = [resharing.receive(plan, host(each), deals) for each in hosts]
    public = Holders(t, shares[0].public_key, shares[0].pubshares, tuple(plan.new.hostpubkeys))
    return Held(held.suite, tuple(hosts), public, tuple(share.secshare for share in shares)), plan, recovery


def signature(held: Held, signers: Sequence[int]) -> bytes:
    """The signature that these shares make; raises where they make none."""
    ids, public = list(signers), held.public
    if held.suite is ED25519:
        key = rfc9591.GroupKey(ED25519, public.t, public.public_key, public.pubshares)
        made = {i: rfc9591.commit(ED25519, held.secshares[i], os.urandom(64)) for i in ids}
        session = rfc9591.Session(key, ids, [made[i][1] for i in ids], MSG)
        joining = rfc9591.SessionCoordinator(session)
        for index, i in enumerate(ids):
            joining.accept(index, rfc9591.sign(made[i][0], held.secshares[i], i, session))
        return joining.signature()
    who = signing.SignersContext(
        n=len(public.pubshares), t=public.t, ids=ids, pubshares=[public.pubshares[i] for i in ids],
        thresh_pk=public.public_key,
    )  # fmt: skip
    nonces = {i: signing.nonce_gen(os.urandom(32), held.secshares[i], public.pubshares[i]) for i in ids}
    coordinator = signing.SigningCoordinator(who, [nonces[i][1] for i in ids], MSG, [], [])
    session_ = signing.SessionContext(who, coordinator.session.aggnonce, MSG, [], [])
    for index, i in enumerate(ids):
        coordinator.accept(index, signing.sign(nonces[i][0], held.secshares[i], i, session_))
    return coordinator.signature()


def is_good(held: Held, made: bytes) -> bool:
    if held.suite is ED25519:
        return ED25519.verify(held.public.public_key, MSG, made)
    return bip340.schnorr_verify(MSG, held.public.public_key[1:], made)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("hosts", "t"), [((0, 1, 2), 2), ((0, 1, 3, 4, 5), 3), ((6, 7, 8, 9), 4), ((5,), 1)])
def test_any_t_of_the_new_members_sign_under_the_old_key(make: object, hosts: tuple[int, ...], t: int) -> None:
    old = make((0, 1, 2, 3), 3)  # type: ignore[operator]
    new, _, _ = reshare(old, (0, 1, 3), hosts, t)
    assert new.public.public_key == old.public.public_key
    for signers in itertools.combinations(range(len(hosts)), t):
        assert is_good(new, signature(new, signers))


@pytest.mark.parametrize("make", MAKERS)
def test_more_dealers_than_needed_and_dealing_twice_make_the_same_key(make: object) -> None:
    old = make((0, 1, 2), 2)  # type: ignore[operator]
    new, _, _ = reshare(old, (2, 0, 1), (0, 1, 2, 3), 3)
    again, _, _ = reshare(new, (0, 1, 3), (4, 5), 2)
    assert is_good(again, signature(again, (0, 1)))


@pytest.mark.parametrize("make", MAKERS)
def test_old_and_new_shares_below_their_thresholds_sign_nothing_together(make: object) -> None:
    old = make((0, 1, 2), 3)  # type: ignore[operator]
    new, _, _ = reshare(old, (0, 1, 2), (0, 1, 2), 3)
    assert set(old.secshares).isdisjoint(new.secshares)
    for count in (1, 2):  # two old and one new, one old and two new
        mixed = (*old.secshares[:count], *new.secshares[count:])
        values = interpolating_values([1, 2, 3], old.suite.order)
        secret = bytes(32)
        for weight, share in zip(values, mixed, strict=True):
            secret = old.suite.scalar_add(secret, old.suite.scalar_mul(old.suite.scalar(weight), share))
        assert old.suite.base_mul(secret) != old.public.public_key
        with pytest.raises((ValueError, FaultyParticipantError)):
            signature(Held(old.suite, old.hosts, new.public, mixed), (0, 1, 2))


@pytest.mark.parametrize("make", MAKERS)
def test_a_lost_device_gets_its_new_share_from_host_key_and_recovery_data(make: object) -> None:
    old = make((0, 1, 2), 2)  # type: ignore[operator]
    new, plan, recovery = reshare(old, (0, 2), (1, 4, 5), 2)
    assert resharing.dealers_of(recovery) == (0, 2)
    restored: NewShare = resharing.recover(plan, host(4), recovery)
    assert restored.secshare == new.secshares[1]
    for bad in (b"", recovery[:-1], recovery + b"x", bytes([0xFF]) * len(recovery), recovery[:-64] + bytes(64)):
        with pytest.raises(RecoveryDataError):
            resharing.recover(plan, host(4), bad)
    other = Resharing(plan.suite, plan.old, (0, 1), plan.new)
    with pytest.raises(RecoveryDataError, match="another resharing"):
        resharing.recover(other, host(4), recovery)


@pytest.mark.parametrize("make", MAKERS)
def test_a_dealer_that_deals_one_new_member_a_wrong_value_is_named(make: object) -> None:
    old = make((0, 1, 2), 2)  # type: ignore[operator]
    plan = Resharing(old.suite, old.public, (1, 2), params((0, 4, 5), 2))
    good, liar = deals_of(old, plan)
    body = bytearray(liar[:-SIGNATURE_BYTES])
    at = len(body) - 2 * 32 + 16  # within what is encrypted to the second of three
    body[at] ^= 1
    sig = bip340.schnorr_sign(resharing_deal._signed(plan, 2, bytes(body)), host(2), bytes(32))
    wrong = bytes(body) + sig
    resharing_deal.check(plan, 2, wrong)  # nobody but its receiver can see it
    with pytest.raises(FaultyParticipantError, match="value that it dealt") as caught:
        resharing.receive(plan, host(4), [good, wrong])
    assert caught.value.participant == 2
    assert resharing.receive(plan, host(0), [good, wrong]).secshare


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("damage", ["cut", "flipped", "anothers", "unsigned"])
def test_a_deal_that_is_damaged_or_not_its_dealers_is_refused_by_anybody(make: object, damage: str) -> None:
    old = make((0, 1, 2), 2)  # type: ignore[operator]
    plan = Resharing(old.suite, old.public, (1, 2), params((0, 4), 2))
    good, other = deals_of(old, plan)
    bad = {
        "cut": good[:-1],
        "flipped": good[:70] + bytes([good[70] ^ 1]) + good[71:],
        "anothers": other,
        "unsigned": good[:-64] + bytes(64),
    }[damage]
    with pytest.raises(FaultyParticipantError) as caught:
        resharing_deal.check(plan, 1, bad)
    assert caught.value.participant == 1


@pytest.mark.parametrize("make", MAKERS)
def test_who_deals_another_secret_than_its_share_is_named(make: object) -> None:
    old, foreign = make((0, 1, 2), 2), make((0, 1, 2), 2)  # type: ignore[operator]
    rogue_plan = Resharing(old.suite, foreign.public, (1, 2), params((0, 4), 2))
    plan = Resharing(old.suite, old.public, (1, 2), params((0, 4), 2))
    deal = resharing_deal.deal(rogue_plan, host(1), foreign.secshares[1], os.urandom(32))
    body = deal[:-SIGNATURE_BYTES]
    signed = body + bip340.schnorr_sign(resharing_deal._signed(plan, 1, body), host(1), bytes(32))
    with pytest.raises(FaultyParticipantError, match="something else than its share"):
        resharing_deal.check(plan, 1, signed)
    with pytest.raises(ValueError, match="not that of this dealer"):
        resharing_deal.deal(plan, host(1), foreign.secshares[1], os.urandom(32))


def test_what_our_own_caller_does_wrong_is_told() -> None:
    old = ledger_key((0, 1, 2), 2)
    new = params((0, 4), 2)
    with pytest.raises(ValueError, match="fewer than the threshold"):
        Resharing(ED25519, old.public, (1,), new)
    for dealers in ((1, 1), (1, 3)):
        with pytest.raises(ValueError, match="different participants"):
            Resharing(ED25519, old.public, dealers, new)
    plan = Resharing(ED25519, old.public, (0, 1), new)
    with pytest.raises(ValueError, match="no dealer"):
        resharing_deal.deal(plan, host(2), old.secshares[2], os.urandom(32))
    with pytest.raises(RandomnessError):
        resharing_deal.deal(plan, host(0), old.secshares[0], bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        resharing_deal.deal(plan, host(0), old.secshares[0], b"short")
    with pytest.raises(ValueError, match="2 dealers but 0"):
        resharing.receive(plan, host(4), [])
    deals = deals_of(old, plan)
    with pytest.raises(FaultyParticipantError) as caught:
        resharing.finalize(plan, deals, [bytes(64), bytes(64)])
    assert caught.value.participant == 0
