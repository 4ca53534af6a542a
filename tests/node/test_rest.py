"""The REST interface: for its token, host and origin only; every wrong request gets one sentence."""

import asyncio
import base64
import io
from typing import Any

import aiohttp
import msgspec
import pytest

from overlay.node.actions import ACTIONS
from overlay.node.events import MAX_LISTENERS
from overlay.node.rest import MAX_BODY_BYTES
from overlay.node.wire import Event
from tests.node.conftest import Served


async def test_a_request_with_the_token_is_answered(served: Served) -> None:
    status, told = await served.ask("GET", "/v1/status/show")
    assert status == 200
    assert told["public_key"] == served.node.identity.public_key.hex()


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Authorization": ""}, "does not carry this node's token"),
        ({"Authorization": "Bearer " + "0" * 64}, "does not carry this node's token"),
        ({"Authorization": "Bearer ünïcode"}, "does not carry this node's token"),
        ({"Host": "evil.example"}, "names another host"),
        ({"Origin": "http://evil.example"}, "a page of another origin"),
        ({"Origin": "null"}, "a page of another origin"),
    ],
)
async def test_whoever_is_not_this_members_own_program_is_refused(
    served: Served, headers: dict[str, str], sentence: str
) -> None:
    status, told = await served.ask("GET", "/v1/status/show", headers=headers)
    assert status == 403
    assert sentence in told["problem"]


async def test_an_unknown_path_needs_the_token_too(served: Served) -> None:
    assert (await served.ask("GET", "/etc/passwd", headers={"Authorization": ""}))[0] == 403
    status, told = await served.ask("GET", "/nothing")
    assert (status, told["kind"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"promise": "bread"}', "missing required field `unit`"),
        (b'{"promise": "bread", "unit": "loaf", "quantity": -1}', "`$.quantity`"),
        (b'{"promise": "bread", "unit": "loaf", "quantity": 1.5}', "`$.quantity`"),
        (b'{"promise": "bread", "unit": "loaf", "quantity": 1, "colour": 1}', "unknown field `colour`"),
        (b'{"promise": "", "unit": "loaf", "quantity": 1}', "`$.promise`"),
        (b'{"promise": "\xff", "unit": "loaf", "quantity": 1}', "malformed"),
        (b'{"promise": "bread", "unit": "loaf", "quantity": 1, "picture": "%%"}', "`$.picture`"),
    ],
)
async def test_a_wrong_body_is_told_what_is_wrong_and_where(served: Served, body: bytes, sentence: str) -> None:
    await served.found_commons()
    status, told = await served.ask("POST", "/v1/voucher/mint", data=body)
    assert (status, told["kind"]) == (400, "bad-request")
    assert sentence in told["problem"]


async def test_a_body_over_the_limit_is_refused(served: Served) -> None:
    status, told = await served.ask("POST", "/v1/voucher/mint", data=io.BytesIO(b"x" * (MAX_BODY_BYTES + 1)))
    assert status == 413
    assert "bytes" in told["problem"]


async def test_what_is_no_picture_is_refused_and_nothing_is_promised(served: Served) -> None:
    await served.found_commons()
    fields = {
        "promise": "bread",
        "unit": "loaf",
        "quantity": 1,
        "picture": base64.b64encode(b"<svg onload=alert(1)>").decode(),
    }
    status, told = await served.ask("POST", "/v1/voucher/mint", json=fields)
    assert (status, told["kind"]) == (400, "bad-request")
    assert "picture" in told["problem"]
    assert (await served.ask("GET", "/v1/voucher/list"))[1] == {"vouchers": []}


async def test_a_full_disk_is_one_sentence_and_nothing_is_lost(served: Served) -> None:
    """SQLite's own limit on pages stands for the disk: it answers with the same error."""
    await served.found_commons()
    writer = served.node.ledger._store._writer_db
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    fields = {"promise": "bread", "unit": "loaf", "quantity": 1, "terms": "x" * 280}
    answers = [await served.ask("POST", "/v1/voucher/mint", json=fields) for _ in range(40)]
    made = sum(status == 200 for status, _ in answers)
    status, told = answers[-1]
    assert (status, told["kind"]) == (507, "storage")
    assert "the disk is full" in told["problem"]
    writer.execute("PRAGMA max_page_count = 1000000")
    assert (await served.ask("POST", "/v1/voucher/mint", json=fields))[0] == 200
    assert len((await served.ask("GET", "/v1/voucher/list"))[1]["vouchers"]) == made + 1


async def test_what_needs_a_commons_says_so(served: Served) -> None:
    status, told = await served.ask("GET", "/v1/people/list")
    assert (status, told["kind"]) == (409, "refused")
    assert "belongs to no commons yet" in told["problem"]


async def test_a_wrong_invitation_is_one_sentence(served: Served) -> None:
    fields = {"invitation": "counterfoil:nonsense", "name": "baker"}
    status, told = await served.ask("POST", "/v1/commons/join", json=fields)
    assert status == 400
    assert "this invitation" in told["problem"]


async def test_a_second_commons_is_refused(served: Served) -> None:
    await served.found_commons()
    status, told = await served.ask("POST", "/v1/commons/found", json={"commons": "b", "purpose": "", "name": "c"})
    assert (status, told["kind"]) == (409, "refused")


async def test_members_that_do_not_exist_are_named(served: Served) -> None:
    await served.found_commons()
    fields = {"to": "nobody", "voucher": "0" * 64, "quantity": 1}
    status, told = await served.ask("POST", "/v1/exchange/give", json=fields)
    assert status == 404
    assert "'nobody'" in told["problem"]


async def test_events_arrive_as_they_happen(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.node.folder.token}"}
    async with asyncio.timeout(20), served.client.get(f"{served.rest.url}/v1/events", headers=headers) as stream:
        await served.found_commons()
        async for line in stream.content:
            if line.startswith(b"data: "):
                event = msgspec.json.decode(line[6:], type=Event)
                assert event.topic in ("people", "status")
                return


async def test_only_so_many_may_listen(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.node.folder.token}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        events = f"{served.rest.url}/v1/events"
        streams = [await client.get(events, headers=headers) for _ in range(MAX_LISTENERS)]
        assert all(stream.status == 200 for stream in streams)
        refused = await client.get(events, headers=headers)
        assert refused.status == 503
        for stream in (*streams, refused):
            stream.close()


async def test_the_openapi_document_has_every_action(served: Served) -> None:
    status, told = await served.ask("GET", "/v1/openapi.json")
    assert status == 200
    assert set(told["paths"]) == {action.path for action in ACTIONS.values()} | {"/v1/events"}
    _check_references(told, told["components"]["schemas"])


def _check_references(found: Any, schemas: dict[str, Any]) -> None:
    if isinstance(found, dict):
        if "$ref" in found:
            assert found["$ref"].rsplit("/", 1)[1] in schemas
        for value in found.values():
            _check_references(value, schemas)
    elif isinstance(found, list):
        for value in found:
            _check_references(value, schemas)
