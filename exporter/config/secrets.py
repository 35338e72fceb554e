"""Secrets: read from files, kept out of the log, and taken out of everything that people see."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter import log
from exporter.config.document import Document, Found, Place
from exporter.config.shape import FILE, Shape, secret_keys, secret_places
from exporter.config.values import local_path

MASK = "<secret>"


def read_files(document: Document, shape: Shape, folder: Path) -> Document:
    """The document with every `token_file: path` replaced by `token:` and what the file holds, its last line end aside.

    A file that cannot be read, is empty or is no text is a problem, and so are `token` and `token_file` together.
    """
    value = copy.deepcopy(document.value)
    marks = dict(document.marks)
    found: list[Found] = []
    judged: set[Place] = set()
    for place, models in shape.items():
        mapping = at(value, place)
        for name in {name: None for model in models for name in secret_keys(model) if name + FILE in mapping}:
            given, asked = (*place, name), (*place, name + FILE)
            path = mapping.pop(name + FILE)
            if name in mapping:
                found.append(document.problem(asked, f"{name} is given too", "keep one of the two"))
                continue
            try:
                if asked not in document.judged:
                    mapping[name] = _read(path, folder)
                    marks[given] = marks[asked]
            except ValueError as error:
                message, _, hint = str(error).partition(". hint: ")
                found.append(document.problem(asked, message, hint or None))
            if name not in mapping:
                judged.add(given)
    return document.having(*found, judged=frozenset(judged), value=value, marks=marks)


def _read(path: object, folder: Path) -> str:
    if not isinstance(path, str):
        raise ValueError("must be the path of a file")  # noqa: TRY004  a sentence for people, like the others here
    absolute = local_path(path, folder)
    try:
        text = absolute.read_bytes().decode()  # as it is: in a key, line ends matter
    except UnicodeDecodeError:
        text = None
    except OSError as error:
        raise ValueError(f"cannot read {absolute}: {error.strerror or 'no reason given'}") from None
    if text is None:
        raise ValueError(f"{absolute} is not UTF-8 text")
    if not (secret := text.removesuffix("\n").removesuffix("\r")):
        raise ValueError(f"{absolute} is empty")
    return secret


def known(document: Document, shape: Shape) -> Mapping[Place, tuple[str, ...]]:
    """The secrets at each place of a document that is for one, whatever their type. The log masks them from now on."""
    places = secret_places(shape).union(document.secrets)
    found = {place: tuple(_texts(at(document.value, place))) for place in places}
    for secret in (secret for several in found.values() for secret in several):
        log.keep_secret(secret)
    return found


def masked(value: Any) -> Any:
    """A value that people may see: secrets in texts, and passwords in URLs, replaced by `<secret>`."""
    if isinstance(value, dict):
        return {key: masked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return re.sub(r"(://[^/@:\s]*:)[^/\s]+@", rf"\1{MASK}@", log.masked(value)) if isinstance(value, str) else value


def at(value: Any, place: Place) -> Any:
    """The part of a value that is at a place; None where there is none."""
    for step in place:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            return None
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool) and value != "":
        yield str(value)
