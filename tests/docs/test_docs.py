"""The documentation cannot lie about names: what is there is documented, and what is documented is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from pydantic import BaseModel

from exporter import providers
from exporter.cli import cli
from exporter.config import Config, SourceSettings
from exporter.errors import REASONS
from exporter.metrics.catalog import CATALOG, WORKER_FAILURES
from tests.docs.pages import (
    ROOT,
    anchors,
    blocks,
    commands,
    headings,
    inline,
    links,
    name,
    pages,
    prose,
    repository,
    section,
)

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
REFERENCE = {path.stem: path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md")}
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
RULES = [
    rule
    for path in sorted((ROOT / "alertmanager" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
every_page = pytest.mark.parametrize("page", pages(), ids=name)


# --- generated from the code ---------------------------------------------------------------------------------------


def test_generated_files_are_fresh() -> None:
    # In a process of its own: what another test patches while a command is first imported would stay in its help.
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), "run make docs"


@pytest.mark.parametrize("metric", CATALOG)
def test_every_metric_is_documented_with_its_labels(metric: str) -> None:
    assert f"`{metric}`" in headings(REFERENCE["metrics"], 3)
    for label in CATALOG[metric].labels:
        assert f"| `{label}` |" in REFERENCE["metrics"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule.get("record"))
def test_every_rule_is_documented(rule: dict[str, Any]) -> None:
    title = rule.get("alert") or f"`{rule['record']}`"
    assert title in headings(REFERENCE["alerts"], 3)
    if "alert" in rule:
        assert title in headings(RUNBOOKS, 2)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented_and_has_a_heading_in_the_runbooks(reason: str) -> None:
    assert f"| [`{reason}`](../runbooks.md#{reason}) |" in REFERENCE["metrics"]
    assert reason in headings(RUNBOOKS, 3)


@pytest.mark.parametrize("reason", WORKER_FAILURES)
def test_every_way_a_worker_dies_is_documented(reason: str) -> None:
    assert f"`{reason}`" in section(REFERENCE["metrics"], "Values of `reason`")
    assert f"- `{reason}`: " in RUNBOOKS


def every_command(command: click.Command = cli, path: str = "cloudspend") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    for word, inner in getattr(command, "commands", {}).items():
        if inner.hidden:  # another name of a command
            continue
        yield from every_command(inner, f"{path} {word}")


@pytest.mark.parametrize(("path", "command"), list(every_command()), ids=[path for path, _ in every_command()])
def test_every_command_and_option_has_help_and_is_documented(path: str, command: click.Command) -> None:
    documented = section(REFERENCE["cli"], path)
    assert command.help
    for option in command.params:
        if isinstance(option, click.Argument):
            assert option.make_metavar(click.Context(command)) in command.help, f"{option.name} is explained"
            continue
        assert isinstance(option, click.Option)
        assert option.help or isinstance(option.type, click.Choice), f"{option.name} explains itself"
        for spelling in option.opts:
            assert re.search(rf"^\| `[^`]*(?<![\w-]){re.escape(spelling)}(?![\w-])", documented, re.MULTILINE), spelling


def every_setting() -> Iterator[tuple[str, str]]:
    """(heading, key) of each setting; the options of providers stand under their names."""
    for key, field in Config.model_fields.items():
        if key == "sources":
            yield from (("sources", common) for common in SourceSettings.COMMON)
        else:
            # A part that may be left out altogether is annotated `Part | None`, a list of them `tuple[Part, ...]`.
            kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if isinstance(kind, type)]
            kinds = [kind for kind in kinds if kind is not type(None)]
            assert len(kinds) == 1
            assert issubclass(kinds[0], BaseModel)
            yield from ((key, inner) for inner in kinds[0].model_fields)
    for provider in providers.BUILTIN:
        yield from ((provider, option) for option in providers.spec(provider).options.model_fields)


@pytest.mark.parametrize(("heading", "key"), list(every_setting()))
def test_every_setting_is_documented_and_in_the_example(heading: str, key: str) -> None:
    text = REFERENCE["configuration"]
    below = re.split(rf"^##+ {heading}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    assert f"| `{key}` |" in re.split(r"^##+ ", below, maxsplit=1, flags=re.MULTILINE)[0]
    assert re.search(rf"^[ #-]*{key}: ", (ROOT / "config.example.yml").read_text(), re.MULTILINE)


@pytest.mark.parametrize("provider", providers.BUILTIN)
def test_every_provider_is_documented(provider: str) -> None:
    assert provider in headings(REFERENCE["configuration"], 3)


# --- pages lead somewhere ------------------------------------------------------------------------------------------


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in links(page.read_text()):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal.read_text()), target


@every_page
def test_every_page_is_on_the_map(page: Path) -> None:
    """… as long as it lies in docs/; the others are shown by the repository where they lie."""
    index = ROOT / "docs" / "index.md"
    shown = {(index.parent / target.partition("#")[0]).resolve() for target in links(index.read_text())}
    assert page in shown or page == index or index.parent not in page.parents


@every_page
def test_every_command_on_a_page_parses(page: Path) -> None:
    for words in commands(page.read_text()):
        parse(words)


def parse(words: list[str]) -> None:
    """Let click read a command line, without running anything. UsageError where it would refuse it."""
    command: click.Command | None = cli
    parent: click.Context | None = None
    word: str | None = "cloudspend"
    rest = [*words]
    try:
        while isinstance(command, click.Group):
            parent = command.make_context(word, rest, parent=parent)
            if not parent._protected_args:
                return
            word, command, rest = command.resolve_command(parent, [*parent._protected_args, *parent.args])
        assert command
        command.make_context(word, rest, parent=parent)
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):  # --help, --version, a group by itself
        return


@pytest.mark.parametrize(
    "words",
    ["plans", "serve --no-such-option", "config chek", "costs --format xml", "collect --start yesterday", "serve now"],
)
def test_a_command_that_does_not_exist_does_not_parse(words: str) -> None:
    with pytest.raises(click.UsageError):
        parse(words.split())


def test_commands_are_found_wherever_they_stand() -> None:
    script = "```sh\nX=1 .venv/bin/cloudspend d | head # e\n```\n"
    console = "```console\n$ f; cloudspend g 'h i'\nsaid cloudspend j\n```\n"
    text = f"`cloudspend a --b c`\n\n{script}\n{console}"
    assert list(commands(text)) == [["d"], ["g", "h i"], ["a", "--b", "c"]]


@every_page
def test_every_word_of_make_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    typed = [line for block in blocks(text) for line in block.code.splitlines()]
    for line in [*typed, *inline(text)]:
        for words in re.findall(r"^(?:\$ )?make((?: [a-z-]+)+)", line):
            assert set(words.split()) <= targets, line


@every_page
def test_every_path_on_a_page_exists(page: Path) -> None:
    """Paths of the repository in running text; what is yet to be written has a `<name>`, or is Acme's."""
    rooms = "|".join(sorted({name(path).partition("/")[0] for path in repository() if "/" in name(path)}))
    for word in inline(page.read_text()):
        if re.fullmatch(rf"({re.escape('.ci')}|{rooms})/[\w./*-]+", word) and "acme" not in word:
            assert any(ROOT.glob(word.rstrip("/"))), word


