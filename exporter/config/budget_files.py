"""Budgets in files of their own: a folder whose *.yml hold one budget each, or a list under `budgets`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exporter.config.document import Document, Found, Mark, Origin, Place, parse, path_text
from exporter.config.environment import substitute
from exporter.config.values import local_path
from exporter.errors import ConfigError, Problem

KEY = "budgets"
SUFFIXES = (".yml", ".yaml")

Stamps = tuple[tuple[str, int, int, int], ...]
"""Changes when a file of a folder is written, added or removed."""


Instead = Mapping[Path, str | None]
"""File → the text that it would have; None where it would be gone. Others are read as they are."""


def gathered(
    document: Document, folder: Path, environment: Mapping[str, str], instead: Instead = MappingProxyType({})
) -> Document:
    """The document with the budgets of the folder that `budgets` names in its place; as it was where it names none."""
    given = document.value.get(KEY)
    if not isinstance(given, str) or (KEY,) in document.judged:
        return document
    gathering = _Gathering(document, environment, instead)
    try:
        home = local_path(given, folder)
        known = files(home) if home.is_dir() or not instead else ()
        added = (path for path, text in instead.items() if path.parent == home and text is not None)
        for path in sorted({*known, *added}):
            gathering.file(path)
    except ValueError as error:
        message, _, hint = str(error).partition(". hint: ")
        gathering.found.append(document.problem((KEY,), message, hint or None))
    return gathering.done()


def folder_of(file: Path, environment: Mapping[str, str]) -> Path | None:
    """The folder that holds the budgets of a configuration file; None where they stand in the file itself.

    ConfigError for a file that is no configuration; more than this one key is not looked at.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem("", f"cannot be read: {error}"),), str(file)) from None
    value = substitute(parse(text, str(file)), environment).value
    given = value.get(KEY) if isinstance(value, dict) else None
    try:
        return local_path(given, file.parent.absolute()) if isinstance(given, str) else None
    except ValueError as error:
        raise ConfigError((Problem(KEY, str(error)),), str(file)) from None


def files(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that hold budgets, by name. ValueError where there is no such folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        hint = "make the folder, or list the budgets here"
        raise ValueError(f"cannot read {folder}: {error.strerror or 'no reason given'}. hint: {hint}") from None
    # What begins with a dot is an editor's own.
    return tuple(folder / name for name in names if name.endswith(SUFFIXES) and not name.startswith("."))


def stamps(folder: Path) -> Stamps:
    """What `files` are like now. Empty where there is no such folder."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                    seen = entry.stat()
                    found.append((entry.name, seen.st_mtime_ns, seen.st_ino, seen.st_size))
    except OSError:  # gone, or going: the next look tells
        pass
    return tuple(sorted(found))


class _Gathering:
    """Puts the budgets of several files into one list, and remembers whence each came."""

    def __init__(self, document: Document, environment: Mapping[str, str], instead: Instead) -> None:
        self.document = document
        self.environment = environment
        self.instead = instead
        self.budgets: list[Any] = []
        self.found: list[Found] = []
        self.marks = dict(document.marks)
        self.written = dict(document.written)
        self.judged: set[Place] = set()
        self.elsewhere: dict[Place, Origin] = {}

    def done(self) -> Document:
        return self.document.having(
            *self.found,
            judged=frozenset(self.judged),
            value={**self.document.value, KEY: self.budgets},
            marks=self.marks,
            written=self.written,
            elsewhere=self.elsewhere,
        )

    def file(self, path: Path) -> None:
        """Take what a file holds; its problems are found."""
        try:
            text = self.instead[path] if path in self.instead else path.read_text(encoding="utf-8")
            if text is None:
                return None
            inner = substitute(parse(text, str(path)), self.environment)
        except UnicodeDecodeError:
            return self._tell(path, Mark(0, 0), Problem("", "is not UTF-8 text"))
        except OSError as error:
            return self._tell(path, Mark(0, 0), Problem("", f"cannot be read: {error.strerror or 'no reason given'}"))
        except ConfigError as error:
            for problem in error.problems:
                self._tell(path, Mark(problem.line or 0, 0), problem)
            return None
        for found in inner.found:
            self._tell(path, found.mark, found.problem)
        for place in self._places(path, inner):
            self._take(path, inner, place)
        return None

    def _places(self, path: Path, inner: Document) -> Iterator[Place]:
        """Where the budgets of a file stand in it."""
        value = inner.value
        if value is None:
            return  # nothing but comments
        if isinstance(value, dict) and KEY not in value:
            yield ()
        elif isinstance(value, dict) and isinstance(value[KEY], list | None):
            yield from ((KEY, index) for index in range(len(value[KEY] or ())))
            for key in value:
                if key != KEY:
                    self._tell_at(path, inner, (key,), "unknown key", "a file with `budgets` has no other")
        elif not inner.judged:
            place: Place = (KEY,) if isinstance(value, dict) else ()
            self._tell_at(path, inner, place, "must be one budget, or `budgets` with a list of them", None)

    def _take(self, path: Path, inner: Document, place: Place) -> None:
        target: Place = (KEY, len(self.budgets))
        self.elsewhere[target] = Origin(str(path), place)

        def moved(known: Mapping[Place, Any]) -> dict[Place, Any]:
            length = len(place)
            return {(*target, *at[length:]): what for at, what in known.items() if at[:length] == place}

        self.marks |= moved(inner.marks)
        self.written |= moved(inner.written)
        self.judged |= set(moved(dict.fromkeys(inner.judged)))
        value = inner.value
        for step in place:
            value = value[step]
        self.budgets.append(value)

    def _tell_at(self, path: Path, inner: Document, place: Place, message: str, hint: str | None) -> None:
        mark = inner.marks.get(place, Mark(0, 0))
        self._tell(path, mark, Problem(path_text(place), message, mark.line or None, hint))

    def _tell(self, path: Path, mark: Mark, problem: Problem) -> None:
        outer = self.document.problem((KEY,), "")
        said = Problem(problem.path, problem.message, problem.line)
        told = Problem(outer.problem.path, f"{path}: {said}", outer.problem.line, problem.hint)
        self.found.append(Found(outer.mark, told, (str(path), *mark)))
