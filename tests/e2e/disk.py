"""A small disk of its own for a store: really full when it is full, and seen by nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_PLUGIN = Path(__file__).parent / "plugin"
_ROOT = Path(__file__).parents[2]


class SmallDisk:
    """A tmpfs over `folder` in a mount namespace of its own, for as long as a `with` block lasts.

    Programs get into it by `before`, put in front of their words; this process reads and writes it at `root`. SQLite
    does not: it follows that path to where it seems to lead.
    """

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self.size = size
        folder.mkdir()

    def __enter__(self) -> Self:
        self._holder, refused = self._held(), ""
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            assert self._holder.stderr is not None
            refused = self._holder.stderr.read().decode().strip()
            self.__exit__(None, None, None)
            why = f"no file system can be mounted here, so no disk can be filled: {refused}"
            # A container without the right to mount is a place where this test cannot run; CI on a machine is not.
            if os.environ.get("CI") == "true" and "not permitted" not in refused and "denied" not in refused:
                pytest.fail(why)
            pytest.skip(why)
        pid = str(self._holder.pid)
        enter = shutil.which("nsenter")
        assert enter, "nsenter comes with unshare"
        user = () if os.geteuid() == 0 else ("-U", "--preserve-credentials")
        self.before = (enter, "-t", pid, "-m", *user, "--")
        self.root = Path(f"/proc/{pid}/root{self.folder}")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._holder.communicate()  # its input ends, and it with it

    def _held(self) -> subprocess.Popen[bytes]:
        program = shutil.which("unshare")
        if program is None:
            pytest.skip("unshare not found: install the Debian package util-linux")
        words = [program, "-m"] if os.geteuid() == 0 else [program, "-U", "-r", "-m"]
        script = 'mount -t tmpfs -o "size=$1,mode=0700" tmpfs "$2" && echo mounted && exec cat'
        return subprocess.Popen(
            [*words, "sh", "-c", script, "sh", self.size, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def fill(self, leave: int = 0) -> None:
        """Take all room but so many bytes."""
        free = os.statvfs(self.root)
        with (self.root / "ballast").open("ab", buffering=0) as file:
            left = free.f_bavail * free.f_frsize - leave
            if left > 0:
                file.write(bytes(left))

    def empty(self) -> None:
        """Give the room back."""
        (self.root / "ballast").unlink(missing_ok=True)

    def make_due(self, source: str) -> None:
        """Let a source be due now, as if its interval had passed."""
        code = "import sys, pathlib, tests.e2e.daemon as d; d.make_due(pathlib.Path(sys.argv[1]), sys.argv[2])"
        words = [*self.before, sys.executable, "-c", code, str(self.folder), source]
        subprocess.run(words, check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(_ROOT)})

    def cloudspend(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        return subprocess.run(
            [*self.before, sys.executable, "-m", "exporter", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(_PLUGIN), **environment},
        )
