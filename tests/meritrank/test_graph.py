"""The feedback graph depends on the set of evidence alone."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.meritrank import ConflictingEvidence, FeedbackGraph, InvalidWeight, SelfFeedback
from overlay.meritrank.ageing import AGEING_BITS, factor
from overlay.meritrank.edges import MAX_ROW_TOTAL, fitted
from overlay.meritrank.evidence import MAX_WEIGHT

FARMER, BAKER, MECHANIC, CARPENTER = b"farmer", b"baker", b"mechanic", b"carpenter"
PEOPLE = [FARMER, BAKER, MECHANIC, CARPENTER]

pairs = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)).filter(lambda pair: pair[0] != pair[1])
blocks = st.lists(st.tuples(pairs, st.integers(1, 9)), max_size=30)


def graph_of(evidence: list[tuple[tuple[bytes, bytes], int, bytes]]) -> FeedbackGraph:
    graph = FeedbackGraph()
    for (receiver, provider), weight, block in evidence:
        graph.record(receiver, provider, weight, block)
    return graph


def named(said: list[tuple[tuple[bytes, bytes], int]]) -> list[tuple[tuple[bytes, bytes], int, bytes]]:
    return [(pair, weight, b"block %d" % place) for place, (pair, weight) in enumerate(said)]


@given(blocks, st.randoms(use_true_random=False), st.data())
def test_the_order_of_evidence_and_of_what_is_forgotten_does_not_matter(
    said: list[tuple[tuple[bytes, bytes], int]], order: random.Random, data: st.DataObject
) -> None:
    evidence = named(said)
    forgotten = data.draw(st.sets(st.sampled_from([block for *_, block in evidence]))) if evidence else set()
    first = graph_of(evidence)
    for block in forgotten:
        first.forget(block)
    kept = [one for one in evidence if one[2] not in forgotten]
    order.shuffle(kept)
    second = graph_of(kept + kept)
    assert list(first.edges()) == list(second.edges())
    assert first.digest() == second.digest()


@given(blocks)
def test_an_edge_weighs_what_its_blocks_say_together(said: list[tuple[tuple[bytes, bytes], int]]) -> None:
    graph = graph_of(named(said))
    for receiver, provider, weight in graph.edges():
        evidence = graph.evidence(receiver, provider)
        assert weight == graph.weight(receiver, provider) == sum(part for _, part in evidence)
        assert weight == sum(part for pair, part in said if pair == (receiver, provider))


def test_many_edges_at_once_make_the_same_graph_as_one_by_one() -> None:
    single, bulk = FeedbackGraph(), bulk_graph()
    for receiver, provider, weight in [
        (BAKER, FARMER, 3),
        (FARMER, BAKER, 2),
        (FARMER, MECHANIC, 5),
        (BAKER, FARMER, 4),
    ]:
        single.put(receiver, provider, single.weight(receiver, provider) + weight)
    assert bulk.digest() == single.digest()
    assert list(bulk.edges()) == [(BAKER, FARMER, 7), (FARMER, BAKER, 2), (FARMER, MECHANIC, 5)]


def bulk_graph() -> FeedbackGraph:
    keys = [BAKER, FARMER, MECHANIC]
    receivers, providers = np.array([0, 1, 1, 0], np.int32), np.array([1, 0, 2, 1], np.int32)
    return FeedbackGraph.from_edges(keys, receivers, providers, np.array([3, 2, 5, 4], np.int64))


def test_an_edited_bulk_row_keeps_its_other_edges() -> None:
    graph = bulk_graph()
    graph.put(FARMER, BAKER, 0)
    graph.record(FARMER, CARPENTER, 1, b"block")
    assert list(graph.edges()) == [(BAKER, FARMER, 7), (FARMER, CARPENTER, 1), (FARMER, MECHANIC, 5)]
    assert graph.total(graph.find(FARMER)) == 6


def test_evidence_counts_on_top_of_weight_without_blocks() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 2, b"block")
    graph.put(FARMER, BAKER, 5)
    assert graph.weight(FARMER, BAKER) == 7
    assert graph.forget(b"block")
    assert graph.weight(FARMER, BAKER) == 5
    assert graph.evidence(FARMER, BAKER) == []


def test_recording_a_block_twice_counts_once_and_forgetting_an_unknown_one_is_harmless() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 2, b"block")
    graph.record(FARMER, BAKER, 2, b"block")
    assert graph.weight(FARMER, BAKER) == 2
    assert not graph.forget(b"another")
    assert graph.forget(b"block")
    assert not graph.forget(b"block")
    assert list(graph.edges()) == []


def test_a_block_that_tells_two_stories_is_refused() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 2, b"block")
    with pytest.raises(ConflictingEvidence) as refused:
        graph.record(FARMER, BAKER, 3, b"block")
    assert refused.value.block_hash == b"block"
    assert graph.weight(FARMER, BAKER) == 2


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, -math.inf, 1.5, True, "3", None, MAX_WEIGHT + 1])
def test_a_weight_that_is_no_whole_number_above_zero_is_refused(weight: int) -> None:
    graph = FeedbackGraph()
    with pytest.raises(InvalidWeight, match="is refused"):
        graph.record(FARMER, BAKER, weight, b"block")
    assert list(graph.edges()) == []
    assert not graph.forget(b"block")


def test_the_greatest_weight_is_accepted() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, MAX_WEIGHT, b"block")
    assert graph.weight(FARMER, BAKER) == MAX_WEIGHT


def test_nobody_vouches_for_itself() -> None:
    with pytest.raises(SelfFeedback):
        FeedbackGraph().record(FARMER, FARMER, 1, b"block")
    with pytest.raises(SelfFeedback):
        FeedbackGraph().put(FARMER, FARMER, 1)


def test_rows_of_absurd_weight_are_fitted_as_a_whole_and_nothing_is_refused() -> None:
    graph = FeedbackGraph()
    for number in range(2000):
        graph.record(FARMER, BAKER, MAX_WEIGHT, b"a%d" % number)
    graph.record(FARMER, MECHANIC, 1, b"b")
    assert graph.weight(FARMER, BAKER) == 2000 * MAX_WEIGHT
    table = graph.table()
    weights = table.row_list(graph.find(FARMER))
    assert weights[graph.find(MECHANIC)] == 1
    assert MAX_ROW_TOTAL // 4 < weights[graph.find(BAKER)] <= MAX_ROW_TOTAL


def test_ordinary_rows_are_not_fitted() -> None:
    assert fitted([3, MAX_ROW_TOTAL - 4], MAX_ROW_TOTAL - 1) == [3, MAX_ROW_TOTAL - 4]
    assert fitted([4, MAX_ROW_TOTAL - 4], MAX_ROW_TOTAL) == [2, MAX_ROW_TOTAL // 2 - 2]


def test_feedback_loses_a_share_of_its_weight_with_each_epoch() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 8, b"old", epoch=0)
    graph.record(FARMER, MECHANIC, 8, b"new", epoch=2)
    graph.put(FARMER, CARPENTER, 8)
    row = graph.aged_table(0.5, epoch=2).row_list(graph.find(FARMER))
    whole = 8 << AGEING_BITS
    assert row == {
        graph.find(BAKER): whole // 4,
        graph.find(MECHANIC): whole,
        graph.find(CARPENTER): whole,
    }


def test_feedback_that_is_old_enough_is_forgotten() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 1, b"old", epoch=0)
    assert graph.aged_table(0.5, epoch=AGEING_BITS).row_list(graph.find(FARMER)) == {graph.find(BAKER): 1}
    assert graph.aged_table(0.5, epoch=AGEING_BITS + 1).row_list(graph.find(FARMER)) == {}


def test_ageing_multiplies_and_the_future_does_not_age() -> None:
    assert factor(0.25, 0) == factor(0.25, -3) == factor(0.0, 1000) == 2**30
    assert factor(0.25, 2) == 9 * 2**26
    assert factor(1.0, 1) == 0
