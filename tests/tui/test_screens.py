"""What the four screens show, at the smallest and at a usual size."""

import re

import pytest

from overlay.node.wire import Exchanges, Groups, Holdings, Motions, People, Proposals, Vouchers
from tests.tui import story
from tests.tui.double import NodeDouble
from tests.tui.stage import LARGE, SMALL, opened
from tui.screens.invitation import InvitationScreen
from tui.screens.modal import DetailScreen

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])


@SIZES
async def test_home_says_who_i_am_what_waits_and_what_happened(node: NodeDouble, size: tuple[int, int]) -> None:
    async with opened(node, size) as stage:
        node.tell(story.event("people", "The teacher joined.", time=story.NOW - 3 * story.MINUTE))
        await stage.until_shown("baker", "Riverside Commons", "6, 4 of them online", "ready to sign for you")
        await stage.until_shown("Waits for you (4)", "get 6 litre Milk for 12 loaf", "New millstone: 1,250,000 sat")
        await stage.until_shown("Open on Sundays: text, ")
        await stage.press("end")
        await stage.until_shown("books")
        await stage.until_shown("3 min ago", "The teacher joined.", "The disk is nearly full")


@SIZES
async def test_vouchers_say_what_i_hold_what_i_owe_and_for_whom_one_waits(
    node: NodeDouble, size: tuple[int, int]
) -> None:
    async with opened(node, size) as stage:
        await stage.press("2")
        await stage.until_shown("You hold (2)", "You promised (2)", "Exchanges (5)")
        await stage.until_shown("860", "340", "15 Apr 2027", "Provisional", "Outstanding")
        for line in ("proposed · you", "proposed · mechanic", "provisional · farmer", "final", "refused"):
            await stage.until_shown(line)
        await stage.until_shown("redeem 1 hour Bicycle repair", "get 4 litre Milk", "give 20 loaf Bread of the week")


@SIZES
async def test_group_says_who_signed_how_the_vote_stands_and_what_the_treasury_has(
    node: NodeDouble, size: tuple[int, int]
) -> None:
    async with opened(node, size) as stage:
        await stage.press("3")
        await stage.until_shown("Evening School", "sign it", "1/2", "waits for signatures", "… baker, ✓ teacher")
        stage.app.screen.reveal("vote", story.some_id("New millstone"))  # type: ignore[attr-defined]
        await stage.until_shown("12,345,678 sat", "2 of 3 vote yes, 2 of 3 devices sign", "✓ baker, ✓ farmer")
        await stage.until_shown("New millstone", "1,250,000 sat", "1/2 yes", "vote!", "Roof tiles", "paid")
        await stage.until_shown("Open on Sundays", "  text  ", "charter", "1/2 yes, 1 no", "  work  ", "approved")


@SIZES
async def test_people_say_whom_i_trust_and_who_is_a_proven_cheat(node: NodeDouble, size: tuple[int, int]) -> None:
    async with opened(node, size) as stage:
        await stage.press("4")
        await stage.until_shown("Members (6)", "0.412", "━━●", "always-on node", "✗ PROVEN CHEAT")
        await stage.press("end")
        await stage.until_shown("About", "Signed two different")


async def test_the_keys_one_to_four_go_to_the_screens(node: NodeDouble) -> None:
    async with opened(node) as stage:
        for key, mode in zip("1234", ("home", "vouchers", "group", "people"), strict=True):
            await stage.press(key)
            assert stage.app.current_mode == mode
            assert stage.app.focused is not None


async def test_enter_on_what_waits_goes_where_it_is_answered(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("down", "enter")
        await stage.until(lambda: stage.app.current_mode == "group")
        await stage.press("enter")
        await stage.until_screen(DetailScreen)
        await stage.until_shown("New millstone", "1 yes, 0 no, 0 abstain; 2 yes needed", "we grind every day")
        await stage.press("escape", "1", "down", "enter")
        await stage.until(lambda: stage.app.current_mode == "group")
        await stage.press("enter")
        await stage.until_shown("Open on Sundays", "the mill is open for all")


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("New millstone", ("1,250,000 sat, and a fee", "majority,quorum=2", "mechanic, 2 h ago: who sweeps it?")),
        (
            "Open on Sundays",
            (
                "for all from ten to four",
                "number 2-17",
                "20 h left",
                "can still pass",
                "many ask for it",
                "who sweeps it?",
            ),
        ),
        ("The teacher joins", ("admits teacher", "2 of 4 yes votes", "0 abstain, 1 block", "block   farmer  she has")),
        (
            "Mend the pump",
            ("50,000 sat", "it runs again  84,000 bytes, with your node", "baker, through farmer  at last"),
        ),
    ],
)
async def test_a_proposal_of_any_kind_is_shown_in_full(node: NodeDouble, title: str, words: tuple[str, ...]) -> None:
    async with opened(node) as stage:
        await stage.press("3")
        stage.app.screen.reveal("vote", story.some_id(title))  # type: ignore[attr-defined]
        await stage.press("enter")
        await stage.until_shown(title, *words)


