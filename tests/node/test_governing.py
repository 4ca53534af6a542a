"""A group governs itself through the node's own interface."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from overlay.keys import Identity
from overlay.node import wire
from overlay.node.actions import commons, governing, groups, proposals
from overlay.node.actions.governing import LATEST
from overlay.trustchain.block import ANYONE, GENESIS_HASH, HalfBlock
from overlay.trustchain.statements import Comment, encode
from tests.node.conftest import Served
from tests.node.test_town import Village, found, knows, until, village  # noqa: F401

PATIENCE = 30.0


async def posted(served: Served, path: str, **fields: Any) -> Any:
    status, told = await served.ask("POST", path, json=fields)
    assert status == 200, told
    return told


async def refused(served: Served, path: str, **fields: Any) -> str:
    status, told = await served.ask("POST", path, json=fields)
    assert status in (400, 404, 409), told
    return str(told["problem"])


async def shown(served: Served, proposal: str) -> Any:
    status, told = await served.ask("GET", f"/v1/proposal/show?proposal={proposal}")
    assert status == 200, told
    return told


async def group_of_one(served: Served, *rules: str) -> str:
    await served.found_commons()
    fields = {"name": "farm", "purpose": "", "members": ["farmer"], "approvals": 1, "threshold": 1}
    return str((await posted(served, "/v1/group/found", **fields, rule=list(rules)))["id"])


async def until_state(served: Served, proposal: str, state: str) -> Any:
    with served.node.events.subscribe() as waiting:
        async with asyncio.timeout(PATIENCE):
            while (told := await shown(served, proposal))["state"] != state or not told["final"]:
                await waiting.get()
    return told


async def test_a_text_is_discussed_voted_on_with_reasons_and_agreed_to(served: Served) -> None:
    group = await group_of_one(served, "text=majority,deadline=1h,veto=1")
    made = await posted(served, "/v1/proposal/text", group=group, title="Sundays", text="open from May on")
    id_ = made["id"]
    told = await shown(served, id_)
    assert (told["kind"], told["rule"], told["can_still_pass"]) == ("text", "majority,deadline=1h,veto=1", True)
    assert told["verdict"].startswith("can still pass: 0 of 1 yes votes")
    assert told["number"].startswith("1-")
    await posted(served, "/v1/proposal/comment", proposal=id_, text="from April?")
    assert "says why" in await refused(served, "/v1/proposal/vote", proposal=id_, choice="block")
    await posted(served, "/v1/proposal/vote", proposal=id_, choice="block", reason="too early")
    told = await shown(served, id_)
    assert (told["verdict"], told["state"], told["block"]) == ("cannot pass any more", "rejected", 1)
    await posted(served, "/v1/proposal/vote", proposal=id_, choice="yes", reason="well then")
    told = await until_state(served, id_, "approved")
    assert [(vote["choice"], vote["reason"]) for vote in told["votes"]] == [("yes", "well then")]
    assert [comment["text"] for comment in told["comments"]] == ["from April?"]
    assert told["counted_by"] == ["farmer"]


async def test_a_long_text_travels_as_content_and_a_longer_one_is_refused(served: Served) -> None:
    group, words = await group_of_one(served), "all about the well. " * 100
    made = await posted(served, "/v1/proposal/text", group=group, title="The well", text=words)
    told = await shown(served, made["id"])
    assert told["text"] == words[:280]
    assert Path(told["content"]["path"]).read_text() == words
    assert "100000" in await refused(served, "/v1/proposal/text", group=group, title="x", text="x" * 100_001)


async def test_a_charter_is_changed_and_shown_in_all_versions(served: Served, tmp_path: Path) -> None:
    group = await group_of_one(served)
    change = await posted(served, "/v1/group/amend", group=group, title="slower", rule=["spend=1ofn,delay=1d"])
    assert (await shown(served, change["id"]))["changes"][0] == "decides payments by 1ofn,delay=1d"
    await posted(served, "/v1/proposal/vote", proposal=change["id"], choice="yes")
    await until_state(served, change["id"], "approved")
    status, told = await served.ask("GET", f"/v1/group/charter?group={group}")
    assert status == 200
    first, second = told["versions"]
    assert (first["version"], second["version"], second["number"]) == (group, change["id"], 2)
    assert {"subject": "payments", "rule": "1ofn,delay=1d"} in second["rules"]
    log = tmp_path / "decisions.jsonl"
    written = await posted(served, "/v1/proposal/log", group=group, to=str(log))
    (entry,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (written["proposals"], entry["id"], entry["outcome"]) == (1, change["id"], "approved")
    assert "machine's root" in await refused(served, "/v1/proposal/log", group=group, to="here.jsonl")


async def test_what_makes_no_sense_is_refused_with_the_reason(served: Served) -> None:
    group = await group_of_one(served)
    found_one = {"name": "x", "purpose": "", "members": ["farmer"], "approvals": 1, "threshold": 1}
    work = {"group": group, "title": "x", "text": "", "amount": 5_000, "address": "bcrt1q"}
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("/v1/group/found", found_one | {"rule": ["spend=2ofn"]}, "can never be reached by a group of 1"),
        ("/v1/group/found", found_one | {"threshold": 2}, "at least as many yes votes as shares"),
        ("/v1/group/found", found_one | {"threshold": 0}, "threshold"),
        ("/v1/group/found", found_one | {"rule": ["spend=never"]}, "no way to decide"),
        ("/v1/group/found", found_one | {"members": ["nobody"]}, "no member of this commons"),
        ("/v1/group/amend", {"group": group, "title": "x"}, "changes nothing"),
        ("/v1/group/amend", {"group": group, "title": "x", "remove": ["farmer"]}, "at least one member"),
        ("/v1/group/amend", {"group": group, "title": "x", "minutes": 0}, "minutes"),
        ("/v1/group/amend", {"group": "00" * 32, "title": "x"}, "no such group"),
        ("/v1/group/delegate", {"group": group, "subject": "text", "to": "farmer"}, "does not let members"),
        ("/v1/proposal/text", {"group": "00" * 32, "title": "x", "text": "x"}, "no such group"),
        ("/v1/proposal/comment", {"proposal": "00" * 32, "text": "x"}, "no such proposal"),
        ("/v1/proposal/accept", {"work": "00" * 32}, "no such work"),
        ("/v1/proposal/work", work | {"worker": "nobody"}, "no member of this commons"),
        ("/v1/proposal/work", work | {"worker": "farmer"}, "the address"),
        ("/v1/proposal/instruct", {"group": group, "about": "00" * 32, "choice": "yes"}, "no such proposal"),
    ]
    for path, fields, sentence in cases:
        assert sentence in await refused(served, path, **fields), path
    status, told = await served.ask("GET", "/v1/proposal/open")
    assert (status, told) == (200, {"motions": []})


async def test_work_is_proposed_delivered_and_shown_with_its_evidence(served: Served) -> None:
    group = await group_of_one(served)
    place = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    fields = {"group": group, "title": "Mend the pump", "text": "by June", "worker": "farmer", "amount": 50_000}
    patch = base64.b64encode(b"--- a\n+++ b\n").decode()
    made = await posted(served, "/v1/proposal/work", **fields, address=place, patch=patch)
    evidence = base64.b64encode(b"it runs").decode()
    with served.node.events.subscribe() as waiting:
        async with asyncio.timeout(PATIENCE):
            while (await groups.groups(served.node, wire.Nothing())).groups[0].stage != "ready":
                await waiting.get()
    assert "has not agreed" in await refused(served, "/v1/proposal/deliver", work=made["id"], evidence=evidence)
    assert "not delivered anything" in await refused(served, "/v1/proposal/accept", work=made["id"])
    await posted(served, "/v1/proposal/vote", proposal=made["id"], choice="yes")
    await until_state(served, made["id"], "approved")
    await posted(served, "/v1/proposal/deliver", work=made["id"], evidence=evidence, extension=".txt", note="done")
    told = (await shown(served, made["id"]))["work"]
    assert (told["worker_name"], told["address"], told["accepted"]) == ("farmer", place, "")
    (delivery,) = told["deliveries"]
    assert Path(delivery["content"]["path"]).read_bytes() == b"it runs"
    accepting = await posted(served, "/v1/proposal/accept", work=made["id"])
    told = await shown(served, accepting["id"])
    assert (told["kind"], told["about"], told["obstacle"]) == ("payment", made["id"], "")


async def test_the_newest_proposals_of_every_kind_come_with_the_open_ones_first(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await group_of_one(served)
    text = {"group": group, "title": "Sundays", "text": "open"}
    change = await posted(
        served, "/v1/group/amend", group=group, title="slower", rule=["text=1ofn,delay=1d"], minutes=9
    )
    late = await posted(served, "/v1/proposal/text", **text, minutes=90)
    place = {"address": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "worker": "farmer"}
    fields = {"title": "Mend the pump", "text": "by June", "amount": 50_000}
    work = await posted(served, "/v1/proposal/work", group=group, **fields, **place, minutes=30)
    agreed, latest = [await posted(served, "/v1/proposal/text", **text, minutes=minutes) for minutes in (5, 7)]
    for made in (agreed, latest):
        await posted(served, "/v1/proposal/vote", proposal=made["id"], choice="yes")
        await until_state(served, made["id"], "approved")
    for said in range(LATEST + 1):
        await posted(served, "/v1/proposal/comment", proposal=late["id"], text=f"comment {said}")

    async def recent() -> list[Any]:
        status, told = await served.ask("GET", "/v1/proposal/recent")
        assert status == 200, told
        return list(told["motions"])

    told = await recent()
    assert [each["id"] for each in told] == [made["id"] for made in (change, work, late, latest, agreed)]
    assert [each["kind"] for each in told] == ["amendment", "work", "text", "text", "text"]
    assert [each["text"] for each in told[2]["comments"]] == [f"comment {said}" for said in range(1, LATEST + 1)]
    assert len((await shown(served, late["id"]))["comments"]) == LATEST + 1
    monkeypatch.setattr(governing, "RECENT", 2)
    assert [each["id"] for each in await recent()] == [latest["id"], agreed["id"]]


async def test_what_a_stranger_says_of_a_proposal_is_not_shown(served: Served) -> None:
    group, stranger = await group_of_one(served), Identity.from_seed(b"a stranger in town".ljust(64))
    made = await posted(served, "/v1/proposal/text", group=group, title="Sundays", text="open")
    await posted(served, "/v1/proposal/comment", proposal=made["id"], text="from April?")
    kind, transaction = encode(Comment(bytes.fromhex(made["id"]), "buy my bread"))
    now = served.node.clock.now()
    said = HalfBlock(stranger.public_key, 1, ANYONE, 0, GENESIS_HASH, kind, transaction, now).signed_by(stranger)
    assert await served.node.ledger.ingest([said]) == []
    assert served.node.db.execute("SELECT count(*) FROM group_comment").fetchone() == (2,)
    assert [each["text"] for each in (await shown(served, made["id"]))["comments"]] == ["from April?"]


async def test_a_group_is_a_member_of_a_council_and_votes_there(village: Village) -> None:  # noqa: F811
    farmer = await found(village)
    baker = await village.join("baker", farmer)
    await until(farmer, lambda: knows(farmer, "baker"))
    bakery = await groups.found(baker, wire.FoundGroup("bakery", "", ("baker",), 1, 1))
    await until(farmer, lambda: farmer.ledger.block(bytes.fromhex(bakery.id)))
    council = await groups.found(farmer, wire.FoundGroup("council", "", ("farmer", bakery.id), 2, 2))
    text = await governing.text(farmer, wire.ProposeText(council.id, "Sundays", "open"))
    await until(baker, lambda: baker.ledger.block(bytes.fromhex(text.id)))
    await proposals.vote(farmer, wire.CastVote(text.id, "yes"))
    told = await governing.instruct(baker, wire.InstructVote(bakery.id, text.id, "yes", "we like it"))
    await proposals.vote(baker, wire.CastVote(told.id, "yes"))
    seen: list[wire.Motion] = []

    async def look() -> bool:
        seen.append(await governing.show(farmer, wire.AskProposal(text.id)))
        return seen[-1].final

    with farmer.events.subscribe() as waiting:
        async with asyncio.timeout(PATIENCE):
            while not await look():
                await waiting.get()
    assert {(vote.voter_name, vote.choice, vote.reason) for vote in seen[-1].votes} == {
        ("farmer", "yes", ""),
        ("bakery", "yes", "we like it"),
    }
    assert set(seen[-1].counted_by) == {"farmer", "bakery"}
    assert (await commons.status(farmer, wire.Nothing())).signing == ""
