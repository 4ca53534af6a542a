"""The OpenAPI 3.1 document of the REST interface, made from the actions."""

from typing import Any

import msgspec

from overlay.node.actions import ACTIONS, Action
from overlay.node.node import version
from overlay.node.wire import Event, Problem

TEMPLATE = "#/components/schemas/{name}"


def document(url: str) -> dict[str, Any]:
    """Every route with its request and answers; `url` is where this node serves them."""
    types = [each for action in ACTIONS.values() for each in (action.ask, action.tell)]
    _, components = msgspec.json.schema_components([*types, Event, Problem], ref_template=TEMPLATE)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Counterfoil node", "version": version(), "license": {"name": "Apache-2.0"}},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": {action.path: _path(action, components) for action in ACTIONS.values()} | {"/v1/events": _events()},
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(action: Action, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{action.group}_{action.verb}",
        "summary": action.help.splitlines()[0],
        "responses": {"200": _content(action.tell.__name__), "default": _content(Problem.__name__)},
    }
    if action.query:
        schema = components[action.ask.__name__]
        required = schema.get("required", [])
        operation["parameters"] = [
            {"name": name, "in": "query", "required": name in required, "schema": each}
            for name, each in schema.get("properties", {}).items()
        ]
        return {"get": operation}
    operation["requestBody"] = {"required": True, **_content(action.ask.__name__)}
    return {"post": operation}


def _content(name: str) -> dict[str, Any]:
    schema = {"$ref": TEMPLATE.format(name=name)}
    return {"description": name, "content": {"application/json": {"schema": schema}}}


def _events() -> dict[str, Any]:
    schema = {"$ref": TEMPLATE.format(name=Event.__name__)}
    answer = {"description": "server-sent events", "content": {"text/event-stream": {"schema": schema}}}
    return {"get": {"operationId": "events", "summary": "What happens, as it happens.", "responses": {"200": answer}}}
