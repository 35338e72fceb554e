"""Writing a file so that it is there, whole, after a power cut, or not at all; and a disk without room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.errors import StoreError

RESERVE = 1 << 20
"""Bytes kept free for the state file. SQLite's log is written back long before it is that long."""

_LOW = RESERVE // 4
_NONE = 1 << 15
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "disk is full")


def write_durably(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`: written beside it, synced, renamed, the folder synced.

    OSError where that cannot be; then nothing of it is left.
    """
    draft = path.with_name(path.name + ".tmp")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each so that it survives a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """StoreError for whatever the file system refuses inside, with a hint where the disk is full."""
    try:
        yield
    except OSError as error:
        raise StoreError(refused(path, error.strerror or str(error))) from error
    except StoreError as error:
        if not any(words in str(error) for words in _NO_ROOM) or "hint:" in str(error):
            raise
        raise StoreError(refused(path, _NO_ROOM[0])) from error


def refused(path: Path, why: str) -> str:
    """The sentence for a file or folder that cannot be written."""
    # SQLite says "disk I/O error" where there is no room for its shared memory.
    full = any(words in why for words in _NO_ROOM) or _room(path.parent) < _NONE
    hint = ". hint: make room on its disk; what is stored is whole, and the next try goes on by itself" if full else ""
    return f"{path}: cannot be written: {why}{hint}"


def need_room(folder: Path) -> None:
    """StoreError where so little room is left that it is the state file's."""
    if _room(folder) < RESERVE + _LOW:
        raise StoreError(refused(folder, _NO_ROOM[0]))


def keep_reserve(folder: Path) -> None:
    """Take room that `use_reserve` gives back, unless there is little left: a full disk can then still be told of."""
    reserve = folder / "reserve"
    if reserve.exists() or _room(folder) < 4 * RESERVE:
        return
    with suppress(OSError), reserve.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RESERVE)


def use_reserve(folder: Path) -> None:
    """Give the reserve back where hardly any room is left."""
    if _room(folder) < _LOW:
        with suppress(OSError):
            (folder / "reserve").unlink(missing_ok=True)


def _room(folder: Path) -> int:
    """Bytes that may still be written, as far as the file system says."""
    try:
        found = os.statvfs(folder)
    except OSError:  # not there yet
        return 2 * RESERVE
    return found.f_bavail * found.f_frsize
