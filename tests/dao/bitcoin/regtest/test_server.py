"""The HTTP door: who is let in, and what is said to calls that are none."""

import base64
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import msgspec
import pytest

from overlay.dao.bitcoin.regtest import RegtestService
from overlay.dao.bitcoin.regtest.server import MAX_BATCH, MAX_BODY_BYTES


class Door:
    """Raw HTTP to the service."""

    def __init__(self, session: aiohttp.ClientSession, url: str, login: str) -> None:
        self._session, self._url, self.login = session, url, login

    async def post(self, body: bytes, login: str | None = None, path: str = "") -> tuple[int, Any]:
        basic = base64.b64encode((self.login if login is None else login).encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        async with self._session.post(self._url + path, data=BytesIO(body), headers=headers) as response:
            raw = await response.read()
            return response.status, msgspec.json.decode(raw) if response.content_type.endswith("json") else raw

    async def request(self, method: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        async with self._session.request(method, self._url, headers=headers, data=b"{}") as response:
            await response.read()
            return response


@pytest.fixture
async def door(service: RegtestService) -> AsyncIterator[Door]:
    async with aiohttp.ClientSession() as session:
        yield Door(session, service.url, service.cookie_path.read_text())


async def test_a_call_is_answered(door: Door) -> None:
    status, answer = await door.post(b'{"jsonrpc":"1.0","id":"x","method":"getblockcount","params":[]}')
    assert (status, answer) == (200, {"result": 101, "error": None, "id": "x"})
    assert await door.post(b'{"method":"getblockcount"}') == (200, {"result": 101, "error": None, "id": None})
    assert (await door.post(b'{"method":"getblockcount"}', path="wallet/treasury"))[0] == 200


async def test_the_newer_form_has_either_result_or_error(door: Door) -> None:
    status, answer = await door.post(b'{"jsonrpc":"2.0","id":7,"method":"getblockcount"}')
    assert (status, answer) == (200, {"jsonrpc": "2.0", "result": 101, "id": 7})
    status, answer = await door.post(b'{"jsonrpc":"2.0","id":7,"method":"nothing"}')
    error = {"code": -32601, "message": "Method not found"}
    assert (status, answer) == (200, {"jsonrpc": "2.0", "error": error, "id": 7})


@pytest.mark.parametrize(
    "login",
    ["", ":", "__cookie__:", "__cookie__:" + "0" * 64, "farmer:secret", "__cookie__", "\x00", "ж:ж"],
)
async def test_a_wrong_login_is_turned_away(door: Door, login: str) -> None:
    assert (await door.post(b'{"method":"stop"}', login=login))[0] == 401
    assert (await door.post(b'{"method":"uptime"}'))[0] == 200


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer abc", "Basic \xff", "Basic " + "A" * 4_000])
async def test_a_broken_login_is_turned_away(door: Door, header: str) -> None:
    response = await door.request("POST", {"Authorization": header})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="jsonrpc"'


async def test_only_post_is_served(door: Door) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        response = await door.request(method, {})
        assert response.status == 405
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 500, -32700),
        (b"{", 500, -32700),
        (b"\xff", 500, -32700),
        (b'{"method":"\xff"}', 500, -32700),
        (b"[" * 100_000 + b"]" * 100_000, 500, -32700),
        (b'{"method":"getblockhash","params":[1e99999999999999999999]}', 500, -32700),
        (b'{"method":"getblockhash","params":[' + b"9" * 5_000 + b"]}", 500, -32700),
        (b"5", 400, -32600),
        (b"null", 400, -32600),
        (b"{}", 400, -32600),
        (b'{"method":5}', 400, -32600),
        (b'{"method":"uptime","params":"none"}', 400, -32600),
        (b'{"method":"uptime","params":5}', 400, -32600),
        (b'{"method":"dumpprivkey"}', 404, -32601),
        (b'{"method":"__class__"}', 404, -32601),
        (b'{"method":"getblockhash"}', 500, -1),
        (b'{"method":"getblockhash","params":[1,2]}', 500, -1),
        (b'{"method":"getblockhash","params":[null]}', 500, -1),
        (b'{"method":"getblockhash","params":["1"]}', 500, -3),
        (b'{"method":"getblockhash","params":[true]}', 500, -3),
        (b'{"method":"getblockhash","params":[1.0]}', 500, -3),
        (b'{"method":"getblockhash","params":{"height":[]}}', 500, -3),
        (b'{"method":"getblockhash","params":{"heigth":1}}', 500, -8),
        (b'{"method":"getblockhash","params":[-1]}', 500, -8),
        (b'{"method":"getblockhash","params":[102]}', 500, -8),
        (b'{"method":"getblock","params":["zz"]}', 500, -8),
        (b'{"method":"getblock","params":["' + b"ab" * 32 + b'"]}', 500, -5),
        (b'{"method":"sendrawtransaction","params":["00"]}', 500, -22),
        (b'{"method":"sendrawtransaction","params":["0"]}', 500, -22),
        (b'{"method":"sendrawtransaction","params":["00",-1]}', 500, -22),
        (b'{"method":"submitblock","params":["00"]}', 500, -22),
        (b'{"method":"generatetoaddress","params":[1,"nowhere"]}', 500, -5),
        (b'{"method":"generatetoaddress","params":[1001,"nowhere"]}', 500, -5),
        (b'{"method":"sendtoaddress","params":["nowhere",1]}', 500, -5),
        (b'{"method":"estimatesmartfee","params":[0]}', 500, -8),
        (b'{"method":"scantxoutset","params":["start",["tr(00)"]]}', 500, -5),
    ],
    ids=range(36),
)
async def test_a_bad_call_gets_bitcoinds_code_and_changes_nothing(
    door: Door, service: RegtestService, body: bytes, status: int, code: int
) -> None:
    tip = service.node.chain.tip
    found, answer = await door.post(body)
    assert (found, answer["error"]["code"], answer["result"]) == (status, code, None)
    assert service.node.chain.tip == tip
    assert len(service.node.chain.mempool) == 0
    assert (await door.post(b'{"method":"getblockcount"}'))[1]["result"] == 101


