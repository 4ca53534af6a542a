"""Forms check what is entered, send the right request, and show the node's own sentence when it refuses."""

import base64
from pathlib import Path

import pytest
from textual.widgets import Button

from overlay.node.wire import MintVoucher, Problem
from tests.tui import story
from tests.tui.double import NodeDouble
from tests.tui.stage import Stage, opened
from tests.tui.story import key_of, some_id
from tui.screens.form import FILE_LIMIT, Form
from tui.widgets.fields import ChoiceField, Field, FileField, NumberField, SeveralField, TextField, TickField
from tui.widgets.limits import limits


async def fill(stage: Stage, **entered: object) -> None:
    """Enter values into the fields of the open form."""
    await stage.until_screen(Form)
    await stage.pilot.pause()
    for key, value in entered.items():
        match stage.app.screen.query_one(f"#field-{key}", Field):
            case TextField() | NumberField() | FileField() as field:
                field.input.value = str(value)
            case ChoiceField() as field:
                field.select.value = str(value)
            case TickField() as field:
                field.box.value = bool(value)
            case SeveralField() as field:
                for each in value:  # type: ignore[attr-defined]
                    field.list.select(each)
    await stage.pilot.pause()


async def send(stage: Stage, node: NodeDouble) -> tuple[str, dict[str, object]]:
    """Send the form; what the node received."""
    await stage.press("ctrl+s")
    await stage.until(lambda: not isinstance(stage.app.screen, Form))
    [command] = node.commands
    return command


async def test_minting_sends_the_promise_with_its_picture(node: NodeDouble, tmp_path: Path) -> None:
    (tmp_path / "bread.png").write_bytes(b"\x89PNG bread")
    node.done["voucher/mint"] = story.vouchers().vouchers[0]
    async with opened(node) as stage:
        await stage.press("2", "m")
        await fill(
            stage, promise="Bread", quantity="1,200", unit="loaf", picture=tmp_path / "bread.png", expires_in="30"
        )
        path, sent = await send(stage, node)
        await stage.until_shown("Promised. Now you can")
    assert path == "voucher/mint"
    assert sent == {
        "promise": "Bread",
        "unit": "loaf",
        "quantity": 1_200,
        "terms": "",
        "expires_in": 30,
        "picture": base64.b64encode(b"\x89PNG bread").decode(),
    }


async def test_giving_names_the_member_by_key(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "g")
        await fill(
            stage, to=key_of("teacher"), voucher=some_id("Milk"), quantity="3", deed="lessons", worth="5", note="hi"
        )
        path, sent = await send(stage, node)
    assert path == "exchange/give"
    assert sent["to"] == key_of("teacher")
    assert (sent["voucher"], sent["quantity"], sent["worth"], sent["minutes"]) == (some_id("Milk"), 3, 5, 1_440)
    assert (sent["deed"], sent["note"]) == ("lessons", "hi")


async def test_redeeming_goes_to_the_issuer_of_what_is_chosen(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "r")
        await fill(stage, voucher=some_id("Bicycle repair"), quantity="2", worth="4")
        path, sent = await send(stage, node)
    assert path == "exchange/give"
    assert (sent["to"], sent["voucher"]) == (key_of("mechanic"), some_id("Bicycle repair"))


async def test_a_swap_offers_one_voucher_for_another(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "o")
        await fill(
            stage,
            to=key_of("farmer"),
            give=some_id("Bread of the week"),
            give_quantity="12",
            want=some_id("Milk"),
            want_quantity="6",
        )
        path, sent = await send(stage, node)
    assert path == "exchange/offer"
    assert (sent["give"], sent["give_quantity"]) == (some_id("Bread of the week"), 12)
    assert (sent["want"], sent["want_quantity"]) == (some_id("Milk"), 6)


