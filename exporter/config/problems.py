"""Pydantic's errors as problems in plain words: where, what, and how to mend it. Never the value of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic_core import ErrorDetails

from exporter.config.document import Document, Found, Place
from exporter.config.schema import REPEATED_NAME, repeated
from exporter.config.secrets import MASK, at
from exporter.config.shape import FILE, Shape, keys, secret_keys
from exporter.config.suggest import known, suggestion
from exporter.config.values import duration_text

_SENTENCES: Mapping[str, str] = {
    "int_parsing": "{value} is not a whole number",
    "int_parsing_size": "{value} is too large a number",
    "int_from_float": "{value} is not a whole number",
    "float_parsing": "{value} is not a number",
    "decimal_parsing": "{value} is not a number",
    "bool_parsing": "{value} is neither true nor false",
    "literal_error": "{value} is not one of {expected}",
    "enum": "{value} is not one of {expected}",
    "greater_than_equal": "must be at least {ge}, not {value}",
    "greater_than": "must be more than {gt}, not {value}",
    "less_than_equal": "must be at most {le}, not {value}",
    "less_than": "must be less than {lt}, not {value}",
    "too_short_one": "must have at least one entry",
    "too_short": "must have at least {min_length} entries, not {actual_length}",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
    "string_too_short_one": "must not be empty",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "{value} does not match the pattern {pattern}",
    "date_from_datetime_parsing": "{value} is not a date such as 2024-09-01",
    "date_from_datetime_inexact": "{value} is not a date such as 2024-09-01",
    "date_parsing": "{value} is not a date such as 2024-09-01",
    "datetime_parsing": "{value} is not an instant such as 2024-09-01T00:00:00Z",
    "datetime_from_date_parsing": "{value} is not an instant such as 2024-09-01T00:00:00Z",
    "url_parsing": "is not a URL: {error}",
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "union_tag_invalid": "type {tag!r} is not one of {expected}",
    "union_tag_not_found": "type is missing",
    "value_error": "{error}",
    "not_there": "{said}",
    "assertion_error": "{error}",
}
_KINDS: Mapping[str, str] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "decimal_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "date_type": "a date such as 2024-09-01",
    "datetime_type": "an instant such as 2024-09-01T00:00:00Z",
    "url_type": "a URL",
}
_LONGEST = 60
_SHORT = 4
HINT = ". hint: "
"""What parts the sentence of a validator's ValueError from its hint."""


