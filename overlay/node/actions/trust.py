"""Whom this member trusts, how much, and why: MeritRank's answers."""

from overlay.keys import PublicKey, short
from overlay.meritrank import Explanation, sybil_report
from overlay.meritrank.picture import png, svg
from overlay.node.actions.lookup import find_member, name_of
from overlay.node.actions.registry import query
from overlay.node.node import Node
from overlay.node.wire import (
    AskReport,
    AskTop,
    AskTrust,
    AttackGain,
    Nothing,
    Reason,
    ReasonStep,
    Trust,
    TrustList,
    TrustPicture,
    TrustReport,
    Why,
    WithoutExchange,
)


@query("trust", "show")
def show(node: Node, ask: AskTrust) -> Trust:
    """Show one member's reputation in your eyes, and how much to accept from it provisionally."""
    return _trust(node, find_member(node, ask.member))


@query("trust", "top")
def top(node: Node, ask: AskTop) -> TrustList:
    """Show the members whom you trust most."""
    best = node.home.opinions.reputation.top(ask.count)
    return TrustList(tuple(_trust(node, PublicKey(key)) for key, _ in best))


@query("trust", "why")
def why(node: Node, ask: AskTrust) -> Why:
    """Explain a reputation: the paths of trust, the exchanges behind each step, and each one's worth."""
    key = find_member(node, ask.member)
    explained = node.home.opinions.reputation.why(key)
    return Why(_shown(node, key), explained.score.value, _reasons(node, explained), _without(node, explained))


@query("trust", "report")
def report(node: Node, ask: AskReport) -> TrustReport:
    """Show what a member could gain by inventing others: the bound, and what four attacks would bring."""
    key = find_member(node, ask.member)
    found = sybil_report(node.home.opinions.reputation, key, ask.sybils)
    gains = tuple(AttackGain(attack, gain) for attack, gain in sorted(found.gains.items()))
    return TrustReport(_shown(node, key), found.score.value, found.sybils, found.bound, gains)


@query("trust", "picture")
def picture(node: Node, ask: Nothing) -> TrustPicture:
    """Draw your trust neighbourhood, as SVG and PNG."""
    reputation = node.home.opinions.reputation

    def name(key: bytes) -> str:
        return _shown(node, key)

    return TrustPicture(svg(reputation, name), png(reputation, name))


def _trust(node: Node, key: PublicKey) -> Trust:
    opinions = node.home.opinions
    score, rank = opinions.score(key), opinions.rank(key)
    through = tuple(_shown(node, each) for each in opinions.reputation.through(key))
    return Trust(
        public_key=key.hex(),
        member=_shown(node, key),
        score=score.value,
        low=score.low,
        high=score.high,
        rank=rank.place if score.value > 0 and key != node.identity.public_key else 0,
        tied=rank.tied,
        limit=opinions.limit(key),
        through=through,
    )


def _shown(node: Node, key: bytes) -> str:
    return name_of(node, PublicKey(key)) or short(key)


def _reasons(node: Node, explained: Explanation) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            path.share,
            tuple(
                ReasonStep(
                    _shown(node, edge.receiver),
                    _shown(node, edge.provider),
                    edge.weight,
                    tuple(block.hex() for block, _ in edge.blocks),
                )
                for edge in path.edges
            ),
        )
        for path in explained.paths
        if path.edges  # the way from oneself to oneself has none
    )


def _without(node: Node, explained: Explanation) -> tuple[WithoutExchange, ...]:
    return tuple(
        WithoutExchange(
            each.block_hash.hex(), _shown(node, each.receiver), _shown(node, each.provider), each.score.value
        )
        for each in explained.without
    )
