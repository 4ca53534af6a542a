"""Which proposals wait for a member's vote."""

import pytest

from tests.tui import story
from tui.state import State


def state(*motions: story.Motion, member: bool = True) -> State:
    return State(
        status=story.status(),
        groups=story.Groups((story.group("Mill Council", i_am_member=member),)),
        proposals=story.proposals(),
        motions=story.Motions(motions),
    )


def test_proposals_of_every_kind_wait_for_a_vote_and_each_is_there_once() -> None:
    known = state(*story.motions().motions)
    assert [each.title for each in known.to_vote()] == ["New millstone", "Open on Sundays"]
    assert sorted(each.title for each in known.matters) == [
        "Mend the pump",
        "New millstone",
        "Open on Sundays",
        "Roof tiles",
        "The teacher joins",
    ]


@pytest.mark.parametrize(
    "given",
    [{"state": "approved"}, {"state": "rejected"}, {"final": True}, {"group": story.some_id("another")}],
    ids=str,
)
def test_a_vote_counts_while_it_is_open_and_not_final_in_ones_own_group(given: dict[str, object]) -> None:
    assert state().may_vote(story.motion("Sundays"))
    assert not state().may_vote(story.motion("Sundays", **given))
    assert not state(member=False).may_vote(story.motion("Sundays"))


def test_a_vote_that_was_left_to_another_is_known_as_ones_own() -> None:
    assert state().my_vote(story.motion("Sundays")) == ""
    assert state().my_vote(story.motion("Sundays", votes=(story.ballot("baker", "no", "", "farmer"),))) == "no"
