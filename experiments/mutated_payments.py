"""What a signer does with changed payments: a coordinator swaps payee, amount, fee, coins, change; a PSBT lies.

    python -m experiments.mutated_payments [--count N] [--seed S] [--json]

A group of five members with real ledgers, shares and a regtest chain has decided a payment to one payee and one to
three. N changes of them are made: a third are transactions with one to three fields changed, a third transactions with
a bit turned, a third PSBTs whose transaction or fields lie or whose bytes are damaged. Each is put to a member's
signer: transactions to the very service that coordinators call, PSBTs to the check of handed-about payments, and what
passes it to the signer. A change that leaves what would be signed just as it was decided is made again.

`mutated`: how many were put to the signer. `signed`: to how many it gave anything, were it only a nonce commitment.
`promised`: how many the signer recorded. `refusals`: how often each reason was given.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from overlay.dao.assembly import governance
from overlay.dao.assembly.proposals import Payment
from overlay.dao.bitcoin.psbt_maps import InvalidPsbt
from overlay.dao.funds import handover, policy
from overlay.dao.funds.account import Account
from overlay.dao.funds.policy import Violation
from overlay.dao.keyring.messages import AskCommitments
from overlay.network.messages import encode
from overlay.network.network import Refusal
from overlay.trustchain.block import BlockHash
from overlay.trustchain.statements import FurtherPayee, ProposePayments
from tests.dao.bitcoin.helpers import Purse
from tests.dao.group_town import MINUTE, GroupTown, Member, town
from tests.dao.mutations import flipped, legitimate, mutated, mutated_psbt

COUNT, SEED = 100_000, 20261121
# Sentences of the decoder name sizes and places; so many letters tell the kind.
REASON_LETTERS = 60


class Target:
    """One decided payment, as one member's signer sees it."""

    def __init__(self, town: GroupTown, member: Member, asked: Payment, account: Account) -> None:
        self._town, self._member, self._asked, self._account = town, member, asked, account
        self._original = policy.build(asked, account, 2)
        self._allowed = legitimate(asked, account)
        self._key = member.share(town.id).internal_key
        self._sessions = 0

    async def attack(self, rng: random.Random) -> str | None:
        """Try one change; why it was refused, None when the signer gave anything."""
        while True:
            raw, damaged = self._change(rng)
            if damaged:
                return damaged
            if raw not in self._allowed:
                return await self._put(raw)

    def _change(self, rng: random.Random) -> tuple[bytes, str]:
        """A changed transaction, or an empty one and why a PSBT was refused before it came to its transaction."""
        kind = rng.randrange(3)
        if kind == 0:
            return mutated(self._original.transaction, rng), ""
        if kind == 1:
            return flipped(self._original.raw, rng), ""
        member = self._member
        try:
            told = handover.read(mutated_psbt(self._original, self._key, rng))
            group, now = member.group(self._asked.group), member.clock.now()
            unsigned = handover.judge(member.ledger.db, group, self._asked, told, self._account, member.key, now)
        except (InvalidPsbt, Violation) as refused:
            return b"", str(refused)
        return unsigned.raw, ""

    async def _put(self, raw: bytes) -> str | None:
        self._sessions += 1
        ask = AskCommitments(self._asked.id, self._sessions.to_bytes(16), raw)
        try:
            await self._member.signer.commit(self._town.engineer.key, encode(ask))
        except Refusal as refusal:
            return str(refusal)
        return None


async def to_three(town: GroupTown) -> BlockHash:
    """A payment to three payees that all have counted."""
    key, until = town.engineer.key, town.clock.now() + 10 * MINUTE
    more = tuple(FurtherPayee(key, Purse(role).script, 90_000) for role in ("mason", "carpenter"))
    said = ProposePayments(town.id, "walls", "", key, Purse("welder").script, 500_000, 10_000, until, more)
    proposal = (await town.engineer.ledger.transact(lambda tx: governance.propose_payment(tx, said))).hash
    await town.vote(proposal, farmer="yes", baker="yes", mechanic="yes")
    await town.decide(proposal)
    return proposal


async def attack(count: int, seed: int) -> dict[str, Any]:
    """Put `count` changes to a signer."""
    rng, refusals, signed = random.Random(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with town(Path(folder)) as made:
            await made.found(3, 3)
            await made.generate()
            await made.fund(1_000_000, 700_000)
            decided = [await made.approved(made.engineer), await to_three(made)]
            signer, account = made.baker, await made.baker.account(made.id)
            targets = [Target(made, signer, signer.payment(each), account) for each in decided]
            for number in range(count):
                refused = await targets[number % len(targets)].attack(rng)
                signed += refused is None
                refusals[_kind(refused)] += refused is not None
            promised = sum(len(policy.versions(signer.ledger.db, each)) for each in decided)
    return {
        "mutated": count,
        "signed": signed,
        "promised": promised,
        "refusals": dict(refusals.most_common()),
        "seed": seed,
    }


def _kind(reason: str | None) -> str:
    """What a sentence says, without its numbers."""
    return "".join("n" if letter.isdigit() else letter for letter in reason or "")[:REASON_LETTERS]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    figures = asyncio.run(attack(options.count, options.seed))
    for reason, count in figures["refusals"].items():
        print(f"{count:>8}  {reason}")
    print(f"{figures['mutated']} changed payments, {figures['signed']} signed, {figures['promised']} promised")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
