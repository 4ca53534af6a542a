"""What a member is told: scores, ranks, the best, limits, reasons; and defined answers where there is nothing."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overlay.meritrank import Decay, FeedbackGraph, InvalidDecay, Rank, Reputation, ReputationError, Score
from overlay.meritrank.dominance import dominated, intermediaries
from overlay.meritrank.exact import dominated as exactly_dominated
from overlay.meritrank.exact import scores as exact_scores
from overlay.meritrank.explain import _without_loops
from overlay.meritrank.scores import SURE_VISITS, score_of, wilson
from overlay.meritrank.walks import MAX_WALKS

FARMER, BAKER, MECHANIC, CARPENTER, STRANGER = b"farmer", b"baker", b"mechanic", b"carpenter", b"stranger"


def village() -> FeedbackGraph:
    """The farmer knows the baker (3) and the mechanic (1), the baker the mechanic (2), and he the carpenter."""
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 3, b"bread")
    graph.record(FARMER, MECHANIC, 1, b"tractor")
    graph.record(BAKER, MECHANIC, 2, b"oven")
    graph.record(MECHANIC, CARPENTER, 1, b"bench")
    return graph


def random_graph(random: np.random.Generator, members: int, edges: int) -> FeedbackGraph:
    graph = FeedbackGraph()
    for number in range(edges):
        receiver, provider = random.choice(members, 2, replace=False).tolist()
        graph.record(b"%03d" % receiver, b"%03d" % provider, int(random.integers(1, 9)), b"block %d" % number)
    return graph


def test_a_score_is_the_probability_that_a_walk_comes_by() -> None:
    reputation = Reputation(village(), FARMER, b"seed")
    score = reputation.score(MECHANIC)
    exact = 0.85 * (0.25 + 0.75 * 0.85)
    assert score.low < score.value < score.high
    assert score.low <= exact <= score.high
    assert score.high - score.low < 0.02
    assert reputation.score(FARMER) == Score(1.0, reputation.score(FARMER).low, 1.0)


def test_a_stranger_has_score_zero_with_an_honest_upper_end() -> None:
    reputation = Reputation(village(), FARMER, b"seed")
    score = reputation.score(STRANGER)
    assert (score.value, score.low) == (0.0, 0.0)
    assert 0 < score.high < 4e-4
    assert reputation.limit(STRANGER) == 0


@pytest.mark.parametrize("graph", [FeedbackGraph(), village()], ids=["empty graph", "graph without the viewer"])
def test_a_viewer_without_feedback_has_defined_answers(graph: FeedbackGraph) -> None:
    reputation = Reputation(graph, STRANGER, b"seed")
    assert reputation.scores() == {}
    assert reputation.top(5) == []
    assert reputation.score(BAKER).value == 0.0
    assert reputation.rank(BAKER) == Rank(1, 0, 0)
    assert reputation.limit(BAKER) == 0
    assert reputation.through(BAKER) == []
    explanation = reputation.why(BAKER)
    assert (explanation.paths, explanation.without, explanation.score.value) == ([], [], 0.0)
    assert reputation.score(STRANGER).value == 1.0


def test_a_viewer_that_gets_its_first_feedback_sees_scores_at_once() -> None:
    graph = village()
    reputation = Reputation(graph, STRANGER, b"seed")
    graph.record(STRANGER, FARMER, 1, b"first")
    assert reputation.score(FARMER).value == pytest.approx(0.85, abs=0.02)
    assert reputation.score(CARPENTER, beta=0.0).value > 0.3
    graph.forget(b"first")
    assert reputation.scores() == {}


def test_an_isolated_member_is_a_stranger_to_all() -> None:
    graph = village()
    graph.put(FARMER, STRANGER, 1)
    reputation = Reputation(graph, FARMER, b"seed")
    assert reputation.score(STRANGER).value > 0
    graph.put(FARMER, STRANGER, 0)
    assert reputation.score(STRANGER).value == 0
    assert STRANGER not in reputation.scores()


@pytest.mark.parametrize(
    ("name", "values"),
    [("alpha", (0.0, 0.009, 0.991, 1.0)), ("beta", (-0.1, 1.1)), ("gamma", (-0.1, 1.1))],
)
def test_decays_outside_their_range_are_refused(name: str, values: tuple[float, ...]) -> None:
    for value in (*values, math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidDecay) as refused:
            Decay(**{name: value})
        assert refused.value.name == name


def test_decays_at_the_ends_of_their_range_are_accepted() -> None:
    assert Decay(0.01, 0.0, 0.0).gain_bound() == pytest.approx(99)
    assert Decay(0.99, 1.0, 1.0).gain_bound() == 0
    with pytest.raises(InvalidDecay):
        Reputation(village(), FARMER, b"seed", 100).score(BAKER, beta=1.5)


@pytest.mark.parametrize("walks", [0, -1, MAX_WALKS + 1])
def test_a_number_of_walks_out_of_range_is_refused(walks: int) -> None:
    with pytest.raises(ReputationError, match="number of walks"):
        Reputation(village(), FARMER, b"seed", walks)


@pytest.mark.parametrize("alpha", [0.01, 0.15, 0.5, 0.99])
def test_every_alpha_gives_the_exact_scores(alpha: float) -> None:
    graph = random_graph(np.random.Generator(np.random.PCG64(2)), 12, 50)
    reputation = Reputation(graph, b"000", b"seed", 4000, Decay(alpha, 0.0))
    exact = exact_scores(graph.table(), graph.find(b"000"), reputation.decay)
    assert np.all(np.abs(reputation.values() - exact) <= 5 * np.sqrt(np.maximum(exact * (1 - exact), 1e-3) / 4000))


def test_equal_scores_share_a_place() -> None:
    graph = FeedbackGraph()
    for provider in (BAKER, MECHANIC, CARPENTER):
        graph.put(FARMER, provider, 1)
    reputation = Reputation(graph, FARMER, b"seed", walks=1)
    assert len(reputation.scores()) <= 1
    found = {reputation.rank(member) for member in (BAKER, MECHANIC, CARPENTER)}
    one = len(reputation.scores())
    assert found <= {Rank(1, 1, one), Rank(one + 1, 0, one)}
    graph.put(BAKER, MECHANIC, 1)
    many = Reputation(graph, FARMER, b"another", walks=5)
    scores = many.scores()
    for member, score in scores.items():
        better = sum(other > score for other in scores.values())
        equal = sum(other == score for other in scores.values())
        assert many.rank(member) == Rank(better + 1, equal, len(scores))


@settings(max_examples=40, deadline=None)
@example(3824, 6, 0.3)  # 10 visits at 0.7 are as good as 7 visits
@given(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_best_are_those_of_a_full_sort_through_edits(seed: int, number: int, beta: float) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    graph = random_graph(random, 15, 30)
    reputation = Reputation(graph, b"000", b"seed", 60, Decay(0.2, beta))
    for _ in range(4):
        scores = reputation.scores()
        sort = sorted(scores, key=lambda member: (-scores[member], member))[:number]
        best = reputation.top(number)
        assert [member for member, _ in best] == sort
        assert all(score.value == scores[member] for member, score in best)
        receiver, provider = random.choice(20, 2, replace=False).tolist()
        graph.put(b"%03d" % receiver, b"%03d" % provider, int(random.integers(0, 9)))


def test_scores_with_connectivity_decay_agree_with_exact_domination() -> None:
    random = np.random.Generator(np.random.PCG64(8))
    for _ in range(10):
        graph = random_graph(random, 12, 18)
        decay = Decay(0.15, 0.4)
        reputation = Reputation(graph, b"000", b"seed", 20_000, decay)
        ego = graph.find(b"000")
        walks = reputation.walks()
        # A path that no walk took can only be missed where hardly any walk comes by.
        seen = walks.hits >= 200
        exact = exactly_dominated(graph.table(), ego)
        assert np.array_equal(dominated(walks, ego)[seen], exact[seen])
        values = exact_scores(graph.table(), ego, decay)[seen]
        error = 5 * np.sqrt(np.maximum(values * (1 - values), 1e-4) / walks.count)
        assert np.all(np.abs(reputation.values()[seen] - values) <= error)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_domination_of_one_and_of_all_agree(seed: int) -> None:
    graph = random_graph(np.random.Generator(np.random.PCG64(seed)), 15, 25)
    reputation = Reputation(graph, b"000", b"seed", 50)
    walks, ego = reputation.walks(), graph.find(b"000")
    together = dominated(walks, ego)
    for node in range(1, len(graph) + 1):
        assert bool(intermediaries(walks, node, ego)) == bool(together[node])


def test_connectivity_decay_applies_to_whom_one_knows_through_one_person_only() -> None:
    graph = village()
    reputation = Reputation(graph, FARMER, b"seed", decay=Decay(0.15, 0.5))
    assert reputation.through(CARPENTER) == [MECHANIC]
    assert reputation.through(MECHANIC) == []
    assert reputation.score(CARPENTER).value == reputation.score(CARPENTER, beta=0.0).value / 2
    assert reputation.score(MECHANIC) == reputation.score(MECHANIC, beta=0.0)
    graph.record(BAKER, CARPENTER, 5, b"door")
    assert reputation.through(CARPENTER) == []


def test_an_intermediary_on_few_walks_may_be_chance_and_the_interval_says_so() -> None:
    few, many = score_of(SURE_VISITS - 1, 10_000, 0.5), score_of(SURE_VISITS, 10_000, 0.5)
    assert few.high == wilson(SURE_VISITS - 1, 10_000)[1]
    assert many.high == wilson(SURE_VISITS, 10_000)[1] / 2
    assert few.value == (SURE_VISITS - 1) / 20_000
    assert 0.86**SURE_VISITS < 0.05


def test_why_names_paths_and_the_blocks_behind_them() -> None:
    explanation = Reputation(village(), FARMER, b"seed").why(MECHANIC)
    first, second = explanation.paths
    assert first.nodes == [FARMER, BAKER, MECHANIC]
    assert [edge.blocks for edge in first.edges] == [[(b"bread", 3)], [(b"oven", 2)]]
    assert [(edge.receiver, edge.provider, edge.weight) for edge in first.edges] == [
        (FARMER, BAKER, 3),
        (BAKER, MECHANIC, 2),
    ]
    assert second.nodes == [FARMER, MECHANIC]
    assert first.share + second.share == pytest.approx(1.0)
    assert first.share == pytest.approx(0.75 * 0.85 / (0.75 * 0.85 + 0.25), abs=0.03)


def test_paths_leave_out_detours() -> None:
    assert _without_loops([1, 2, 3, 2, 4, 1, 5]) == (1, 5)
    assert _without_loops([1, 2, 3, 2, 4]) == (1, 2, 4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5]))
def test_the_score_without_an_exchange_is_that_of_the_graph_without_it(seed: int, beta: float) -> None:
    graph = random_graph(np.random.Generator(np.random.PCG64(seed)), 8, 25)
    decay = Decay(0.15, beta)
    reputation = Reputation(graph, b"000", b"seed", 20_000, decay)
    best = reputation.top(1)
    if not best:
        return
    target = best[0][0]
    for said in reputation.why(target).without:
        graph.forget(said.block_hash)
        exact = exact_scores(graph.table(), graph.find(b"000"), decay)[graph.find(target)]
        graph.record(said.receiver, said.provider, said.weight, said.block_hash)
        width = max(said.score.high - said.score.low, 0.01)
        # Three times the 95 % interval; domination may differ where hardly any walk goes round.
        assert abs(said.score.value - exact) <= 1.5 * width or beta


def test_without_the_only_exchange_nothing_is_left() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 3, b"bread")
    graph.record(BAKER, MECHANIC, 3, b"oven")
    without = Reputation(graph, FARMER, b"seed").why(MECHANIC).without
    assert {(said.block_hash, said.score.value) for said in without} == {(b"bread", 0.0), (b"oven", 0.0)}


def test_a_limit_is_the_low_end_of_the_score_times_what_was_received() -> None:
    reputation = Reputation(village(), FARMER, b"seed")
    low = reputation.score(BAKER).low
    assert reputation.limit(BAKER, stake=1_000_000) == int(low * 1_000_000)
    assert reputation.limit(BAKER) == int(low * 4)
    assert reputation.limit(FARMER) == 0


def test_old_feedback_counts_less_when_asked_to() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 1, b"old", epoch=0)
    graph.record(FARMER, MECHANIC, 1, b"new", epoch=3)
    ageing = Reputation(graph, FARMER, b"seed", decay=Decay(gamma=0.5), epoch=3)
    assert ageing.score(MECHANIC).value == pytest.approx(0.85 * 8 / 9, abs=0.02)
    assert Reputation(graph, FARMER, b"seed").score(MECHANIC).value == pytest.approx(0.425, abs=0.03)
    graph.record(FARMER, BAKER, 1, b"newer", epoch=3)
    assert ageing.score(MECHANIC).value == pytest.approx(0.85 * 8 / 17, abs=0.03)
    ageing.advance(1000)
    assert ageing.scores() == {}
    assert ageing.why(BAKER).paths == []


def test_why_with_ageing_weighs_what_is_left_of_a_block() -> None:
    graph = FeedbackGraph()
    graph.record(FARMER, BAKER, 8, b"old", epoch=0)
    graph.record(FARMER, BAKER, 1, b"new", epoch=3)
    graph.record(FARMER, MECHANIC, 1, b"other", epoch=3)
    reputation = Reputation(graph, FARMER, b"seed", decay=Decay(gamma=0.5), epoch=3)
    without = {said.block_hash: said.score.value for said in reputation.why(BAKER).without}
    assert without[b"old"] == pytest.approx(0.85 / 2, abs=0.02)
    assert without[b"new"] == pytest.approx(0.85 / 2, abs=0.02)
    assert reputation.score(BAKER).value == pytest.approx(0.85 * 2 / 3, abs=0.02)


def test_advancing_time_without_ageing_changes_nothing() -> None:
    reputation = Reputation(village(), FARMER, b"seed")
    before = reputation.scores()
    reputation.advance(99)
    assert reputation.scores() == before


def test_several_viewers_share_a_graph() -> None:
    graph = village()
    farmer, baker = Reputation(graph, FARMER, b"seed"), Reputation(graph, BAKER, b"seed")
    graph.forget(b"oven")
    assert baker.scores() == {}
    assert farmer.score(MECHANIC).value == pytest.approx(0.85 / 4, abs=0.02)
    del farmer
    graph.record(BAKER, MECHANIC, 2, b"oven")
    assert baker.score(MECHANIC).value == pytest.approx(0.85, abs=0.02)


def test_wilson_intervals_are_those_of_the_textbook() -> None:
    assert wilson(10, 100) == pytest.approx((0.05522914, 0.17436566))
    assert score_of(0, 10).low == 0.0
    assert score_of(10, 10).high == 1.0


def test_importing_reputation_loads_neither_scipy_nor_a_drawing_library() -> None:
    code = (
        "import sys, overlay.meritrank, overlay.meritrank.exact, overlay.meritrank.picture;"
        "print([name for name in ('scipy', 'PIL', 'matplotlib', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
