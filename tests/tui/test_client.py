"""The client gives typed answers or one clear problem, whatever the other side sends."""

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from overlay.node.wire import AskTrust, MintVoucher, People, Problem, Status, Voucher, Why
from tests.tui import story
from tests.tui.double import TOKEN, NodeDouble
from tui.client import RESPONSE_LIMIT, NodeClient
from tui.problem import NodeProblem


async def test_a_read_gives_the_struct_and_sends_the_request_as_query(node: NodeDouble) -> None:
    async with NodeClient(node.url, TOKEN) as client:
        assert await client.read("status/show", Status) == story.status()
        await client.read("trust/why", Why, AskTrust("mechanic"))
    assert node.queries == [{}, {"member": "mechanic"}]


async def test_a_command_sends_json_with_bytes_in_base64(node: NodeDouble) -> None:
    node.done["voucher/mint"] = story.vouchers().vouchers[0]
    async with NodeClient(node.url, TOKEN) as client:
        await client.command("voucher/mint", MintVoucher("Bread", "loaf", 3, picture=b"\x89PNG"), Voucher)
    [(path, sent)] = node.commands
    assert path == "voucher/mint"
    assert sent == {
        "promise": "Bread", "unit": "loaf", "quantity": 3, "terms": "", "expires_in": 0, "picture": "iVBORw==",
    }  # fmt: skip


async def test_the_nodes_own_sentence_is_the_problem(node: NodeDouble) -> None:
    node.problems["people/list"] = (409, Problem("nobody is here", "refused"))
    async with NodeClient(node.url, TOKEN) as client:
        with pytest.raises(NodeProblem, match="nobody is here") as caught:
            await client.read("people/list", People)
    assert caught.value.kind == "refused"


async def test_a_wrong_token_is_forbidden_for_reads_and_events(node: NodeDouble) -> None:
    async with NodeClient(node.url, "wrong") as client:
        with pytest.raises(NodeProblem, match="opens nothing") as caught:
            await client.read("people/list", People)
        assert caught.value.kind == "forbidden"
        with pytest.raises(NodeProblem, match="opens nothing"):
            await anext(client.events())


async def test_texts_in_an_answer_and_in_a_problem_are_sanitized(node: NodeDouble) -> None:
    node.answers["people/list"] = People((story.person("baker", name="\x1b[31mbaker\u202e"),))
    node.problems["status/show"] = (500, Problem("no\x1b[2J\nway", "internal"))
    async with NodeClient(node.url, TOKEN) as client:
        assert (await client.read("people/list", People)).people[0].name == "baker"
        with pytest.raises(NodeProblem, match=r"^no way$"):
            await client.read("status/show", Status)


async def test_where_nothing_listens_the_node_does_not_answer(node: NodeDouble) -> None:
    await node.stop()
    async with NodeClient(node.url, TOKEN) as client:
        with pytest.raises(NodeProblem, match="does not answer") as caught:
            await client.read("people/list", People)
    assert caught.value.kind == "unavailable"


BODIES = {"no json": b"<html>", "another struct": b'{"people": 3}', "bad text": b'{"people": "\xff"}', "nothing": b""}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_an_answer_that_is_no_answer_is_a_problem(status: int, body: bytes) -> None:
    async with (
        _answering(web.Response(status=status, body=body)) as server,
        NodeClient(str(server.make_url("")), "t") as client,
    ):
        with pytest.raises(NodeProblem):
            await client.read("people/list", People)


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    answer = web.Response(status=307, headers={"Location": "http://192.0.2.1/"})
    async with _answering(answer) as server, NodeClient(str(server.make_url("")), "t") as client:
        with pytest.raises(NodeProblem, match="307"):
            await client.read("people/list", People)


@pytest.mark.parametrize(("size", "fits"), [(RESPONSE_LIMIT, True), (RESPONSE_LIMIT + 1, False)])
async def test_an_answer_at_the_limit_is_read_and_one_byte_more_is_a_problem(size: int, fits: bool) -> None:
    body = msgspec.json.encode(People(())).ljust(size)
    async with _answering(web.Response(body=body)) as server, NodeClient(str(server.make_url("")), "t") as client:
        if fits:
            assert await client.read("people/list", People) == People(())
        else:
            with pytest.raises(NodeProblem, match="8,388,608 bytes"):
                await client.read("people/list", People)


def _answering(response: web.Response) -> TestServer:
    """A server that says the same to everybody."""

    async def answer(_: web.Request) -> web.Response:
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return TestServer(app)
