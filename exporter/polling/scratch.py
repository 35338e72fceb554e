"""Where a process puts what it needs for a while, so that the next one clears away what it could not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.store.files import storing


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A private folder below `folder`, gone at the end; `tempfile` puts all that this process makes into it.

    What was left by processes that were killed goes first: downloads, spilled tables.
    """
    mine = folder / str(os.getpid())
    with storing(folder):
        for left in folder.iterdir() if folder.is_dir() else ():
            if left == mine or not _alive(left.name):
                shutil.rmtree(left, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        mine.mkdir(mode=0o700)
    before, tempfile.tempdir = tempfile.tempdir, str(mine)
    try:
        yield mine
    finally:
        tempfile.tempdir = before
        shutil.rmtree(mine, ignore_errors=True)


def _alive(name: str) -> bool:
    try:
        os.kill(int(name), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
