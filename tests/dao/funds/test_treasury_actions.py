"""What a member asks of its node about a treasury, through the routes that the command line uses, too."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from overlay.dao.assembly.charters import charter
from overlay.dao.assembly.shares import threshold_key
from overlay.dao.bitcoin.jsonrpc import CookieFile
from overlay.dao.funds.treasury import is_paid
from overlay.node.commands import print_answer
from overlay.node.config import load
from overlay.node.running import serving
from tests.dao.bitcoin.helpers import Caller, Purse
from tests.dao.group_town import chain
from tests.node.conftest import LOOPBACK, Served
from tests.node.test_town import until

WELDER, BAKER = Purse("welder"), Purse("baker's purse")


class Lone(Served):
    """A node whose member is a group of its own, with a treasury and a chain."""

    rpc: Caller
    group: str

    async def get(self, verb: str, **fields: Any) -> Any:
        status, told = await self.ask("GET", f"/v1/treasury/{verb}", params=fields)
        assert status == 200, told
        return told

    async def post(self, path: str, **fields: Any) -> Any:
        status, told = await self.ask("POST", f"/v1/{path}", json=fields)
        assert status == 200, told
        return told

    async def refused(self, path: str, **fields: Any) -> str:
        status, told = await self.ask("POST", f"/v1/{path}", json=fields)
        assert status in (400, 409), told
        return str(told["problem"])

    async def mine(self) -> None:
        await self.rpc("generatetoaddress", 1, await self.rpc("getnewaddress"))

    async def pay(self, amount: int = 1_000_000, **more: Any) -> str:
        fields = {"group": self.group, "title": "Weld", "reason": "", "payee": "farmer", "address": WELDER.address}
        return str((await self.post("proposal/pay", **(fields | {"amount": amount} | more)))["id"])

    async def settled(self, proposal: str) -> None:
        """The payment is signed, mined, and seen."""
        await until(self.node, lambda: len(self.waiting()))
        await self.mine()
        await until(self.node, lambda: is_paid(self.node.db, bytes.fromhex(proposal)))

    def waiting(self) -> Any:
        return self.service.node.chain.mempool  # type: ignore[attr-defined]


@pytest.fixture
async def lone(tmp_path: Path) -> AsyncIterator[Lone]:
    async with chain(tmp_path) as service:
        bitcoin: dict[str, object] = {"rpc": service.url, "cookie": str(service.cookie_path)}
        config = load(tmp_path, LOOPBACK | {"bitcoin": bitcoin})
        async with serving(tmp_path / "node", config) as (node, rest), aiohttp.ClientSession() as client:
            made = Lone(node, rest, client)
            made.service = service  # type: ignore[attr-defined]
            made.rpc = Caller(service.url, CookieFile(service.cookie_path))
            await made.found_commons()
            fields = {"name": "me", "purpose": "", "members": ["farmer"], "approvals": 1, "threshold": 1}
            made.group = (await made.post("group/found", **fields))["id"]
            found = charter(node.db, bytes.fromhex(made.group))
            assert found is not None
            await until(node, lambda: threshold_key(node.db, found))
            address = (await made.get("address", group=made.group))["address"]
            await made.rpc("sendtoaddress", address, "0.05000000")
            await made.mine()
            yield made
            await made.rpc.close()


async def test_a_treasury_from_its_address_to_its_history(lone: Lone) -> None:
    address = await lone.get("address", group=lone.group)
    assert address["uri"] == f"bitcoin:{address['address']}?label=me"
    assert "█" in address["qr"]
    await lone.post("treasury/label", about=lone.group, label="the hall")
    shown = await lone.get("show", group=lone.group)
    assert (shown["label"], shown["confirmed"], shown["unconfirmed"]) == ("the hall", 5_000_000, 0)

    proposal = await lone.pay(also=[f"farmer,{BAKER.address},70000"])
    run = await lone.get("dry-run", proposal=proposal)
    assert not run["would_sign"]
    assert [bool(each["problem"]) for each in run["checks"]] == [True, False, False, False]
    assert [(each["amount"], each["to"]) for each in run["outputs"][:-1]] == [(1_000_000, "farmer"), (70_000, "farmer")]
    assert run["outputs"][-1] == {"address": address["address"], "amount": run["change"], "to": "change"}
    assert run["fee"] == run["vsize"] == 5_000_000 - 1_070_000 - run["change"]

    exported = await lone.get("psbt-export", proposal=proposal)
    assert (exported["txid"], exported["signatures"]) == (run["txid"], 0)
    verdict = await lone.post("treasury/psbt-check", proposal=proposal, psbt=exported["psbt"])
    assert "not decided" in verdict["problem"]
    assert "not decided" in await lone.refused("treasury/psbt-import", proposal=proposal, psbt=exported["psbt"])

    await lone.post("proposal/vote", proposal=proposal, choice="yes")
    await lone.settled(proposal)
    paid, received = (await lone.get("history", group=lone.group))["entries"]
    assert (paid["kind"], paid["amount"], paid["fee"], paid["proposal"]) == ("paid", 1_070_000, run["fee"], proposal)
    assert (received["kind"], received["amount"]) == ("received", 5_000_000)
    assert paid["txid"] == run["txid"]


async def test_what_can_never_be_paid_is_refused_at_once_with_the_reason(lone: Lone) -> None:
    refused = [
        ({"amount": 6_000_000}, "only 5000000 sat can be spent"),
        ({"amount": 329}, "would not be relayed"),
        ({"fee_cap": 1}, "the members allowed 1 sat"),
        ({"address": "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"}, "is of mainnet"),
        ({"address": WELDER.address[:-1]}, "address"),
        ({"also": ["farmer,100"]}, "write member,address,satoshis"),
        ({"also": [f"farmer,{BAKER.address},-5"]}, "write member,address,satoshis"),
        ({"also": [f"nobody,{BAKER.address},1000"]}, "no member of this commons"),
        ({"also": [f"farmer,{WELDER.address},1000"]}, "the same address"),
    ]
    for change, sentence in refused:
        fields = {"group": lone.group, "title": "Weld", "reason": "", "payee": "farmer", "address": WELDER.address}
        status, told = await lone.ask("POST", "/v1/proposal/pay", json=fields | {"amount": 1_000_000} | change)
        assert status in (400, 404, 409)
        assert sentence in told["problem"]


async def test_fees_are_told_before_anything_is_proposed(lone: Lone) -> None:
    told = await lone.get("fees", group=lone.group, amount=1_000_000)
    proposal = await lone.pay()
    run = await lone.get("dry-run", proposal=proposal)
    assert (told["fee_rate"], told["vsize"], told["fee"]) == (run["fee_rate"], run["vsize"], run["fee"])


async def test_limits_are_part_of_the_charter_and_bind_at_once(lone: Lone) -> None:
    fields = {"name": "careful", "purpose": "", "members": ["farmer"], "approvals": 1, "threshold": 1}
    assert "limit-blocks" in await lone.refused("group/found", **fields, limit_total=5_000)
    limits = {"limit_blocks": 144, "limit_total": 90_000, "limit_each": 50_000}
    lone.group = (await lone.post("group/found", **fields, **limits))["id"]
    found = charter(lone.node.db, bytes.fromhex(lone.group))
    assert found is not None
    await until(lone.node, lambda: threshold_key(lone.node.db, found))
    address = (await lone.get("address", group=lone.group))["address"]
    await lone.rpc("sendtoaddress", address, "0.01000000")
    await lone.mine()
    assert (await lone.get("show", group=lone.group))["limits"] == {"blocks": 144, "total": 90_000, "each": 50_000}
    fields = {"group": lone.group, "title": "Weld", "reason": "", "payee": "farmer", "address": WELDER.address}
    assert "lets one payee have 50000 sat" in await lone.refused("proposal/pay", **fields, amount=50_001)
    assert await lone.pay(50_000)


def test_a_qr_code_is_drawn_for_whoever_sees_a_screen_and_for_nobody_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"address": "bcrt1q", "qr": "\u2588\u2580"}
    print_answer(told)
    assert json.loads(capsys.readouterr().out) == told
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_answer(told)
    assert capsys.readouterr().out.endswith("}\n\u2588\u2580\n")


async def test_a_treasury_is_moved_to_that_of_another_group(lone: Lone) -> None:
    assert "same treasury" in await lone.refused("treasury/move", group=lone.group, to=lone.group)
    fields = {"name": "me anew", "purpose": "", "members": ["farmer"], "approvals": 1, "threshold": 1}
    new = (await lone.post("group/found", **fields))["id"]
    found = charter(lone.node.db, bytes.fromhex(new))
    assert found is not None
    await until(lone.node, lambda: threshold_key(lone.node.db, found))
    moved = await lone.post("treasury/move", group=lone.group, to=new)
    run = await lone.get("dry-run", proposal=moved["id"])
    assert run["outputs"][0] == {
        "address": (await lone.get("address", group=new))["address"],
        "amount": moved["amount"],
        "to": "me anew",
    }
    await lone.post("proposal/vote", proposal=moved["id"], choice="yes")
    await lone.settled(moved["id"])
    assert (await lone.get("show", group=new))["confirmed"] == moved["amount"]
    assert (await lone.get("show", group=lone.group))["confirmed"] <= moved["left_at_most"] < 1_000
