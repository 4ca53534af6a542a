"""The feedback graph: an edge from the receiver to the provider for what was delivered, and the blocks behind it.

All arithmetic is in integers, so the graph depends only on the set of evidence and never on the order in which
it came. Rows live in flat arrays until they are first edited, and in dictionaries from then on.
"""

import hashlib
import weakref
from collections.abc import Iterator

import numpy as np

from overlay.meritrank.ageing import AGEING_BITS, aged
from overlay.meritrank.arrays import Longs, Nodes
from overlay.meritrank.edges import MAX_ROW_TOTAL, EdgeTable, empty_table, fitted
from overlay.meritrank.errors import ConflictingEvidence, InvalidWeight, SelfFeedback
from overlay.meritrank.evidence import SINK, Changes, Evidence, checked_weight


class FeedbackGraph:
    """Who received how much from whom. Members are any bytes; inside they are numbered from 1."""

    def __init__(self) -> None:
        self._keys: list[bytes] = [b""]
        self._ids: dict[bytes, int] = {}
        self._base = empty_table()
        self._rows: dict[int, dict[int, int]] = {}
        self._totals: dict[int, int] = {}
        self._blocks: dict[bytes, Evidence] = {}
        self._behind: dict[tuple[int, int], set[bytes]] = {}
        self._watchers: list[weakref.ref[Changes]] = []
        self._table: EdgeTable | None = None

    @classmethod
    def from_edges(cls, keys: list[bytes], receivers: Nodes, providers: Nodes, weights: Longs) -> "FeedbackGraph":
        """Many edges at once, with no block behind them; repeated edges add up.

        keys: distinct members in ascending order; receivers, providers: places in `keys`; weights: at least 1.
        Raises InvalidWeight and SelfFeedback.
        """
        graph = cls()
        graph._keys += keys
        graph._ids = {key: place for place, key in enumerate(keys, 1)}
        if len(weights) and int(weights.min()) < 1:
            raise InvalidWeight(int(weights.min()), "a weight is at least 1; nothing lowers another's score")
        if (own := np.flatnonzero(receivers == providers)).size:
            raise SelfFeedback(keys[int(receivers[own[0]])])
        graph._base = EdgeTable.build(len(keys) + 1, receivers + np.int32(1), providers + np.int32(1), weights)
        graph._table = graph._base
        graph._check_totals()
        return graph

    def _check_totals(self) -> None:
        sums = np.add.reduceat(np.append(self._base.weights, 0).astype(np.float64), self._base.starts[:-1])
        if len(self._base.weights) and float(sums.max()) > MAX_ROW_TOTAL:
            raise InvalidWeight(int(sums.max()), f"one receiver's feedback is at most {MAX_ROW_TOTAL} in all")

    # Members

    def __contains__(self, member: bytes) -> bool:
        return member in self._ids

    def __len__(self) -> int:
        """The number of members that were ever named."""
        return len(self._ids)

    def node(self, member: bytes) -> int:
        """The number of `member`, which is given one when it is new."""
        node = self._ids.get(member)
        if node is None:
            node = self._ids[member] = len(self._keys)
            self._keys.append(bytes(member))
            self._table = None
        return node

    def find(self, member: bytes) -> int:
        """The number of `member`, or 0 (the sink) when it is unknown."""
        return self._ids.get(member, SINK)

    def key(self, node: int) -> bytes:
        """The member behind a number."""
        return self._keys[node]

    # Evidence

    def record(self, receiver: bytes, provider: bytes, weight: int, block_hash: bytes, epoch: int = 0) -> None:
        """Count a block: `receiver` says that it got `weight` from `provider`. Recording a block again is harmless.

        Raises InvalidWeight, SelfFeedback, or ConflictingEvidence when the block was recorded with other contents.
        """
        checked_weight(weight, 1)
        if receiver == provider:
            raise SelfFeedback(receiver)
        said = Evidence(self.node(receiver), self.node(provider), weight, epoch)
        known = self._blocks.get(block_hash)
        if known is not None:
            if known != said:
                raise ConflictingEvidence(block_hash)
            return
        row = self._row(said.receiver)
        self._assign(said.receiver, said.provider, row.get(said.provider, 0) + weight)
        self._blocks[block_hash] = said
        self._behind.setdefault((said.receiver, said.provider), set()).add(block_hash)

    def forget(self, block_hash: bytes) -> bool:
        """Take a block's weight back, as when its signer is proved to have forked. False when it is not known."""
        said = self._blocks.pop(block_hash, None)
        if said is None:
            return False
        edge = (said.receiver, said.provider)
        self._behind[edge].discard(block_hash)
        if not self._behind[edge]:
            del self._behind[edge]
        self._assign(*edge, self._row(said.receiver)[said.provider] - said.weight)
        return True

    def put(self, receiver: bytes, provider: bytes, weight: int) -> None:
        """Set the weight of an edge that no block stands behind (blocks count on top of it); 0 removes it.

        Raises InvalidWeight and SelfFeedback.
        """
        checked_weight(weight, 0)
        if receiver == provider:
            raise SelfFeedback(receiver)
        edge = (self.node(receiver), self.node(provider))
        behind = self._behind.get(edge)
        self._assign(*edge, weight + (sum(self._blocks[block].weight for block in behind) if behind else 0))

    def _row(self, node: int) -> dict[int, int]:
        row = self._rows.get(node)
        if row is None:
            row = self._rows[node] = self._base.row_list(node)
        return row

    def _assign(self, receiver: int, provider: int, weight: int) -> None:
        row = self._row(receiver)
        before = row.get(provider, 0)
        if weight == before:
            return
        self._totals.pop(receiver, None)
        if weight:
            row[provider] = weight
        else:
            del row[provider]
        self._table = None
        for watcher in self._watchers:
            if (changes := watcher()) is not None:
                changes.note(receiver, provider, before)

    # Reading

    def weight(self, receiver: bytes, provider: bytes) -> int:
        """The weight of an edge, 0 when there is none."""
        return self.row(self.find(receiver)).get(self.find(provider), 0)

    def row(self, node: int) -> dict[int, int]:
        """What `node` received: {provider: weight}. Not to be changed."""
        row = self._rows.get(node)
        return self._base.row_list(node) if row is None else row

    def total(self, node: int) -> int:
        """All that `node` received."""
        total = self._totals.get(node)
        if total is None:
            total = self._totals[node] = sum(self.row(node).values())
        return total

    def row_arrays(self, node: int) -> tuple[Nodes, Longs]:
        """`row` as arrays, in no particular order, fitted to 64 bits (see `fitted`)."""
        row = self._rows.get(node)
        if row is None:
            return self._base.row(node)
        weights = fitted(list(row.values()), self.total(node))
        return np.fromiter(row, np.int32, len(row)), np.array(weights, np.int64)

    def canonical_row(self, node: int) -> tuple[Nodes, Longs]:
        """`row_arrays` in ascending order of the providers' keys."""
        targets, weights = self.row_arrays(node)
        order = sorted(range(len(targets)), key=[self._keys[target] for target in targets.tolist()].__getitem__)
        return targets[order], weights[order]

    def evidence(self, receiver: bytes, provider: bytes) -> list[tuple[bytes, int]]:
        """The blocks behind an edge with the weight of each, heaviest first, then by hash."""
        behind = self._behind.get((self.find(receiver), self.find(provider)), set())
        return sorted(((block, self._blocks[block].weight) for block in behind), key=lambda said: (-said[1], said[0]))

    def said(self, block_hash: bytes) -> Evidence:
        """What a recorded block says; raises KeyError when it is not known."""
        return self._blocks[block_hash]

    def edges(self) -> Iterator[tuple[bytes, bytes, int]]:
        """All edges (receiver, provider, weight) in the canonical order of their keys."""
        table = self.table()
        for source in self.order():
            for target, weight in table.row_list(source).items():
                yield self._keys[source], self._keys[target], weight

    # The canonical form

    def order(self) -> list[int]:
        """All nodes in ascending order of their keys."""
        return sorted(range(1, len(self._keys)), key=self._keys.__getitem__)

    def rank(self) -> Nodes:
        """The place of each node in the order of keys, from 1; the sink is 0."""
        rank = np.zeros(len(self._keys), np.int32)
        rank[self.order()] = np.arange(1, len(self._keys), dtype=np.int32)
        return rank

    def used(self) -> Nodes:
        """The nodes that have an edge, in the order of keys."""
        table = self.table()
        used = np.unique(np.concatenate([table.sources(), table.targets]))
        return used[np.argsort(self.rank().take(used))]

    def table(self) -> EdgeTable:
        """All edges, each row in ascending order of its providers' keys: the same for every order of edits."""
        if self._table is None:
            self._table = self._compiled(self._rows)
        return self._table

    def _compiled(self, rows: dict[int, dict[int, int]]) -> EdgeTable:
        base = self._base
        kept = np.ones(base.nodes, np.bool_)
        kept[[node for node in rows if node < base.nodes]] = False
        sources = base.sources()
        kept = kept.take(sources) if len(sources) else np.empty(0, np.bool_)
        targets = [target for row in rows.values() for target in row]
        weights = [weight for row in rows.values() for weight in fitted(list(row.values()), sum(row.values()))]
        edited = np.repeat(np.fromiter(rows, np.int32, len(rows)), [len(row) for row in rows.values()])
        return EdgeTable.build(
            len(self._keys),
            np.concatenate([sources[kept], edited]),
            np.concatenate([base.targets[kept], np.array(targets, np.int32)]),
            np.concatenate([base.weights[kept], np.array(weights, np.int64)]),
            self.rank(),
        )

    def aged_table(self, gamma: float, epoch: int) -> EdgeTable:
        """The table with each block's weight reduced by its age at `epoch` (see `ageing`); edges may vanish.

        Weight that no block stands behind does not age.
        """
        rows = {
            node: {target: weight << AGEING_BITS for target, weight in row.items()} for node, row in self._rows.items()
        }
        for said in self._blocks.values():
            lost = (said.weight << AGEING_BITS) - aged(said.weight, gamma, epoch - said.epoch)
            rows[said.receiver][said.provider] -= lost
        return self._compiled(
            {node: {target: weight for target, weight in row.items() if weight} for node, row in rows.items()}
        )

    def digest(self) -> bytes:
        """SHA-256 over all edges in canonical order: equal for two graphs exactly when their edges are equal."""
        table, rank, used = self.table(), self.rank(), self.used()
        place = np.zeros(len(self._keys), np.int64)
        place[used] = np.arange(len(used))
        digest = hashlib.sha256(len(used).to_bytes(8, "big"))
        for node in used.tolist():
            digest.update(len(self._keys[node]).to_bytes(4, "big") + self._keys[node])
        rows = np.argsort(rank.take(table.sources()), kind="stable")
        for column in (place.take(table.sources()), place.take(table.targets), table.weights):
            digest.update(column.take(rows).astype(">i8").tobytes())
        return digest.digest()

    # Those who follow

    def watch(self) -> Changes:
        """A note of every edge that changes from now on; it is forgotten when its holder lets go of it."""
        changes = Changes()
        self._watchers = [watcher for watcher in self._watchers if watcher() is not None] + [weakref.ref(changes)]
        return changes
