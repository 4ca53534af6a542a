"""How long threshold signing and key generation take on this machine, per party.

    python -m experiments.frost_speed [--json] [--repeat N]

Each figure is the least of N runs, in milliseconds of one thread. `signer` is everything one signer computes for a
signature from nothing but bytes: nonces, the check of all public shares, the session, its partial signature and the
check of that. `coordinator` is the same for the coordinator: aggregation of nonces, and every partial signature
verified before they are summed and the sum verified. `participant` and `coordinator` of a key generation are all
their steps. With --json the last line is one JSON object.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from overlay.dao.frost import chilldkg, pedpop, rfc9591, signing, vss
from overlay.dao.frost.ed25519 import ED25519

SIGNING = ((3, 5), (67, 100))
KEY_GENERATION = ((3, 5), (26, 50), (67, 100))
ED25519_SIZES = ((3, 5), (11, 20))
MSG = hashlib.sha256(b"a transaction").digest()
T = TypeVar("T")


def stream(label: str) -> Iterator[bytes]:
    """Reproducible bytes in place of randomness: the work is the same."""
    count = 0
    while True:
        yield hashlib.sha256(f"{label} {count}".encode()).digest()
        count += 1


class Timer:
    """Adds up the seconds spent in the calls that go through it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, work: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = work()
        self.seconds += time.perf_counter() - begin
        return result


class Keys(NamedTuple):
    """One key generation: the output of each participant and the time of the parties, in seconds."""

    outputs: list[chilldkg.DKGOutput]
    participant: float
    coordinator: float


def generate(t: int, n: int) -> Keys:
    """Run a key generation; participant 0 is the one whose steps are timed."""
    rand = stream(f"{t} of {n}")
    seckeys = [next(rand) for _ in range(n)]
    params = chilldkg.SessionParams([chilldkg.hostpubkey_gen(key) for key in seckeys], t)
    mine, coordinator, others = Timer(), Timer(), Timer()
    timers = [mine] + [others] * (n - 1)
    begun = [
        timer(lambda key=key: chilldkg.participant_step1(key, params, next(rand)))
        for timer, key in zip(timers, seckeys, strict=True)
    ]
    cstate, cmsg1 = coordinator(lambda: chilldkg.coordinator_step1([pmsg1 for _, pmsg1 in begun], params))
    certified = [
        timer(lambda key=key, state=state: chilldkg.participant_step2(key, state, cmsg1, next(rand)))
        for timer, key, (state, _) in zip(timers, seckeys, begun, strict=True)
    ]
    pmsgs2 = [pmsg2 for _, pmsg2 in certified]
    cmsg2, _, _ = coordinator(lambda: chilldkg.coordinator_finalize(cstate, pmsgs2))
    outputs = [
        timer(lambda state=state: chilldkg.participant_finalize(state, cmsg2))[0]
        for timer, (state, _) in zip(timers, certified, strict=True)
    ]
    return Keys(outputs, mine.seconds, coordinator.seconds)


def deal(t: int, n: int) -> list[chilldkg.DKGOutput]:
    """Shares as a dealer would make them, for sizes whose key generation takes too long to be waited for."""
    polynomial = vss.VSS.generate(MSG, t)
    shares = polynomial.secshares(n)
    key, public = polynomial.secret().point().to_bytes(), [share.point().to_bytes() for share in shares]
    return [chilldkg.DKGOutput(share.to_bytes(), key, public) for share in shares]


def sign(t: int, n: int, outputs: list[chilldkg.DKGOutput]) -> tuple[float, float]:
    """Sign once with the first t of n; seconds of the first signer and of the coordinator."""
    signer, coordinator, _ = sign_together(t, n, outputs)
    return signer, coordinator


def sign_together(t: int, n: int, outputs: list[chilldkg.DKGOutput]) -> tuple[float, float, float]:
    """As `sign`, and the seconds of the other t - 1 signers, who share the coordinator's check of the public shares."""
    rand = stream("signing")
    ids = list(range(t))
    pubshares = [outputs[0].pubshares[i] for i in ids]
    signer, coordinator, others = Timer(), Timer(), Timer()
    timers = [signer] + [others] * (t - 1)

    def signers() -> signing.SignersContext:
        return signing.SignersContext(n, t, ids, pubshares, outputs[0].thresh_pk)

    nonces = [
        timer(lambda i=i: signing.nonce_gen(next(rand), outputs[i].secshare, pubshares[i], None, MSG))
        for timer, i in zip(timers, ids, strict=True)
    ]
    pubnonces = [pubnonce for _, pubnonce in nonces]
    session = coordinator(lambda: signing.SigningCoordinator(signers(), pubnonces, MSG))
    aggnonce = session.session.aggnonce

    def partial(i: int) -> bytes:
        # One shared context for those who are not timed; the timed signer checks all public shares itself.
        context = signers() if i == 0 else session.session.signers
        secshare = outputs[i].secshare
        assert secshare is not None
        return signing.sign(nonces[i][0], secshare, i, signing.SessionContext(context, aggnonce, MSG))

    psigs = [timer(lambda i=i: partial(i)) for timer, i in zip(timers, ids, strict=True)]

    def finish() -> bytes:
        for index, psig in enumerate(psigs):
            session.accept(index, psig)
        return session.signature()

    coordinator(finish)
    return signer.seconds, coordinator.seconds, others.seconds


