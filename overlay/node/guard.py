"""Whether this node may sign: its own head is the newest that anyone knows, and its folder is no copy (DESIGN 3.3)."""

from overlay.network.network import Network
from overlay.network.sync import OWN_HEAD_WITNESSES, Sync
from overlay.node.folder import DataFolder
from overlay.trustchain import blocks
from overlay.trustchain.ledger import Ledger

# After a start, members that have an address are given this long to answer.
PATIENCE_SECONDS = 4.0
ASK_AGAIN_SECONDS = 0.25

CHECKING = "this node has just started and is still asking others for its own newest statement; try again in a moment"
STRANGE_PLACE = (
    "this data folder has run in another place before, and nobody has answered yet who could tell whether it is an old"
    " copy. It signs nothing until a member answers, or until it is started with --insist-on-place by somebody who"
    " knows that no other copy runs"
)


class SigningGuard:
    """Asks, and opens or closes the ledger's pen. A node that never signed may sign at once."""

    def __init__(self, ledger: Ledger, folder: DataFolder, *, insist: bool) -> None:
        self._ledger, self._folder, self._insist = ledger, folder, insist
        self.fresh = blocks.head(ledger.db, ledger.identity.public_key) is None
        ledger.signing_refusal = None if self.fresh else CHECKING

    async def watch(self, network: Network, sync: Sync) -> None:
        """Ask until it is known whether this folder is behind; returns when the pen is open or must stay closed."""
        clock, asked_since = network.clock, network.clock.monotonic()
        while self._ledger.signing_refusal is not None:
            answered, conflict = await sync.own_head(network.peers())
            late = clock.monotonic() - asked_since >= PATIENCE_SECONDS
            if conflict is not None:
                self._ledger.signing_refusal = conflict
                return
            if (
                answered >= OWN_HEAD_WITNESSES
                or (answered and late)
                or (late and (self._insist or self._folder.place_fits()))
            ):
                self._open()
            elif late:
                self._ledger.signing_refusal = STRANGE_PLACE
            await clock.sleep(ASK_AGAIN_SECONDS)

    def open_alone(self) -> None:
        """A node that belongs to no commons has nobody to ask."""
        if self._insist or self.fresh or self._folder.place_fits():
            self._open()
        else:
            self._ledger.signing_refusal = STRANGE_PLACE

    def _open(self) -> None:
        self._folder.mark_place()
        self._ledger.signing_refusal = None
