"""The documentation names every setting, route, command and option."""

from pathlib import Path

import click
import msgspec
import pytest

from overlay.node.actions import ACTIONS, Action
from overlay.node.cli import main
from overlay.node.config import Config

ROOT = Path(__file__).parent.parent
USING = (ROOT / "docs" / "using.md").read_text()


@pytest.mark.parametrize("section", msgspec.structs.fields(Config), ids=lambda field: field.name)
def test_every_setting_is_documented(section: msgspec.structs.FieldInfo) -> None:
    assert f"`[{section.name}]`" in USING
    for setting in msgspec.structs.fields(section.type):
        assert f"`{setting.name}`" in USING, setting.name


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: f"{action.group}-{action.verb}")
def test_every_action_is_documented(action: Action) -> None:
    method = "GET" if action.query else "POST"
    assert f"| `{action.group} {action.verb}` | {method} `{action.path}` |" in USING


@pytest.mark.parametrize("name", ["node", "regtest"])
def test_every_option_is_documented(name: str) -> None:
    for option in main.commands[name].params:
        assert isinstance(option, click.Option)
        assert f"`{option.opts[0]}`" in USING, option.opts[0]


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in (part.split(")")[0] for part in page.read_text().split("](")[1:]):
            if "://" not in target:
                assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"
