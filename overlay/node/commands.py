"""One command per action, made from its request: fields become options, the answer is printed as JSON or a table."""

import http.client
import json
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from overlay.node.actions import ACTIONS, Action
from overlay.node.folder import running_node
from overlay.node.offline import at_home

TIMEOUT_SECONDS = 60.0
# What reads the whole ledger: a million statements take some minutes.
LONG_TIMEOUT_SECONDS = 3_600.0
LONG = ("ledger",)


def action_groups() -> list[click.Group]:
    """`counterfoil voucher mint ...` and so on, one group per noun."""
    groups: dict[str, click.Group] = {}
    for each in ACTIONS.values():
        group = groups.setdefault(each.group, click.Group(each.group, help=f"Ask the running node: {each.group}."))
        group.add_command(_command(each))
    return list(groups.values())


def _command(action: Action) -> click.Command:
    fields = msgspec.structs.fields(action.ask)
    params: list[click.Parameter] = [_option(field) for field in fields]
    return click.Command(action.verb, params=params, callback=_callback(action), help=action.help)


def _option(field: msgspec.structs.FieldInfo) -> click.Option:
    name = f"--{field.name.replace('_', '-')}"
    multiple, kind = _kind(field.type)
    required = field.required
    default = None if required or field.default is msgspec.NODEFAULT else field.default
    if kind is bool:
        return click.Option([name], is_flag=True, default=bool(default))
    return click.Option([name], type=kind, required=required, default=default, multiple=multiple, show_default=True)


def _kind(declared: Any) -> tuple[bool, Any]:
    """(may be given several times, click's type) of a field."""
    info = msgspec.inspect.type_info(declared)
    if isinstance(info, msgspec.inspect.Metadata):  # the only extra that a field has: it names a folder
        return False, click.Path(file_okay=False, resolve_path=True)
    if isinstance(info, msgspec.inspect.UnionType):
        info = next(each for each in info.types if not isinstance(each, msgspec.inspect.NoneType))
    match info:
        case msgspec.inspect.VarTupleType():
            return True, str
        case msgspec.inspect.IntType():
            return False, int
        case msgspec.inspect.BoolType():
            return False, bool
        case msgspec.inspect.BytesType():
            return False, click.Path(exists=True, dir_okay=False, path_type=Path)
        case msgspec.inspect.LiteralType(values=values):
            return False, click.Choice([str(value) for value in values])
    return False, str


def _callback(action: Action) -> Callable[..., None]:
    @click.pass_obj
    def run(folder: Path, /, **fields: object) -> None:
        given = {name: _content(value) for name, value in fields.items() if value is not None}
        told = at_home(folder, action, given)
        print_answer(ask(folder, action, given) if told is None else told)

    return run


def _content(value: object) -> object:
    """A file given for a field of bytes becomes its content."""
    return value.read_bytes() if isinstance(value, Path) else value


def ask(folder: Path, action: Action, fields: dict[str, object]) -> object:
    """Ask the node that runs on `folder`; raises click.ClickException with the node's own sentence."""
    found = running_node(folder)
    if found is None:
        raise click.ClickException(f"no node runs on {folder}: start one with `counterfoil --data {folder} node`")
    url, token = found
    place = urllib.parse.urlsplit(url)
    patience = LONG_TIMEOUT_SECONDS if action.group in LONG else TIMEOUT_SECONDS
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=patience)
    query = "?" + urllib.parse.urlencode(fields) if action.query and fields else ""
    body = None if action.query else msgspec.json.encode(fields)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("GET" if action.query else "POST", action.path + query, body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise click.ClickException(f"the node at {url} did not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise click.ClickException(str(told.get("problem", told)))
    return told


def print_answer(told: object) -> None:
    """Pretty JSON: for people short enough to read, for scripts exact. A QR code is drawn for whoever sees a screen.
    What was found unsound ends with status 1."""
    click.echo(json.dumps(told, indent=2, ensure_ascii=True))
    if isinstance(told, dict) and isinstance(told.get("qr"), str) and sys.stdout.isatty():
        click.echo(told["qr"])
    if isinstance(told, dict) and told.get("sound") is False:
        sys.exit(1)