@dataclass(frozen=True)
class Translator:
    """What must be known to say in plain words what is wrong with a document."""

    document: Document
    shape: Shape
    hidden: Mapping[Place, tuple[str, ...]]
    """The secrets at each place; no message shows one."""

    def problems(self, errors: Iterable[ErrorDetails]) -> list[Found]:
        """The problems behind a model's errors, one for each place that has no problem in the document yet."""
        placed = [(self._place(error), error) for error in errors if not self._is_an_echo(error)]
        unknown = {place for place, error in placed if error["type"] == "extra_forbidden"}
        meant = {(*place[:-1], self._meant(place).removesuffix(FILE)) for place in unknown}
        said: dict[Place, list[tuple[str, str | None]]] = {}
        for place, error in placed:
            missing = error["type"] == "missing"
            if not (missing and place in meant) and not any(map(self.document.judged.__contains__, _above(place))):
                said.setdefault(place, []).append(self._said(place, error))
        return [self._joined(place, several) for place, several in said.items()]

    def repeated_names(self) -> Iterator[Found]:
        """The problems of sources and of budgets that have the name of an earlier one."""
        for part in ("sources", "budgets"):
            entries = at(self.document.value, (part,))
            if not isinstance(entries, list):
                continue
            names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
            for index, first in repeated([object() if name is None else name for name in names]):
                place, other = (part, index, "name"), (part, first)
                if place not in self.document.judged:
                    taken = self.document.where(other)
                    yield self.document.problem(place, f"{self._shown(place)} is the name of {taken} too")

    def _place(self, error: ErrorDetails) -> Place:
        """Where an error stands in the file: its location less what names a part of a model and not of the file."""
        location = error["loc"]
        if location[:1] == ("sources",) and location[2:3] == ("options",):
            location = location[:2] + location[3:]
        place: Place = ()
        for step in location:
            inside = at(self.document.value, place)
            has = isinstance(inside, dict) and step in inside
            has = has or (isinstance(inside, list) and isinstance(step, int))
            if has or (error["type"] == "missing" and step is location[-1]):
                place = (*place, step)
        return place

    def _is_an_echo(self, error: ErrorDetails) -> bool:
        """Whether an error only says again what others say: two names, or a list of which no entry is valid."""
        if error["type"] == "too_short":
            return bool(len(at(self.document.value, self._place(error)) or ()) >= error["ctx"]["min_length"])
        return error["type"] == REPEATED_NAME

    def _meant(self, place: Place) -> str:
        return suggestion(str(place[-1]), keys(self.shape.get(place[:-1], ()))) or "" if place else ""

    def _said(self, place: Place, error: ErrorDetails) -> tuple[str, str | None]:
        """The sentence and the hint of one error, as they are before secrets are taken out."""
        kind, value = error["type"], at(self.document.value, place)
        readers = self.shape.get(place[:-1], ())
        if kind == "missing":
            name = str(place[-1])
            secret = any(name in secret_keys(model) for model in readers)
            return "is missing", f"give {name} or {name}{FILE}" if secret else None
        if kind == "extra_forbidden":
            return "unknown key", known(str(place[-1]), keys(readers), "the keys here are")
        if value is None:
            return "is empty", "give it a value, or take the key out"
        if kind in _KINDS:
            return f"must be {_KINDS[kind]}, not {_kind(value)}", _type_hint(_KINDS[kind], value)
        return self._sentence(place, error)

    def _sentence(self, place: Place, error: ErrorDetails) -> tuple[str, str | None]:
        kind, context, value = error["type"], error.get("ctx", {}), at(self.document.value, place)
        # Members of an enum come as `<Cost.BILLED: 'billed'>`.
        choices = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags", "")))
        if choices:
            context = {**context, "expected": ", ".join(choices)}
        context = {key: _limit(limit) for key, limit in context.items()}
        one = "_one" if context.get("min_length") == 1 else ""
        template = _SENTENCES.get(kind + one) or _SENTENCES.get(kind)
        sentence = template.format(value=self._shown(place), **context) if template else _lowered(error["msg"])
        message, _, hint = sentence.partition(HINT)
        value = context.get("tag", value)  # of a part that says itself which kind it is
        meant = suggestion(value, choices) if isinstance(value, str) and not self._is_hidden(place) else None
        return message, hint or (f"did you mean {meant}?" if meant else None)

    def _shown(self, place: Place) -> str:
        """A value as a message may show it."""
        if self._is_hidden(place):
            return "the value"
        value = self.document.written.get(place, at(self.document.value, place))
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict | list):
            return _kind(value)
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

    def _joined(self, place: Place, said: list[tuple[str, str | None]]) -> Found:
        message = "; ".join(dict.fromkeys(message for message, _ in said))
        hint = next((hint for _, hint in said if hint), None)
        return self.document.problem(place, self._scrubbed(message, place), hint and self._scrubbed(hint, place))

    def _is_hidden(self, place: Place) -> bool:
        return any(above in self.hidden for above in _above(place))

    def _scrubbed(self, text: str, place: Place) -> str:
        """A text from a validator, which may repeat a value, without what only the environment or a secret says."""
        for where, value in self.document.written.items():
            if where in _above(place) or place in _above(where):
                text = _replaced(text, str(at(self.document.value, where)), value)
        for secret in (secret for several in self.hidden.values() for secret in several):
            text = _replaced(text, secret, MASK)
        return text


def _limit(limit: Any) -> Any:
    """A limit as a message may show it: pydantic gives that of an optional duration as Python would write it."""
    if match := re.fullmatch(r"datetime\.timedelta\((.*)\)", str(limit)):
        parts = re.findall(r"(\w+)=(\d+)", match[1])
        return duration_text(timedelta(**{name: int(count) for name, count in parts}))
    return limit


def _replaced(text: str, value: str, by: str) -> str:
    """`text` without `value`; a very short one only where it stands in quotes, for it is in every other word."""
    text = text.replace(repr(value), repr(by))
    return text.replace(value, by).replace(repr(value)[1:-1], by) if len(value) >= _SHORT else text


def _above(place: Place) -> list[Place]:
    """The place and all that it lies in, but the top."""
    return [place[:depth] for depth in range(1, len(place) + 1)]


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", bool: str(value).lower(), int: "a number", float: "a number"}
    return kinds.get(type(value), "a text")


def _type_hint(expected: str, value: Any) -> str | None:
    if expected == "a text" and isinstance(value, int | float):
        return "put it in quotes"
    if expected == "a list" and not isinstance(value, list):
        return "begin each entry with a dash"
    return None
