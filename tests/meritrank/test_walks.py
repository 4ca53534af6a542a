"""Walks have the distribution that the exact scores say, before and after any edits."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.meritrank import Decay, FeedbackGraph, Reputation
from overlay.meritrank.arrays import group_by_node, ranges
from overlay.meritrank.chance import Draws, derive
from overlay.meritrank.coupling import ChangedRow, thinned
from overlay.meritrank.edges import EdgeTable
from overlay.meritrank.exact import scores, total_visits, unique_visits
from overlay.meritrank.transitions import Transitions
from overlay.meritrank.walks import lengths, survival

Edit = tuple[int, int, int]
MEMBERS = 8
WALKS = 2_000
# Each of some 10^5 comparisons may be off by five standard errors with probability 6e-7.
DEVIATIONS = 5.0
# Walks are tested without connectivity decay, which is a matter of its own.
PLAIN = Decay(0.15, 0.0)

edit = st.tuples(st.integers(0, MEMBERS - 1), st.integers(0, MEMBERS - 1), st.integers(0, 6)).filter(
    lambda one: one[0] != one[1]
)


def name(member: int) -> bytes:
    return b"member %02d" % member


def put(graph: FeedbackGraph, edits: list[Edit]) -> None:
    for receiver, provider, weight in edits:
        graph.put(name(receiver), name(provider), weight)


def assert_close_to_exact(reputation: Reputation) -> None:
    graph = reputation.graph
    exact = scores(graph.table(), graph.find(reputation.ego), reputation.decay)
    found = reputation.values()
    error = np.sqrt(np.maximum(exact * (1 - exact), 1 / reputation.count) / reputation.count)
    assert np.all(np.abs(found - exact) <= DEVIATIONS * error)


def assert_whole(reputation: Reputation) -> None:
    """Every step follows an edge, the sink is left by none, and counts, flags and index tell what the walks do."""
    walks, graph = reputation.walks(), reputation.graph
    firsts: dict[int, set[int]] = {}
    for walk in range(walks.count):
        path = walks.at[walks.first[walk] : walks.first[walk + 1]].tolist()
        assert path[0] == graph.find(reputation.ego)
        for here, after in pairwise(path):
            assert after in graph.row(here) if graph.row(here) else after == 0
        for place, node in enumerate(path):
            assert walks.fresh[walks.first[walk] + place] == (node not in path[:place])
            if node:
                firsts.setdefault(node, set()).add(walk)
    assert {node: int(hits) for node, hits in enumerate(walks.hits) if hits} == {
        node: len(found) for node, found in firsts.items()
    }
    for node in firsts:
        assert walks.visits(node).tolist() == np.flatnonzero(walks.at == node).tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(edit, min_size=1, max_size=4), max_size=25), st.integers(0, 2**32))
def test_any_sequence_of_edits_gives_the_scores_of_recomputation(batches: list[list[Edit]], seed: int) -> None:
    graph = FeedbackGraph()
    reputation = Reputation(graph, name(0), seed.to_bytes(5, "big"), WALKS, PLAIN)
    for edits in batches:
        put(graph, edits)
        reputation.refresh()
    assert_close_to_exact(reputation)


@settings(max_examples=60, deadline=None)
@given(st.lists(edit, max_size=40), st.integers(0, 2**32), st.sampled_from([5, 30, 200]))
def test_counts_flags_and_index_stay_whole_through_edits(edits: list[Edit], seed: int, walks: int) -> None:
    """Few walks are repaired one by one, many abreast."""
    graph = FeedbackGraph()
    reputation = Reputation(graph, name(0), seed.to_bytes(5, "big"), walks)
    for one in edits:
        put(graph, [one])
        reputation.refresh()
    assert_whole(reputation)


@settings(max_examples=40, deadline=None)
@given(st.lists(edit, max_size=40), st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_scores_computed_afresh_are_equal_bit_for_bit_whatever_the_order(
    edits: list[Edit], order: object, seed: int
) -> None:
    edited = FeedbackGraph()
    reputation = Reputation(edited, name(0), seed.to_bytes(5, "big"), WALKS, PLAIN)
    put(edited, edits)
    reputation.refresh()
    reputation.afresh()
    again = FeedbackGraph()
    final = [(receiver, provider, weight) for receiver, provider, weight in edited.edges()]
    order.shuffle(final)  # type: ignore[attr-defined]
    for receiver, provider, weight in final:
        again.put(receiver, provider, weight)
    assert Reputation(again, name(0), seed.to_bytes(5, "big"), WALKS, PLAIN).scores() == reputation.scores()


def test_the_same_edits_and_questions_give_the_same_scores_bit_for_bit() -> None:
    def run() -> list[dict[bytes, float]]:
        graph, random = FeedbackGraph(), np.random.Generator(np.random.PCG64(4))
        reputation = Reputation(graph, name(0), b"seed", WALKS)
        found = []
        for _ in range(100):
            receiver, provider = random.choice(MEMBERS, 2, replace=False).tolist()
            put(graph, [(receiver, provider, int(random.integers(0, 9)))])
            found.append(reputation.scores())
        return found

    assert run() == run()


def test_another_seed_or_viewer_gives_other_walks() -> None:
    graph = FeedbackGraph()
    put(graph, [(a, b, 1) for a in range(MEMBERS) for b in range(MEMBERS) if a != b])
    first = Reputation(graph, name(0), b"seed", WALKS).scores()
    assert first != Reputation(graph, name(0), b"another seed", WALKS).scores()
    assert first[name(2)] != Reputation(graph, name(1), b"seed", WALKS).scores()[name(2)]


def random_edit(random: np.random.Generator, members: int) -> Edit:
    """Half of the edits are at the viewer; a third removes."""
    receiver, provider = random.choice(members, 2, replace=False).tolist()
    if random.random() < 0.5:
        receiver, provider = 0, int(random.integers(1, members))
    return receiver, provider, int(max(0, random.integers(-10, 20)))


def test_thousands_of_edits_leave_no_bias() -> None:
    """The mean over many independent seeds is compared with the exact score, to 2.5e-3 or better."""
    random = np.random.Generator(np.random.PCG64(7))
    graph, members, viewers = FeedbackGraph(), 12, 20
    put(graph, [random_edit(random, members) for _ in range(60)])
    reputations = [Reputation(graph, name(0), b"seed %d" % viewer, WALKS, PLAIN) for viewer in range(viewers)]
    for number in range(1500):
        put(graph, [random_edit(random, members)])
        if number % 4 == 0 or number > 1480:
            for reputation in reputations[number % 10 :: 10]:
                reputation.refresh()
    mean = np.mean([reputation.values() for reputation in reputations], axis=0)
    exact = scores(graph.table(), graph.find(name(0)), reputations[0].decay)
    error = np.sqrt(np.maximum(exact * (1 - exact), 1e-6) / (WALKS * viewers))
    assert np.all(np.abs(mean - exact) <= DEVIATIONS * error)


def test_repair_in_a_graph_of_thousands_of_edges_stays_exact() -> None:
    """Large rows and many walks take the array paths: gaps, walking abreast, a full tail and scanning."""
    random = np.random.Generator(np.random.PCG64(9))
    graph, members = FeedbackGraph(), 300
    put(graph, [random_edit(random, members) for _ in range(3000)])
    reputation = Reputation(graph, name(0), b"seed", 10_000, PLAIN)
    for _ in range(600):
        put(graph, [random_edit(random, members)])
        reputation.refresh()
    assert_close_to_exact(reputation)
    hits = reputation.walks().hits.copy()
    reputation.walks().index(len(hits))
    assert np.array_equal(reputation.walks().hits, hits)


def test_the_confidence_interval_holds_the_exact_score_nineteen_times_in_twenty() -> None:
    graph, random = FeedbackGraph(), np.random.Generator(np.random.PCG64(5))
    put(graph, [random_edit(random, 10) for _ in range(60)])
    exact = scores(graph.table(), graph.find(name(0)), PLAIN)
    held = total = 0
    for seed in range(200):
        reputation = Reputation(graph, name(0), b"seed %d" % seed, 500, PLAIN)
        for member in range(1, 10):
            score, truth = reputation.score(name(member)), exact[graph.find(name(member))]
            held += score.low <= truth <= score.high
            total += 1
    assert 0.93 <= held / total <= 0.975


def test_weights_beyond_64_bits_do_not_break_walks() -> None:
    graph = FeedbackGraph()
    for number in range(1500):
        graph.record(name(0), name(1), 2**53, b"%d" % number)
    graph.record(name(0), name(2), 1, b"light")
    graph.record(name(1), name(2), 2**53, b"heavy")
    reputation = Reputation(graph, name(0), b"seed", decay=PLAIN)
    assert reputation.score(name(1)).value == pytest.approx(0.85, abs=0.02)
    graph.record(name(2), name(3), 2**53, b"another")
    graph.record(name(0), name(3), 2**53, b"one more")
    assert reputation.score(name(3)).value == pytest.approx(0.85**3, abs=0.02)


def test_walk_lengths_are_geometric_and_descend() -> None:
    steps = lengths(0.15, Draws(derive(b"test")).take(100_000))
    assert np.all(np.diff(steps) <= 0)
    for k in range(1, 20):
        share = 0.85**k
        assert abs(np.mean(steps >= k) - share) < DEVIATIONS * math.sqrt(share * (1 - share) / 100_000)
    assert survival(0.01)[-2] >= 2.0**-53 > survival(0.01)[-1]


def test_a_step_follows_the_weights_even_where_thousands_are_light_and_one_is_heavy() -> None:
    count = 5000
    targets = np.arange(2, count + 2, dtype=np.int32)
    weights = np.ones(count, np.int64)
    weights[-1] = 10**9
    table = EdgeTable.build(count + 2, np.ones(count, np.int32), targets, weights)
    transitions = Transitions(table, FeedbackGraph())
    numbers = Draws(derive(b"test")).take(20_000)
    cumulative = np.cumsum(weights) / weights.sum()
    expected = targets[np.searchsorted(cumulative, numbers, side="right")]
    ones = np.ones(len(numbers), np.int32)
    assert np.array_equal(transitions.step(ones, numbers), expected)
    small = numbers * 1e-5
    assert np.array_equal(transitions.step(ones, small), targets[np.searchsorted(cumulative, small, side="right")])
    assert [transitions.follow(1, [number])[0] for number in small[:200].tolist()] == targets[
        np.searchsorted(cumulative, small[:200], side="right")
    ].tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(6, 30), st.integers(1, 50)), max_size=60),
    st.lists(st.tuples(st.integers(1, 5), st.integers(6, 30), st.integers(0, 50)), max_size=60),
)
def test_an_edited_row_draws_what_a_compiled_one_draws(
    edges: list[tuple[int, int, int]], edits: list[tuple[int, int, int]]
) -> None:
    rows: dict[int, dict[int, int]] = {node: {} for node in range(1, 6)}
    for source, target, weight in edges:
        rows[source][target] = weight
    flat = [(s, t, w) for s, row in rows.items() for t, w in row.items()]
    columns = np.array(flat, np.int64).reshape(-1, 3)
    table = EdgeTable.build(31, columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32), columns[:, 2])
    transitions = Transitions(table, FeedbackGraph())
    for source, target, weight in edits:
        transitions.change(source, {target: weight})
        rows[source].pop(target, None)
        if weight:
            rows[source][target] = weight
    numbers = (np.arange(4000) + 0.5) / 4000
    for source, row in rows.items():
        drawn = np.bincount(transitions.step(np.full(4000, source, np.int32), numbers), minlength=31)
        total = sum(row.values())
        expected = {target: 4000 * weight / total for target, weight in row.items()} or {0: 4000.0}
        assert set(np.flatnonzero(drawn).tolist()) <= set(expected)
        assert all(abs(drawn[target] - share) <= 1.0 + 1e-6 for target, share in expected.items())


def test_maximal_coupling_moves_no_more_steps_than_it_must() -> None:
    """From (2, 3, 5) to (2, 3, 0): only steps along the lost edge go elsewhere, in proportion to what is left."""
    row = ChangedRow({9: 5}, {7: 2, 8: 3}, 5)
    assert (row.leaving(), row.leaving_to(9)) == (0.0, 1.0)
    assert (row.gains()[0].tolist(), row.gain_of_rest()) == ([], 25.0)
    later = iter([[7, 8, 9], [8]])
    chosen = row.choose(3, Draws(1), lambda count: np.array(next(later), np.int32))
    assert chosen.tolist() == [7, 8, 8]
    grown = ChangedRow({9: 0}, {7: 2, 8: 3, 9: 5}, 10)
    assert (grown.leaving(), grown.leaving_to(9)) == (0.5, 1.0)
    assert (grown.gains()[0].tolist(), grown.gain_of_rest()) == ([9], 0.0)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.19, 0.5, 1.0])
@pytest.mark.parametrize("count", [0, 1, 30, 33, 20_000])
def test_thinning_keeps_each_with_the_same_probability(count: int, share: float) -> None:
    draws, chosen = Draws(derive(b"test")), np.zeros(max(count, 1))
    rounds = 50
    for _ in range(rounds):
        places = thinned(count, share, draws)
        assert np.all(np.diff(places) > 0)
        chosen[places] += 1
    expected = rounds * count * share
    assert abs(chosen.sum() - expected) <= DEVIATIONS * math.sqrt(expected * (1 - share)) + 1e-9


def test_draws_resume_at_any_place() -> None:
    whole = Draws(5).take(10_000).tolist()
    for position in (0, 1, 4095, 4096, 4097, 9000):
        resumed = Draws(5, position)
        assert resumed.position == position
        assert resumed.take(7).tolist() + resumed.few(5) == whole[position : position + 12]
        assert resumed.position == position + 12


def test_exact_scores_agree_with_the_inverse_matrix() -> None:
    graph, random = FeedbackGraph(), np.random.Generator(np.random.PCG64(3))
    put(graph, [random_edit(random, 9) for _ in range(40)])
    table, alpha, ego = graph.table(), 0.2, graph.find(name(0))
    steps = np.zeros((table.nodes, table.nodes))
    for node in range(table.nodes):
        row = table.row_list(node)
        steps[node, list(row)] = np.array(list(row.values())) / max(1, sum(row.values()))
    inverse = np.linalg.inv(np.eye(table.nodes) - (1 - alpha) * steps)
    assert np.allclose(total_visits(table, ego, alpha), inverse[ego], atol=1e-12)
    assert np.allclose(unique_visits(table, ego, alpha, batch=3), inverse[ego] / np.diag(inverse), atol=1e-12)


def test_grouping_and_ranges_agree_with_their_plain_meaning() -> None:
    nodes = np.random.Generator(np.random.PCG64(1)).integers(0, 200_000, 5000).astype(np.int32)
    assert np.array_equal(group_by_node(nodes, 200_000), np.argsort(nodes, kind="stable"))
    small = nodes % 1000
    assert np.array_equal(group_by_node(small, 1000), np.argsort(small, kind="stable"))
    assert ranges(np.array([5, 0, 9]), np.array([2, 1, 3])).tolist() == [5, 6, 0, 9, 10, 11]
    assert ranges(np.array([], np.int64), np.array([], np.int64)).tolist() == []


def test_a_row_that_comes_and_goes_takes_no_more_room_each_time() -> None:
    graph = FeedbackGraph()
    put(graph, [(0, 1, 1), (1, 2, 1)])
    transitions = Transitions(graph.table(), graph)
    sizes = set()
    for weight in [3, 0] * 20:
        transitions.change(graph.find(name(1)), {graph.find(name(2)): weight})
        sizes.add(transitions.used)
    assert len(sizes) == 1


def test_a_row_whose_absurd_evidence_is_forgotten_is_drawn_from_as_before() -> None:
    graph = FeedbackGraph()
    for number in range(3):
        graph.record(name(0), name(number + 1), 1, b"%d" % number)
    reputation = Reputation(graph, name(0), b"seed", decay=PLAIN)
    graph.record(name(0), name(1), 2**90, b"absurd")
    assert reputation.score(name(1)).value == pytest.approx(0.85, abs=0.02)
    graph.forget(b"absurd")
    graph.record(name(0), name(4), 1, b"another")
    assert_close_to_exact(reputation)
    assert reputation.score(name(4)).value == pytest.approx(0.85 / 4, abs=0.02)