@every_page
def test_every_metric_on_a_page_is_one(page: Path) -> None:
    known = {*CATALOG, *(rule["record"] for rule in RULES if "record" in rule)}
    # `vars.cloudspend_url` and `$cloudspend_url$` are Icinga's.
    for word in re.findall(r"(?<![\w/{.$])(?:[a-z_]+:)?cloudspend_[a-z_]+(?::\w+)?\b(?!\.|-|\*)", page.read_text()):
        partial = any(metric.startswith(word) for metric in known) and word.endswith("_")
        assert partial or word in known or word.startswith("cloudspend_acme"), word


# --- README, CONTRIBUTING ------------------------------------------------------------------------------------------


def test_the_readme_has_its_parts_in_order() -> None:
    assert headings(README, 1) == ["cloudspend"]
    assert headings(README, 2) == [
        "Try it in thirty seconds",
        "Ten lines of /metrics",
        "Connect your cloud",
        "What it is not",
        "How it compares",
        "Documentation",
        "Contributing",
        "Licence",
    ]
    assert len(README.splitlines()) <= 180


def test_the_ten_lines_of_the_readme_are_lines_of_the_golden_scrape() -> None:
    [shown] = blocks(section(README, "Ten lines of /metrics"))
    golden = (ROOT / "tests" / "golden" / "metrics.prom").read_text().splitlines()
    assert len(shown.code.splitlines()) == 10
    assert [line for line in shown.code.splitlines() if line not in golden] == []


def test_the_map_of_the_house_has_the_layers_from_top_to_bottom() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    order = [re.findall(r"exporter\.(\w+)", layer) for layer in layers]
    mapped = re.findall(
        r"`exporter/(\w+)", "\n".join(re.findall(r"^\| (.*?) \|", section(CONTRIBUTING, "The map"), re.M))
    )
    below = [next(depth for depth, layer in enumerate(order) if room in layer) for room in mapped]
    assert below == sorted(below)
    there = {re.split(r"[./]", name(path))[1] for path in repository() if name(path).startswith("exporter/")}
    assert set(mapped) == {room for room in there if not room.startswith("_")} - {"py"}


def test_the_changelog_is_tagged_and_begins_with_what_is_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert headings(changelog, 2)[0] == "Unreleased"
    for line in re.findall(r"^\* (.*)$", changelog, re.MULTILINE):
        assert re.match(r"\[(FEATURE|ENHANCEMENT|CHANGE|BUGFIX)\] [A-Z`]", line), line


# --- how we write --------------------------------------------------------------------------------------------------

ONE_MACHINE = re.compile(r"(?<![\w.~])/(?:home|root|work|workspace|Users|mnt|builds)/\w")
REGISTRY = re.compile(r"pypi\.|pythonhosted\.|npmjs\.|crates\.io|artifactory|nexus\.|devpi", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK|TBD|WIP|lorem ipsum)\b")
SALES = re.compile(r"\b(?:simply|powerful|seamless|robust|cutting-edge|blazing)\b", re.IGNORECASE)


@pytest.mark.parametrize("rule", [ONE_MACHINE, REGISTRY, UNFINISHED], ids=["machine", "registry", "unfinished"])
def test_no_file_speaks_of_one_machine_a_registry_or_work_to_be_done(rule: re.Pattern[str]) -> None:
    found = []
    for path in repository():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if path == Path(__file__):  # it has the words to look for
            continue
        found += [f"{name(path)}: {match[0]}" for match in rule.finditer(text)]
    assert found == []


@every_page
def test_pages_are_plain(page: Path) -> None:
    text = prose(page.read_text())
    assert SALES.findall(text) == []
    assert [title for title in headings(text) if not title.isascii()] == []
    assert re.findall(r"\bwill\b|\bcoming soon\b|\bplanned\b", text) == []
