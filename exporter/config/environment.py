"""`${NAME}` and `${NAME:-default}` in values: the environment, put in where the file refers to it.

A value from the environment stays a text, whatever it looks like. `$${` stands for the two characters `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exporter.config.document import Document, Found, Place

REFERENCE_PATTERN = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
"""What a reference looks like, for the JSON schema."""

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>((?!\$\{)[^}])*))?\}|\$\{")


def substitute(document: Document, environment: Mapping[str, str]) -> Document:
    """The document with every reference in a text value replaced. Keys and numbers are left alone.

    A default stands in for a variable that is unset or empty; a variable that is unset and has none is a problem.
    """
    filling = _Filling(document, environment)
    value = filling.value(document.value, ())
    return document.having(
        *filling.found,
        judged=frozenset(filling.judged),
        value=value,
        written={**document.written, **filling.written},
    )


class _Filling:
    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self.document = document
        self.environment = environment
        self.written: dict[Place, str] = {}
        self.found: list[Found] = []
        self.judged: set[Place] = set()

    def value(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return {key: self.value(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*place, index)) for index, inner in enumerate(value)]
        return self.text(value, place) if isinstance(value, str) else value

    def text(self, text: str, place: Place) -> str:
        def meant(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match[0] == "$${":
                return "${"
            if name is None:
                # The text is not shown: it may be a secret with these two characters in it.
                message = "${ begins no reference such as ${NAME} or ${NAME:-default}"
                self.complain(place, message, "write $${ for the two characters")
                return match[0]
            self.written[place] = text
            if default is not None:
                return self.environment.get(name) or default
            if name not in self.environment:
                message = f"the environment variable {name} is not set"
                self.complain(place, message, f"set it, or write ${{{name}:-default}}")
            return self.environment.get(name, "")

        return _REFERENCE.sub(meant, text)

    def complain(self, place: Place, message: str, hint: str) -> None:
        self.found.append(self.document.problem(place, message, hint))
        self.judged.add(place)
