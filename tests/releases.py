"""Other releases of Prometheus, Alertmanager and Pushgateway, unpacked beside the installed ones and put before them.

A test that asks for `release` runs with what is installed, and in `make test-matrix` once more with each of RELEASES.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".neighbours"
"""Where they stay from one run to the next; `make clean` removes it."""
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "prometheus-pushgateway")
INSTALLED = "installed"


@dataclass(frozen=True)
class Release:
    """What a suite of Debian brings, at least: a suite that is not out yet moves on."""

    prometheus: tuple[int, int]
    alertmanager: tuple[int, int]


RELEASES = {"trixie": Release((2, 53), (0, 28)), "forky": Release((3, 5), (0, 33))}


@pytest.fixture(
    scope="module",
    params=[
        INSTALLED,
        *(pytest.param(suite, marks=pytest.mark.matrix) for suite in RELEASES),
    ],
)
def release(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the release whose programs come first on PATH."""
    suite: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        if suite != INSTALLED:
            patch.setenv("PATH", f"{programs(suite)}{os.pathsep}{os.environ['PATH']}")
        yield suite


def programs(suite: str) -> Path:
    """The folder of a release's programs, unpacked where they are not there yet.

    Where that cannot be done: skips the test at home, fails it where `CI=true`.
    """
    FOLDER.mkdir(exist_ok=True)
    folder = FOLDER / suite
    with (FOLDER / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _unpack(suite, folder)
    found = folder / "usr" / "bin"
    expected = RELEASES[suite]
    for program, least in (("prometheus", expected.prometheus), ("prometheus-alertmanager", expected.alertmanager)):
        assert version(found / program) >= least, f"{program} of {suite} is too old: remove {folder}"
    return found


def version(program: Path | str) -> tuple[int, int]:
    """Of a program of Prometheus' house: its first two numbers."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout + done.stderr)
    assert found is not None, done.stdout + done.stderr
    return int(found[1]), int(found[2])


def _unpack(suite: str, folder: Path) -> None:
    if shutil.which("apt-get") is None:
        _missing("needs apt-get, to fetch programs of another release")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    script = ROOT / "scripts" / "unpack-neighbours"
    done = subprocess.run([script, suite, partial, *PROGRAMS], capture_output=True, text=True, check=False)
    if done.returncode:
        _missing(f"{script.name} {suite} ended with {done.returncode}: {done.stderr[-1000:]}")
    partial.rename(folder)


def _missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
