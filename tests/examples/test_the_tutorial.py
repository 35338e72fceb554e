"""docs/how-to/add-a-provider.md shows the code that runs, and nothing else."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import acme
import pytest
from test_adding_a_provider import LINE

from exporter import errors
from exporter.config.load import load
from exporter.errors import SourceError
from exporter.providers import ENTRY_POINTS, Options

HERE = Path(__file__).parent
TUTORIAL = (HERE.parents[1] / "docs" / "how-to" / "add-a-provider.md").read_text("utf-8")


def blocks() -> dict[str, list[str]]:
    """Title → the code blocks of that title, in order."""
    found = defaultdict(list)
    for title, code in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', TUTORIAL, re.MULTILINE | re.DOTALL):
        found[title].append(code)
    return found


def test_the_blocks_of_the_module_are_the_module() -> None:
    assert "\n\n".join(blocks()["acme.py"]) == (HERE / "acme.py").read_text("utf-8")


def test_the_block_of_the_test_is_the_test() -> None:
    assert blocks()["test_acme.py"] == [(HERE / "test_acme.py").read_text("utf-8")]


@pytest.mark.parametrize("name", ["README.md", "expected.json"])
def test_what_is_shown_of_the_recordings_stands_there(name: str) -> None:
    [shown] = blocks()[f"recorded/{name}"]
    assert shown in (HERE / "recorded" / name).read_text("utf-8")


def test_the_line_in_the_registry_is_the_one_that_was_tried() -> None:
    assert blocks()["exporter/providers/__init__.py"] == [f"+{LINE}"]


def test_the_entry_point_is_in_the_group_that_is_searched() -> None:
    [shown] = blocks()["pyproject.toml"]
    assert tomllib.loads(shown)["project"]["entry-points"] == {ENTRY_POINTS: {"acme": "cloudspend_acme:SPEC"}}


def test_the_configuration_loads(tmp_path: Path) -> None:
    class Registry:
        def names(self) -> tuple[str, ...]:
            return ("acme",)

        def options(self, name: str) -> type[Options]:
            return {"acme": acme.AcmeOptions}[name]

    [shown] = blocks()["cloudspend.yml"]
    config = load(shown, Registry(), folder=tmp_path, environment={"ACME_TOKEN": "t0ken-for-tests"})
    assert isinstance(config.sources[0].options, acme.AcmeOptions)
    assert config.sources[0].options.token.get_secret_value() == "t0ken-for-tests"


def test_every_reason_is_explained() -> None:
    kinds = {kind.reason: name for name, kind in vars(errors).items() if is_reason(kind)}
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|.*\|$", TUTORIAL, re.MULTILINE)) == kinds


def is_reason(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, SourceError) and kind is not SourceError
