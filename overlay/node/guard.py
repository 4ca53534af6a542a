"""Whether this node may sign: its own head is the newest that anyone knows, and its folder is no copy (docs/ledger.md).

Any block of our own key that a peer shows and this folder does not know is proof that the folder is an old copy, or
that another copy of it runs. It closes the pen whenever it comes, before the first signature or long after.
"""

import asyncio
from collections.abc import Callable

from overlay.keys import PublicKey, short
from overlay.network.messages import BadMessage
from overlay.network.network import CallFailed, Network
from overlay.network.sync import Sync
from overlay.node.folder import DataFolder
from overlay.trustchain import blocks
from overlay.trustchain.block import HalfBlock
from overlay.trustchain.ledger import Ledger

# Members whose answer is enough; a commons with fewer others is asked whole.
WITNESSES = 3
# Members asked at once: more than enough, so that silent or lying ones among them do not decide.
ASKED_AT_ONCE = 8
# After a start, members that have an address are given this long to answer.
PATIENCE_SECONDS = 4.0
ASK_AGAIN_SECONDS = 0.25

CHECKING = "this node has just started and is still asking others for its own newest statement; try again in a moment"
RETIRED = (
    "a new key has taken the place of this one: run a node on its data folder, this folder's node signs nothing any"
    " more"
)
STRANGE_PLACE = (
    "this data folder has run in another place before, and nobody has answered yet who could tell whether it is an old"
    " copy. It signs nothing until a member answers, or until it is started with --insist-on-place by somebody who"
    " knows that no other copy runs"
)


class SigningGuard:
    """Asks, and opens or closes the ledger's pen. A node that never signed may sign at once."""

    def __init__(self, ledger: Ledger, folder: DataFolder, *, insist: bool) -> None:
        self._ledger, self._folder, self._insist = ledger, folder, insist
        head = blocks.head(ledger.db, ledger.identity.public_key)
        # What this folder ended with when it started: what peers send since then must not hide that it was behind.
        self._known = head[0] if head else 0
        self.fresh = head is None and folder.place_fits()
        self._answered: set[PublicKey] = set()
        self._is_foreign = False
        # Called with the new refusal, None for none, whenever it changes.
        self.on_verdict: Callable[[str | None], None] = lambda _: None
        ledger.signing_refusal = None if self.fresh else CHECKING

    async def watch(self, network: Network, sync: Sync) -> None:
        """Ask until it is known whether this folder is behind; returns when the pen is open or must stay closed.

        What peers send later is still watched, for as long as `sync` runs.
        """
        sync.watch_own(self._close)
        clock, asked_since = network.clock, network.clock.monotonic()
        while self._ledger.signing_refusal is not None and not self._is_foreign:
            asked = [peer for peer in network.peers() if peer not in self._answered][:ASKED_AT_ONCE]
            await asyncio.gather(*(self._ask(sync, peer) for peer in asked))
            self._judge(sync, is_late=clock.monotonic() - asked_since >= PATIENCE_SECONDS)
            if self._ledger.signing_refusal is not None:
                await clock.sleep(ASK_AGAIN_SECONDS)

    def retire(self) -> None:
        """Another key goes on for ours: close for good."""
        self._is_foreign = True
        self._pronounce(RETIRED)

    def open_alone(self) -> None:
        """A node that belongs to no commons has nobody to ask."""
        if self._is_foreign:
            return
        if self._insist or self.fresh or self._folder.place_fits():
            self._open()
        else:
            self._pronounce(STRANGE_PLACE)

    def _judge(self, sync: Sync, *, is_late: bool) -> None:
        """Open when enough have answered; when it is late, one answer or a place that fits is enough. A restored
        backup is likely to be behind, so that no single member's answer will do for it."""
        if self._is_foreign:
            return
        others = len(sync.members() - {self._ledger.identity.public_key})
        enough = min(WITNESSES, others)
        if is_late and not self._folder.is_restored:
            enough = 1
        if self._answered and len(self._answered) >= enough:
            self._open()
        elif is_late or others == 0:
            self.open_alone()

    async def _ask(self, sync: Sync, peer: PublicKey) -> None:
        """Ask one member for our own blocks at our head and behind; our head itself must be the one we know."""
        try:
            shown = await sync.holds_own(peer, self._known)
        except (CallFailed, BadMessage):
            return
        for block in shown:
            if block.sequence_number >= self._known and not self._is_ours(block) and block.has_valid_signature():
                self._close(block, peer)
                return
        if (self._known or self._folder.is_restored) and not shown and not self._folder.place_fits():
            return  # who knows less of us than an old backup or a copy does cannot tell what came after it
        self._answered.add(peer)
        self._judge(sync, is_late=False)  # a silent member does not hold up what enough others have said

    def _is_ours(self, block: HalfBlock) -> bool:
        return blocks.contains(self._ledger.db, block.hash)

    def _close(self, block: HalfBlock, peer: PublicKey | None = None) -> None:
        """Never open again before the next start: by then this folder has fetched what it lacks, or is stopped."""
        self._is_foreign = True
        who = f"{short(peer)} holds" if peer else "another member holds"
        self._pronounce(
            f"this folder ended at your statement {self._known}, but {who} your statement {block.sequence_number},"
            " which it did not know: the folder is an old copy, or another copy of it runs. Signing on from here would"
            " look like cheating, so this node signs nothing. If no other copy runs, let it catch up with the others,"
            " then start it again."
        )

    def _open(self) -> None:
        if not self._is_foreign:
            self._folder.mark_place()
            self._pronounce(None)

    def _pronounce(self, refusal: str | None) -> None:
        if self._ledger.signing_refusal != refusal:
            self._ledger.signing_refusal = refusal
            self.on_verdict(refusal)