async def test_calls_come_in_batches_up_to_a_limit(door: Door) -> None:
    call = {"method": "getblockcount", "id": 1}
    status, answers = await door.post(msgspec.json.encode([call] * MAX_BATCH))
    assert (status, len(answers)) == (200, MAX_BATCH)
    status, answer = await door.post(msgspec.json.encode([call] * (MAX_BATCH + 1)))
    assert (status, answer["error"]["code"]) == (400, -32600)
    status, answers = await door.post(msgspec.json.encode([call, 5, {"method": "nothing", "id": 2}]))
    assert [answer["error"] and answer["error"]["code"] for answer in answers] == [None, -32600, -32601]
    assert status == 200


async def test_a_body_has_a_greatest_size(door: Door) -> None:
    call = b'{"method":"help","params":["%s"]}'
    room = MAX_BODY_BYTES - len(call) + 2
    assert (await door.post(call % (b"x" * room)))[0] == 200
    assert (await door.post(call % (b"x" * (room + 1))))[0] == 413


async def test_amounts_are_written_with_eight_decimals(door: Door, service: RegtestService) -> None:
    async with aiohttp.ClientSession() as session:
        basic = base64.b64encode(door.login.encode()).decode()
        async with session.post(
            service.url, data=b'{"method":"getmempoolinfo"}', headers={"Authorization": f"Basic {basic}"}
        ) as response:
            assert b'"minrelaytxfee":0.00001000,' in await response.read()


async def test_a_full_disk_ends_the_service_as_it_ends_bitcoind(
    door: Door, service: RegtestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service.node.chain, "sync", full)
    body = b'{"method":"generatetoaddress","params":[1,"%s"]}' % service.faucet_address.encode()
    status, answer = await door.post(body)
    assert (status, answer["error"]["code"]) == (500, -32603)
    assert "No space left" in answer["error"]["message"]
    await service.stopped()
    monkeypatch.undo()
