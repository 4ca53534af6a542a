"""The demo speaks to nodes only here: their REST interface. And to the regtest service by its JSON-RPC."""

import base64
import http.client
import itertools
import json
import urllib.parse
from pathlib import Path
from typing import Any

from scripts.story.processes import DemoFailed

TIMEOUT = 30.0


class NodeRefused(Exception):
    """The node answered with a problem: its sentence."""


class Member:
    """One node, by its REST interface."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.public_key = ""

    @property
    def is_up(self) -> bool:
        return (self.folder / "rest.json").exists()

    def get(self, path: str, **query: str) -> Any:
        """Ask a query, for example `get("people/list")`."""
        return self._ask("GET", f"/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else ""), None)

    def post(self, path: str, **fields: object) -> Any:
        """Ask for an action; raises NodeRefused with the node's sentence."""
        return self._ask("POST", f"/v1/{path}", json.dumps(fields).encode())

    def refresh(self) -> None:
        self.public_key = self.get("status/show")["public_key"]

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        url = urllib.parse.urlsplit((self.folder / "rest.json").read_text())
        token = (self.folder / "rest.token").read_text()
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DemoFailed(f"the {self.name}'s node did not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise NodeRefused(told["problem"])
        return told


class Regtest:
    """The Bitcoin service, by its JSON-RPC."""

    def __init__(self, url: str, cookie: Path) -> None:
        self.url, self.cookie = url, cookie
        self._numbers = itertools.count(1)

    def call(self, method: str, *params: object) -> Any:
        url = urllib.parse.urlsplit(self.url)
        login = base64.b64encode(self.cookie.read_bytes()).decode()
        body = json.dumps({"jsonrpc": "1.0", "id": next(self._numbers), "method": method, "params": params})
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
        try:
            connection.request("POST", "/", body, {"Authorization": f"Basic {login}"})
            told = json.loads(connection.getresponse().read(), parse_float=str)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DemoFailed(f"the regtest service did not answer: {error}") from error
        finally:
            connection.close()
        if told.get("error"):
            raise DemoFailed(f"the regtest service refused {method}: {told['error']['message']}")
        return told["result"]