def generate_ed25519(t: int, n: int) -> tuple[list[pedpop.KeyShare], float]:
    """Run a key generation for Ed25519; the shares, and the seconds of participant 0."""
    rand = stream(f"ed25519 {t} of {n}")
    seckeys = [next(rand) for _ in range(n)]
    params = chilldkg.SessionParams([chilldkg.hostpubkey_gen(key) for key in seckeys], t)
    mine, others = Timer(), Timer()
    timers = [mine] + [others] * (n - 1)
    begun = [
        timer(lambda key=key: pedpop.participant_step1(ED25519, key, params, next(rand)))
        for timer, key in zip(timers, seckeys, strict=True)
    ]
    pmsgs = [pmsg for _, pmsg in begun]
    certified = [
        timer(lambda key=key, state=state: pedpop.participant_step2(ED25519, key, state, pmsgs, next(rand)))
        for timer, key, (state, _) in zip(timers, seckeys, begun, strict=True)
    ]
    sigs = [sig for _, sig in certified]
    shares = [
        timer(lambda state=state: pedpop.participant_finalize(state, sigs))[0]
        for timer, (state, _) in zip(timers, certified, strict=True)
    ]
    return shares, mine.seconds


def sign_ed25519(t: int, shares: list[pedpop.KeyShare]) -> tuple[float, float]:
    """Sign once with the first t; seconds of the first signer and of the coordinator."""
    rand = stream("signing ed25519")
    ids = list(range(t))
    signer, coordinator, others = Timer(), Timer(), Timer()
    timers = [signer] + [others] * (t - 1)
    begun = [
        timer(lambda i=i: rfc9591.commit(ED25519, shares[i].secshare, next(rand) + next(rand)))
        for timer, i in zip(timers, ids, strict=True)
    ]

    def session() -> rfc9591.Session:
        return rfc9591.Session(shares[0].key, ids, [commitment for _, commitment in begun], MSG)

    mine, theirs = signer(session), coordinator(session)
    parts = [
        timer(lambda i=i: rfc9591.sign(begun[i][0], shares[i].secshare, i, mine))
        for timer, i in zip(timers, ids, strict=True)
    ]

    def finish() -> bytes:
        collected = rfc9591.SessionCoordinator(theirs)
        for index, part in enumerate(parts):
            collected.accept(index, part)
        return collected.signature()

    coordinator(finish)
    return signer.seconds, coordinator.seconds


def milliseconds(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """The least of each column."""
    first, second = (round(min(column) * 1000, 2) for column in zip(*runs, strict=True))
    return first, second


def measure(repeat: int) -> dict[str, float]:
    """All figures, in milliseconds, by name."""
    figures: dict[str, float] = {}
    keys: dict[tuple[int, int], Keys] = {}
    for t, n in KEY_GENERATION:
        runs = [generate(t, n) for _ in range(repeat)]
        keys[t, n] = runs[0]
        mine, coordinator = milliseconds([(run.participant, run.coordinator) for run in runs])
        figures[f"dkg_{t}_of_{n}_participant_ms"] = mine
        figures[f"dkg_{t}_of_{n}_coordinator_ms"] = coordinator
    for t, n in SIGNING:
        signer, coordinator = milliseconds([sign(t, n, keys[t, n].outputs) for _ in range(repeat)])
        figures[f"sign_{t}_of_{n}_signer_ms"] = signer
        figures[f"sign_{t}_of_{n}_coordinator_ms"] = coordinator
    return figures | measure_ed25519(repeat)


def measure_ed25519(repeat: int) -> dict[str, float]:
    """The same for the ledger key of a group."""
    figures: dict[str, float] = {}
    for t, n in ED25519_SIZES:
        runs = [generate_ed25519(t, n) for _ in range(repeat)]
        figures[f"ed25519_dkg_{t}_of_{n}_participant_ms"] = round(min(seconds for _, seconds in runs) * 1000, 2)
        signer, coordinator = milliseconds([sign_ed25519(t, runs[0][0]) for _ in range(repeat)])
        figures[f"ed25519_sign_{t}_of_{n}_signer_ms"] = signer
        figures[f"ed25519_sign_{t}_of_{n}_coordinator_ms"] = coordinator
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Time threshold signing and key generation.")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the fastest counts")
    arguments = parser.parse_args()
    figures = measure(arguments.repeat)
    for name, value in figures.items():
        print(f"{name:40} {value:8.2f}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
