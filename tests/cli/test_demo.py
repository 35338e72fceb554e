"""`--demo`: the first command that shows the demo reads it, and it is the demo whatever else is configured."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import Popen

import pytest

from exporter.store.state import State
from tests.cli.test_commands import cloudspend, started

NOW = "2024-03-15T12:00:00Z,frozen"
READING = "reading the demo into"
WORDS = ("costs", "--demo", "--format", "json")


def test_a_store_that_was_begun_and_never_filled_is_filled(tmp_path: Path) -> None:
    (tmp_path / "cloudspend-demo").mkdir()
    State(tmp_path / "cloudspend-demo" / "state.sqlite").close()  # a daemon has started, or somebody gave up
    done = cloudspend(*WORDS, folder=tmp_path, CLOUDSPEND_NOW=NOW)
    assert (done.returncode, done.stderr.count(READING)) == (0, 1)
    assert {line["currency"] for line in json.loads(done.stdout)} == {"EUR", "USD"}


def test_of_two_commands_at_once_neither_shows_half_a_bill(tmp_path: Path) -> None:
    running: list[Popen[str]] = [started(*WORDS, folder=tmp_path, CLOUDSPEND_NOW=NOW) for _ in range(2)]
    one, other = (each.communicate(timeout=60)[0] for each in running)
    assert [each.returncode for each in running] == [0, 0]
    assert one == other
    assert json.loads(one)


def test_a_bill_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "cloudspend-demo").write_text("no folder")
    done = cloudspend(*WORDS, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cloudspend-demo" in done.stderr
    assert "Traceback" not in done.stderr
    # 1 would mean that something fires.
    assert cloudspend("alerts", "--demo", "--exit-code", folder=tmp_path).returncode == 2


def test_it_is_the_demo_whatever_the_environment_names(tmp_path: Path) -> None:
    done = cloudspend("config", "check", "--demo", folder=tmp_path, CLOUDSPEND_CONFIG="nowhere.yml")
    assert (done.returncode, done.stdout.startswith("demo: ")) == (0, True)


@pytest.mark.parametrize("words", [("costs",), ("serve",), ("config", "check")])
def test_two_bills_at_once_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = cloudspend(*words, "--demo", "--config", "a.yml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--demo goes without --config" in done.stderr
