"""Inventing members brings no more than the bound, and nothing at all to oneself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.meritrank import Decay, FeedbackGraph, Reputation, region_report, sybil_report
from overlay.meritrank.edges import EdgeTable
from overlay.meritrank.exact import dominated, unique_visits
from overlay.meritrank.sybil import ATTACKS, CLIQUE_DEGREE, attacked

ATTACKER = b"attacker"


def honest_graph(seed: int, members: int = 12, edges: int = 30) -> FeedbackGraph:
    """Feedback among members, some of it for the attacker, whose own feedback leads back to them."""
    graph, random = FeedbackGraph(), np.random.Generator(np.random.PCG64(seed))
    for _ in range(edges):
        receiver, provider = random.choice(members, 2, replace=False).tolist()
        graph.put(b"%03d" % receiver, b"%03d" % provider, int(random.integers(1, 9)))
    graph.put(b"000", b"001", 5)
    graph.put(b"001", ATTACKER, 3)
    graph.put(b"002", ATTACKER, 1)
    graph.put(ATTACKER, b"001", 2)
    return graph


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(ATTACKS),
    st.integers(1, 40),
    st.sampled_from([0.05, 0.15, 0.5]),
    st.sampled_from([0.0, 0.3]),
)
def test_sybils_leave_the_attackers_score_alone_and_stay_below_the_bound(
    seed: int, attack: str, sybils: int, alpha: float, beta: float
) -> None:
    """Exactly, by the oracle: in every graph, for every attack."""
    graph = honest_graph(seed)
    before, ego, attacker = graph.table(), graph.find(b"000"), graph.find(ATTACKER)
    after = attacked(before, attacker, attack, sybils)
    own = unique_visits(before, ego, alpha)[attacker]
    scores = unique_visits(after, ego, alpha)
    assert scores[attacker] == pytest.approx(own, abs=1e-12)
    behind = dominated(after, ego)[before.nodes :]
    assert behind.all()
    gain = scores[before.nodes :].sum() * (1 - beta)
    assert gain <= own * Decay(alpha, beta).gain_bound() + 1e-12


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 100)), min_size=1, max_size=60),
)
def test_no_arrangement_of_invented_members_raises_the_attackers_score_or_breaks_the_bound(
    seed: int, said: list[tuple[int, int, int]]
) -> None:
    """Member 0 of the arrangement is the attacker; its duplicates vouch for one another as they like."""
    graph, alpha = honest_graph(seed), 0.15
    own = unique_visits(graph.table(), graph.find(b"000"), alpha)[graph.find(ATTACKER)]
    members = [ATTACKER] + [b"sybil %d" % number for number in range(1, 10)]
    for receiver, provider, weight in said:
        if receiver != provider:
            graph.put(members[receiver], members[provider], weight)
    scores = unique_visits(graph.table(), graph.find(b"000"), alpha)
    assert scores[graph.find(ATTACKER)] <= own + 1e-12
    sybils = [node for member in members[1:] if (node := graph.find(member))]
    assert scores[sybils].sum() <= own * Decay(alpha, 0.0).gain_bound() + 1e-12


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(ATTACKS))
def test_walks_measure_the_gain_that_the_oracle_computes(seed: int, attack: str) -> None:
    graph = honest_graph(seed)
    reputation = Reputation(graph, b"000", b"seed", decay=Decay(0.2, 0.25))
    measured = sybil_report(reputation, ATTACKER, 20).gains[attack]
    after = attacked(graph.table(), graph.find(ATTACKER), attack, 20)
    scores = unique_visits(after, graph.find(b"000"), 0.2)
    exact = scores[graph.table().nodes :].sum() * 0.75 / scores[graph.find(ATTACKER)]
    assert measured == pytest.approx(exact, rel=0.05)


def test_a_report_states_bound_and_gains() -> None:
    reputation = Reputation(honest_graph(1), b"000", b"seed", decay=Decay(0.15, 0.4))
    report = sybil_report(reputation, ATTACKER, 200)
    assert report.bound == pytest.approx(0.85 / 0.15 * 0.6)
    assert set(report.gains) == set(ATTACKS)
    # An attack that reaches the bound in expectation may measure a little above it.
    assert all(0 < gain <= report.bound * 1.03 for gain in report.gains.values())
    assert report.gains["serial"] > 5 * report.gains["parallel"]
    assert report.score == reputation.score(ATTACKER)


def test_a_report_on_a_stranger_is_empty() -> None:
    report = sybil_report(Reputation(honest_graph(1), b"000", b"seed"), b"nobody")
    assert (report.gains, report.score.value) == ({}, 0.0)
    region = region_report(Reputation(honest_graph(1), b"000", b"seed"), [b"nobody"])
    assert (region.held, region.bound, region.entries) == (0.0, 0.0, [])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(ATTACKS), st.sampled_from([0.0, 0.5]))
def test_a_region_holds_no_more_than_its_bound(seed: int, attack: str, beta: float) -> None:
    graph = honest_graph(seed)
    attacker = graph.find(ATTACKER)
    table = attacked(graph.table(), attacker, attack, 10)
    whole = rebuilt(graph, table)
    region = [ATTACKER, *(b"sybil %d" % number for number in range(10))]
    report = region_report(Reputation(whole, b"000", b"seed", decay=Decay(0.15, beta)), region)
    assert report.entries == ([ATTACKER] if report.entered.value else [])
    assert report.held <= report.bound * 1.05 + 1e-3


def rebuilt(graph: FeedbackGraph, table: EdgeTable) -> FeedbackGraph:
    """The graph of an attacked table, with names for the Sybils."""
    names = [graph.key(node) for node in range(len(graph) + 1)]
    names += [b"sybil %d" % number for number in range(table.nodes - len(names))]
    whole = FeedbackGraph()
    for node in range(table.nodes):
        for target, weight in table.row_list(node).items():
            whole.put(names[node], names[target], weight)
    return whole


def test_two_doors_into_a_region_are_both_named() -> None:
    graph = FeedbackGraph()
    for door in (b"door 1", b"door 2"):
        graph.put(b"viewer", door, 1)
        graph.put(door, b"hidden", 1)
    report = region_report(
        Reputation(graph, b"viewer", b"seed", decay=Decay(0.15, 0.5)), [b"door 1", b"door 2", b"hidden"]
    )
    assert report.entries == [b"door 1", b"door 2"]
    assert report.entered.value == pytest.approx(0.85, abs=0.02)
    assert report.bound == pytest.approx(report.entered.value / 0.15)
    assert report.held <= report.bound


def test_a_clique_is_thinned_where_it_would_be_too_large() -> None:
    graph = honest_graph(1)
    attacker, nodes = graph.find(ATTACKER), graph.table().nodes
    small = attacked(graph.table(), attacker, "clique", 20)
    assert all(len(small.row_list(node)) == 20 for node in range(nodes, nodes + 20))
    large = attacked(graph.table(), attacker, "clique", 1000)
    assert all(len(large.row_list(node)) <= CLIQUE_DEGREE for node in range(nodes, nodes + 1000))


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(ValueError, match="serial, parallel, cycle, clique"):
        attacked(honest_graph(1).table(), 1, "bribery", 3)
