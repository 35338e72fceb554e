"""What pages show of a shell is what comes back: every `console` block of these pages is typed, and compared.

`pytest tests/docs/test_console.py --update-golden` writes what came back into the pages; read the diff.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.neighbours import require

PAGES = (
    "docs/explanation/when-is-a-day-final.md",
    "docs/explanation/why-gauges.md",
    "docs/how-to/backfill.md",
    "docs/how-to/import-focus.md",
    "docs/how-to/keep-the-price-down.md",
)
HOME = "/srv/cloudspend"
"""The folder that pages speak of, in place of the one that the test works in."""

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ .*\n(?:> .*\n)*", re.MULTILINE)
_BETWEEN = "\x1e\n"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_what_comes_back(page: str, tmp_path: Path, update_golden: bool) -> None:
    text = (ROOT / page).read_text()
    shown = _BLOCK.findall(text)
    typed = [[told.rstrip("\n") for told in _COMMAND.findall(block)] for block in shown]
    if any("promtool" in command for commands in typed for command in commands):
        require("promtool")

    answers = iter(answered([command for commands in typed for command in commands], tmp_path))
    came = ["".join(f"{command}\n{next(answers)}" for command in commands) for commands in typed]
    assert "Traceback" not in "".join(came)

    if update_golden:
        written = iter(came)
        (ROOT / page).write_text(_BLOCK.sub(lambda _: f"```console\n{next(written)}```", text))
        return
    assert came == shown


def answered(commands: list[str], folder: Path) -> list[str]:
    """What each command says, on stdout and stderr, typed one after the other into one shell."""
    script = "exec 2>&1\n" + "".join(f"{code(command)}\nprintf '{_BETWEEN[0]}\\n'\n" for command in commands)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPEND_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(ROOT)  # what is tested is this checkout, wherever the command was installed from
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    *said, rest = done.stdout.split(_BETWEEN)
    assert (len(said), rest, done.stderr) == (len(commands), "", ""), "the shell ended early"
    return [as_shown(words, folder) for words in said]


def code(command: str) -> str:
    """A command without its prompts."""
    return "\n".join(line[2:] for line in command.splitlines())


def as_shown(words: str, folder: Path) -> str:
    """An answer without what differs from run to run: the log, durations, the folder, blank lines at the end."""
    kept = [line.rstrip() for line in words.splitlines() if not line.startswith("ts=")]
    steady = "\n".join(kept).replace(str(folder), HOME).rstrip("\n")
    steady = re.sub(r"\b\d+\.\d s$", "0.3 s", steady, flags=re.MULTILINE)
    return f"{steady}\n" if steady else ""