@pytest.mark.parametrize("provisional", [False, True])
async def test_accepting_shows_both_sides_and_sends_the_word(node: NodeDouble, provisional: bool) -> None:
    async with opened(node) as stage:
        await stage.press("2", "a")
        await fill(stage, provisional=provisional)
        await stage.until_shown("You get   6 litre Milk", "You give  12 loaf Bread of the week", some_id("farmer")[:10])
        assert await send(stage, node) == (
            "exchange/accept",
            {"id": some_id("milk for bread"), "provisional": provisional, "beyond_limit": False},
        )


async def test_declining_sends_the_reason(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "d")
        await fill(stage, reason="no bread left")
        assert await send(stage, node) == (
            "exchange/decline",
            {"id": some_id("milk for bread"), "reason": "no bread left"},
        )


async def test_what_one_proposed_oneself_is_taken_back(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "down", "d")
        await stage.until_shown("Take this back?")
        assert (await send(stage, node))[1]["id"] == some_id("repair")


async def test_the_charter_that_waits_is_signed(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("3", "s")
        await stage.until_shown("2 of 2 members decide a payment")
        assert await send(stage, node) == ("group/sign", {"group": some_id("Evening School")})


async def test_a_group_is_founded_with_the_chosen_members(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("3", "f")
        await fill(stage, name="Choir", purpose="sings", members=[key_of("baker"), key_of("farmer")])
        path, sent = await send(stage, node)
    assert path == "group/found"
    assert sent["members"] == [key_of("baker"), key_of("farmer")]
    assert (sent["approvals"], sent["threshold"]) == (2, 2)


async def test_a_payment_is_proposed_for_the_selected_group(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("3")
        stage.app.screen.reveal("charter", some_id("Mill Council"))  # type: ignore[attr-defined]
        await stage.press("p")
        await fill(stage, title="Oven", reason="cold", payee=key_of("mechanic"), address="bcrt1qxyz", amount="250'000")
        path, sent = await send(stage, node)
    assert path == "proposal/pay"
    assert (sent["group"], sent["payee"]) == (some_id("Mill Council"), key_of("mechanic"))
    assert (sent["amount"], sent["fee_cap"], sent["minutes"]) == (250_000, 10_000, 10_080)


@pytest.mark.parametrize(("key", "choice"), [("y", "yes"), ("n", "no"), ("b", "abstain")])
async def test_a_vote_carries_its_reason(node: NodeDouble, key: str, choice: str) -> None:
    async with opened(node) as stage:
        await stage.press("3")
        stage.app.screen.reveal("vote", some_id("New millstone"))  # type: ignore[attr-defined]
        await stage.press(key)
        await fill(stage, reason="we need it")
        sent = await send(stage, node)
    assert sent == ("proposal/vote", {"proposal": some_id("New millstone"), "choice": choice, "reason": "we need it"})


async def test_a_text_is_proposed_for_the_selected_group(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("3")
        stage.app.screen.reveal("charter", some_id("Mill Council"))  # type: ignore[attr-defined]
        await stage.press("t")
        await fill(stage, title="Sundays", text="open from ten to four")
        sent = await send(stage, node)
    fields = {"group": some_id("Mill Council"), "title": "Sundays", "text": "open from ten to four", "minutes": 10_080}
    assert sent == ("proposal/text", fields)


async def test_whoever_blocks_says_why_and_may_comment_as_well(node: NodeDouble) -> None:
    sundays = some_id("Open on Sundays")
    async with opened(node) as stage:
        await stage.press("3")
        stage.app.screen.reveal("vote", sundays)  # type: ignore[attr-defined]
        await stage.press("x")
        await fill(stage)
        await stage.press("ctrl+s")
        await stage.until_shown("Reason is missing.", "text, the mill is open")
        assert not node.commands
        await fill(stage, reason="nobody is there")
        said = {"proposal": sundays, "choice": "block", "reason": "nobody is there"}
        assert await send(stage, node) == ("proposal/vote", said)
        node.commands.clear()
        await stage.press("k")
        await fill(stage, text="who sweeps it?")
        assert await send(stage, node) == ("proposal/comment", {"proposal": sundays, "text": "who sweeps it?"})


async def test_who_is_in_no_commons_founds_or_joins_one(node: NodeDouble) -> None:
    node.answers["status/show"] = story.status(commons=None)
    node.done |= {"commons/found": story.commons(), "commons/join": story.commons()}
    async with opened(node) as stage:
        await stage.press("f")
        await fill(stage, commons="Riverside", purpose="together", name="baker")
        assert (await send(stage, node))[0] == "commons/found"
        node.commands.clear()
        await stage.press("j")
        await fill(stage, invitation="i" * 1_000, name="baker")
        path, sent = await send(stage, node)
    assert (path, sent["invitation"]) == ("commons/join", "i" * 1_000)


async def test_the_nodes_sentence_stays_in_the_form_and_one_can_try_again(node: NodeDouble) -> None:
    node.problems["exchange/decline"] = (409, Problem("this can no longer be answered: it is [lapsed]", "refused"))
    async with opened(node) as stage:
        await stage.press("2", "d", "enter")
        await stage.until_shown("This can no longer be answered: it is [lapsed]")
        node.problems.clear()
        await stage.press("ctrl+s")
        await stage.until(lambda: not isinstance(stage.app.screen, Form))
    assert len(node.commands) == 2


async def test_a_form_that_waits_for_its_answer_is_not_sent_twice(node: NodeDouble) -> None:
    async with opened(node) as stage:
        await stage.press("2", "d")
        await stage.until_screen(Form)
        node.gate.clear()
        await stage.press("ctrl+s", "ctrl+s", "enter")
        await stage.until(lambda: node.commands)
        assert stage.app.screen.query_one("#submit", Button).disabled
        node.gate.set()
        await stage.until(lambda: not isinstance(stage.app.screen, Form))
    assert len(node.commands) == 1


@pytest.mark.parametrize(
    ("entered", "sentence"),
    [
        ({}, "You promise is missing."),
        ({"promise": "Bread"}, "How many must be a whole number from 1 to 9,007,199,254,740,991."),
        ({"promise": "Bread", "quantity": "0"}, "How many must be a whole number from 1"),
        ({"promise": "Bread", "quantity": "1"}, "Of what unit is missing."),
        ({"promise": "Bread", "quantity": "1", "unit": "loaf", "expires_in": "36501"}, "from 0 to 36,500."),
        ({"promise": "Bread", "quantity": "1", "unit": "loaf", "picture": "/no/such/file"}, "is there such a file?"),
    ],
)
async def test_what_cannot_be_sent_is_said_in_words(node: NodeDouble, entered: dict[str, str], sentence: str) -> None:
    async with opened(node) as stage:
        await stage.press("2", "m")
        await fill(stage, **entered)
        await stage.press("ctrl+s")
        await stage.until_shown(sentence)
    assert not node.commands


@pytest.mark.parametrize(("size", "fits"), [(FILE_LIMIT, True), (FILE_LIMIT + 1, False)])
async def test_a_picture_at_the_limit_is_sent_and_one_byte_more_is_not(
    node: NodeDouble, tmp_path: Path, size: int, fits: bool
) -> None:
    (tmp_path / "photo.jpg").write_bytes(bytes(size))
    node.done["voucher/mint"] = story.vouchers().vouchers[0]
    async with opened(node) as stage:
        await stage.press("2", "m")
        await fill(stage, promise="Bread", quantity="1", unit="loaf", picture=tmp_path / "photo.jpg")
        await stage.press("ctrl+s")
        if fits:
            await stage.until(lambda: not isinstance(stage.app.screen, Form))
        else:
            await stage.until_shown("more than 4,194,304 bytes")
    assert bool(node.commands) is fits


def test_the_limits_of_fields_are_those_of_the_wire() -> None:
    assert (limits(MintVoucher, "promise").least, limits(MintVoucher, "promise").most) == (1, 60)
    assert (limits(MintVoucher, "expires_in").least, limits(MintVoucher, "expires_in").most) == (0, 36_500)
    with pytest.raises(KeyError):
        limits(MintVoucher, "colour")