async def test_a_vote_in_a_council_names_what_it_is_about(node: NodeDouble) -> None:
    about = story.motion(
        "Vote yes in the council", kind="instruction", text="we like it", about=story.some_id("Roof tiles")
    )
    node.answers["proposal/recent"] = Motions((about,))
    async with opened(node, LARGE) as stage:
        await stage.press("3")
        stage.app.screen.reveal("vote", about.id)  # type: ignore[attr-defined]
        await stage.until_shown("council vote", "Roof tiles, in Mill Council", "we like it")


async def test_enter_on_an_exchange_shows_it_in_full(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "down", "enter")
        await stage.until_shown("the cargo bike, Tuesday", "from you to mechanic", "nothing has moved yet", "5 h left")
        await stage.press("escape")
        await stage.press("down", "down", "down", "enter")
        await stage.until_shown("the farmer had confirmed another use before")


async def test_enter_on_a_promise_shows_its_terms(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "shift+tab", "enter")
        await stage.until_shown("collect on Fridays", "860 loaf", "183,000 bytes on their way, from 2 peers")


async def test_why_explains_a_score_by_kept_promises(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("4", "down", "down", "w")
        await stage.until_shown("Your trust in mechanic is 0.238.", "70%", "mechanic kept 2 promises to baker")
        await stage.until_shown("Without what mechanic kept for baker it would be 0.119.")
    assert {"member": story.key_of("mechanic")} in node.queries


async def test_the_address_of_a_treasury_can_be_copied(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("3", "c")
        assert stage.app.clipboard == ""  # the selected group has none yet
        stage.app.screen.reveal("charter", story.some_id("Mill Council"))  # type: ignore[attr-defined]
        await stage.press("c")
        assert stage.app.clipboard == story.group("Mill Council").address


async def test_an_invitation_comes_as_text_and_as_a_code(node: NodeDouble) -> None:
    async with opened(node, LARGE) as stage:
        await stage.press("4", "i")
        await stage.until_screen(InvitationScreen)
        await stage.until_shown("cf1", "█▀▄ █▀▄")
        await stage.press("c")
        assert stage.app.clipboard == story.invitation().text
        await stage.press("escape")
    assert node.commands == [("commons/invite", {})]


async def test_empty_lists_say_what_to_do_next(node: NodeDouble) -> None:
    me = People((story.person("baker"),))
    empty = {"exchange/list": Exchanges(()), "voucher/list": Vouchers(()), "voucher/holdings": Holdings(())}
    node.answers |= empty | {
        "group/list": Groups(()),
        "proposal/list": Proposals(()),
        "proposal/recent": Motions(()),
        "people/list": me,
    }
    async with opened(node) as stage:
        await stage.until_shown("Nothing waits for you.")
        await stage.press("2")
        await stage.until_shown("You hold no promise", "press m", "No exchanges yet.")
        await stage.press("3")
        await stage.until_shown("You are in no group yet. Found one with f")
        await stage.press("4")
        await stage.until_shown("baker")


async def test_no_screen_speaks_of_hashes_nonces_or_outputs(node: NodeDouble) -> None:
    async with opened(node, LARGE) as stage:
        for keys in (
            "1",
            "2",
            "enter",
            "escape m",
            "escape r",
            "escape 3 shift+tab down tab",
            "enter",
            "escape 4",
            "i",
            "escape down w",
        ):
            await stage.press(*keys.split())
            assert not re.search(r"\b(hash|nonce|utxo)", stage.text, re.IGNORECASE)
            assert story.some_id("milk for bread") not in stage.text


async def test_times_move_on_without_asking_the_node(node: NodeDouble) -> None:
    now = [story.NOW]
    async with opened(node, LARGE, now=lambda: now[0]) as stage:
        await stage.press("2")
        await stage.until_shown("12 min ago")
        now[0] += 2 * story.HOUR
        await stage.press("1", "2")
        await stage.until_shown("2 h ago")
