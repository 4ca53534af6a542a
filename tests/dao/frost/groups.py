"""Groups of signers for tests: whole key generations and signing sessions, reproducible from a label."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from overlay.dao.frost import chilldkg, signing
from overlay.dao.frost.hashing import tagged_hash


def stream(label: str) -> Iterator[bytes]:
    """Reproducible bytes in the place of randomness."""
    count = 0
    while True:
        yield hashlib.sha256(f"{label} {count}".encode()).digest()
        count += 1


@dataclass(frozen=True)
class Group:
    """The outcome of a key generation among honest participants, with all messages that were sent."""

    params: chilldkg.SessionParams
    hostseckeys: list[bytes]
    states1: list[chilldkg.ParticipantState1]
    pmsgs1: list[bytes]
    cmsg1: bytes
    outputs: list[chilldkg.DKGOutput]
    recovery_data: bytes

    @property
    def thresh_pk(self) -> bytes:
        return self.outputs[0].thresh_pk

    def secshare(self, participant: int) -> bytes:
        share = self.outputs[participant].secshare
        assert share is not None
        return share

    def signers(self, ids: Sequence[int]) -> signing.SignersContext:
        pubshares = [self.outputs[0].pubshares[i] for i in ids]
        return signing.SignersContext(self.params.n, self.params.t, ids, pubshares, self.thresh_pk)


@lru_cache
def group_of(t: int, n: int) -> Group:
    """A t-of-n group; the same for every test that asks."""
    rand = stream(f"{t} of {n}")
    seckeys = [next(rand) for _ in range(n)]
    params = chilldkg.SessionParams([chilldkg.hostpubkey_gen(key) for key in seckeys], t)
    begun = [chilldkg.participant_step1(key, params, next(rand)) for key in seckeys]
    states1, pmsgs1 = [state for state, _ in begun], [pmsg for _, pmsg in begun]
    cstate, cmsg1 = chilldkg.coordinator_step1(pmsgs1, params)
    certified = [
        chilldkg.participant_step2(key, state, cmsg1, next(rand)) for key, state in zip(seckeys, states1, strict=True)
    ]
    cmsg2, _, recovery_data = chilldkg.coordinator_finalize(cstate, [pmsg2 for _, pmsg2 in certified])
    outputs = [chilldkg.participant_finalize(state, cmsg2)[0] for state, _ in certified]
    return Group(params, seckeys, states1, pmsgs1, cmsg1, outputs, recovery_data)


@dataclass
class Signing:
    """A session in which all signers have sent their nonces."""

    group: Group
    ids: list[int]
    secnonces: list[signing.SecretNonce]
    coordinator: signing.SigningCoordinator

    def psig(self, index: int) -> bytes:
        """The partial signature of the honest signer at `index`."""
        i = self.ids[index]
        return signing.sign(self.secnonces[index], self.group.secshare(i), i, self.coordinator.session)

    def signature(self) -> bytes:
        """What comes out where all sign."""
        for index in range(len(self.ids)):
            self.coordinator.accept(index, self.psig(index))
        return self.coordinator.signature()


def session_of(
    group: Group,
    ids: Sequence[int],
    msg: bytes,
    tweaks: Sequence[bytes] = (),
    is_xonly: Sequence[bool] = (),
    label: str = "nonces",
) -> Signing:
    """Start a session: every signer makes a nonce, the coordinator aggregates."""
    rand = stream(label)
    nonces = [signing.nonce_gen(next(rand), group.secshare(i), None, None, msg) for i in ids]
    pubnonces = [pubnonce for _, pubnonce in nonces]
    coordinator = signing.SigningCoordinator(group.signers(ids), pubnonces, msg, tweaks, is_xonly)
    return Signing(group, list(ids), [secnonce for secnonce, _ in nonces], coordinator)


def taproot(group: Group) -> tuple[bytes, bytes]:
    """The BIP341 tweak of a group's key without scripts, and the x-only output key."""
    internal = signing.TweakContext.init(group.thresh_pk)
    tweak = tagged_hash("TapTweak", internal.get_xonly_pubkey())
    return tweak, internal.apply(tweak, is_xonly=True).get_xonly_pubkey()
