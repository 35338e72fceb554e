"""A configuration from a spreadsheet: a CSV table with one source in each row.

    name,provider,config,display_name,webhook_url
    prod,aws,region=us-east-1|api_key=${PROD_KEY}|api_secret=${PROD_SECRET},Production,

`config` holds the source's other keys as `key=value|key=value`; `\\|` is a bar in a value, `a.b=c` a key in a part, and
commas part the entries of a list. Everything but `sources` is as in a YAML file that does not mention it.
"""

from __future__ import annotations

import csv
import io
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from exporter.config.document import Document, Found, Mark, Place, path_text
from exporter.config.schema import ProviderModels, SourceSettings
from exporter.config.shape import FILE
from exporter.config.suggest import known
from exporter.errors import ConfigError, Problem

SUFFIX = ".csv"
COLUMNS = ("name", "provider", "config", "display_name", "webhook_url")
_NEEDED = ("name", "provider")

_PROVIDERS: Mapping[str, str] = {"aws": "aws_cost_explorer"}
"""What older tools call a provider → what it is called here."""
_ABSENT: Mapping[str, str] = {"huawei": "Huawei Cloud"}
_KEYS: Mapping[str, str] = {"api_key": "access_key_id", "api_secret": "secret_access_key"}
"""What older tools call a key → what it is called here."""

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_CHINA = "cn-"

Row = list[str]


@dataclass(frozen=True)
class Sheet(Document):
    """A document whose places are rows and columns."""

    rows: tuple[int, ...] = ()
    """The row of each source, as spreadsheets count: the header is row 1."""
    called: Mapping[Place, str] = field(default_factory=dict)
    """What the file calls a key, where it is called otherwise here."""

    def problem(self, place: Place, message: str, hint: str | None = None) -> Found:
        """A problem at a cell of this sheet."""
        if any(place[:2] == other[:2] for other in self.called):
            for old, new in _KEYS.items():
                message = message.replace(new, old)
        return Found(self._mark(place), Problem(self.where(place), message, hint=hint))

    def where(self, place: Place) -> str:
        """A place for people: `row 3, column config, region`."""
        if len(place) < 2 or not isinstance(place[1], int):
            return path_text(place)
        row = f"row {self.rows[place[1]]}"
        if len(place) == 2:
            return row
        if place[2] in COLUMNS:
            return f"{row}, column {path_text(place[2:])}"
        return f"{row}, column config, {self.called.get(place[:3], path_text(place[2:]))}"


def parse(text: str, file: str, models: ProviderModels) -> Sheet:
    """Read a CSV text. ConfigError where it is no such table; lesser mistakes are in `found` of the sheet."""
    rows = _rows(text.removeprefix("\ufeff"), file)
    head = _head(rows[0] if rows else [], file)
    reading = _Reading(head, models)
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            reading.read(number, row)
    if not reading.sources:
        problem = Problem("", "has no row below its header", hint="one row for each source")
        raise ConfigError((problem,), file)
    return reading.sheet()


def _rows(text: str, file: str) -> list[Row]:
    rows: list[Row] = []
    failed = None
    try:
        rows.extend(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        failed = str(error)
    if failed is not None:  # outside of the handler: nothing of the row is repeated
        ends = "a quoted cell does not end" if "end of data" in failed else "something stands behind a quoted cell"
        hint = 'a cell with commas stands in "…", and a quote in it is doubled'
        raise ConfigError((Problem(f"row {len(rows) + 1}", ends, hint=hint),), file)
    return rows


def _head(cells: Row, file: str) -> list[str]:
    """The names of the columns. ConfigError where they are not ours."""
    head = [cell.strip().lower() for cell in cells]
    while head and not head[-1]:
        head.pop()
    if not head:
        problem = Problem("", "is empty", hint=f"the first row is {','.join(COLUMNS)}")
        raise ConfigError((problem,), file)
    separator = next((mark for mark in ";\t" if mark in head[0]), None)
    if len(head) == 1 and separator:
        parted = "tabs" if separator == "\t" else f"{separator!r}"
        message = f"the cells are parted by {parted}, and must be by commas"
        raise ConfigError((Problem("row 1", message, hint="save it as CSV UTF-8 (comma delimited)"),), file)
    problems = [
        Problem(f"row 1, column {number}", f"{name!r} is no column", hint=known(name, COLUMNS, "the columns are"))
        for number, name in enumerate(head, 1)
        if name not in COLUMNS
    ]
    problems += [
        Problem(f"row 1, column {number}", f"{name!r} is given twice")
        for number, name in enumerate(head, 1)
        if name in COLUMNS and name in head[: number - 1]
    ]
    problems += [
        Problem("row 1", f"has no column {name!r}", hint=f"the columns are {', '.join(COLUMNS)}")
        for name in _NEEDED
        if name not in head
    ]
    if problems:
        raise ConfigError(tuple(problems), file)
    return head


class _Reading:
    """Turns rows into sources, and keeps where each value stood and what was wrong on the way."""

    def __init__(self, head: Sequence[str], models: ProviderModels) -> None:
        self.head = head
        self.models = models
        self.sources: list[dict[str, Any]] = []
        self.rows: list[int] = []
        self.marks: dict[Place, Mark] = {}
        self.found: list[Found] = []
        self.judged: set[Place] = set()
        self.called: dict[Place, str] = {}
        self.secrets: list[Place] = []

    def sheet(self) -> Sheet:
        """All that was read."""
        return Sheet(
            {"sources": self.sources},
            self.marks,
            found=tuple(self.found),
            judged=frozenset(self.judged),
            rows=tuple(self.rows),
            called=self.called,
            secrets=tuple(self.secrets),
        )

    def read(self, number: int, row: Row) -> None:
        """Take up one row, the `number`th of the file."""
        here: Place = ("sources", len(self.sources))
        source: dict[str, Any] = {}
        self.sources.append(source)
        self.rows.append(number)
        self.marks[here] = Mark(number, 1)
        if any(cell.strip() for cell in row[len(self.head) :]):
            message = f"has {len(row)} cells, and the header has {len(self.head)}"
            self._complain(here, message, 'put a cell that holds a comma in quotes: "…"', judge=False)
        cells = dict(zip(self.head, (cell.strip() for cell in row), strict=False))
        for column, name in enumerate(self.head, 1):
            if name != "config" and cells.get(name):
                self.marks[*here, name] = Mark(number, column)
                source[name] = cells[name]
        self._provider(here, source)
        self._name(here, source)
        if cells.get("config"):
            self._config(here, source, cells["config"], Mark(number, self.head.index("config") + 1))

    def _provider(self, here: Place, source: dict[str, Any]) -> None:
        given = source.get("provider")
        if given is None or given in self.models.names():
            return
        word = given.lower()
        source["provider"] = word = _PROVIDERS.get(word, word)
        if word in _ABSENT and word not in self.models.names():
            hint = "take the row out, or read its bill from a FOCUS file (provider focus)"
            self._complain((*here, "provider"), f"no provider here reads bills of {_ABSENT[word]}", hint)

    def _name(self, here: Place, source: dict[str, Any]) -> None:
        earlier = [other.get("name") for other in self.sources[:-1]]
        if source.get("name") in earlier and "name" in source:
            row = self.rows[earlier.index(source["name"])]
            self._complain((*here, "name"), f"{source['name']!r} is the name in row {row} too")

    def _config(self, here: Place, source: dict[str, Any], cell: str, mark: Mark) -> None:
        model = self._model(source.get("provider"))
        for number, part in enumerate(re.split(r"(?<!\\)\|", cell), 1):
            written, equals, value = (piece.strip() for piece in part.replace(r"\|", "|").partition("="))
            if not written and not equals:
                continue  # a bar at the end
            place = (*here, "config")
            self.marks[place] = mark
            if not equals or not written:
                # Not shown: it may be a piece of a secret with a bar in it.
                message = f"entry {number} is not key=value"
                self._complain(place, message, r"a bar in a value is written \|", judge=False)
                continue
            if written in COLUMNS:
                self._complain(place, f"{written} has a column of its own", judge=False)
                continue
            for key, meant in self._meant(here, written, value, model):
                self._put(here, source, (key, written), meant, mark, model)

    def _meant(self, here: Place, key: str, value: str, model: type[BaseModel] | None) -> Iterator[tuple[str, str]]:
        """A key and its value as the provider has them."""
        fields = model.model_fields if model else {}
        plain = key.removesuffix(FILE)
        alias = _KEYS.get(plain, "")
        if plain not in fields and alias in fields:
            if plain == key:
                self.secrets.append((*here, alias))
            yield key.replace(plain, alias), value
        elif key == "region" and "region" not in fields and "partition" in fields:
            # AWS answers for all regions of a partition at one place: the region says which partition.
            if "${" not in value and not _REGION.fullmatch(value):
                self.called[*here, "region"] = key
                self._complain((*here, "region"), f"{value!r} is not a region such as us-east-1")
            elif value.startswith(_CHINA):
                yield "partition", "aws-cn"
        else:
            yield key, value

    def _put(
        self,
        here: Place,
        source: dict[str, Any],
        names: tuple[str, str],
        value: str,
        mark: Mark,
        model: type[BaseModel] | None,
    ) -> None:
        """Set a key, `names[1]` in the file, to a value; `a.b` is the key b of the part a."""
        key, written = names
        *parts, leaf = key.split(".")
        into, place = source, here
        for part in parts:
            place = (*place, part)
            self.marks[place] = mark
            into = into.setdefault(part, {})
            if not isinstance(into, dict):
                self._complain(place, f"{part} is given as a value too", "keep one of the two", judge=False)
                return
        place = (*place, leaf)
        self.marks[place] = mark
        if key != written:
            self.called[place] = written
        if leaf in into:
            self._complain(place, "is given twice", "keep one of the two", judge=False)
        else:
            into[leaf] = _split(value, _annotation(leaf, model)) if not parts else value

    def _model(self, provider: object) -> type[BaseModel] | None:
        try:
            return self.models.options(provider) if provider in self.models.names() else None
        except ConfigError:  # told by the schema
            return None

    def _complain(self, place: Place, message: str, hint: str | None = None, *, judge: bool = True) -> None:
        self.found.append(self.sheet().problem(place, message, hint))
        if judge:
            self.judged.add(place)


def _annotation(key: str, model: type[BaseModel] | None) -> Any:
    fields = SourceSettings.model_fields | (model.model_fields if model else {})
    return fields[key].annotation if key in fields else None


def _split(value: str, annotation: Any) -> str | list[str]:
    """A value as a list where its key takes one; a word that the key takes as it is stays one."""
    choices, lists = set(), False
    todo = [annotation]
    while todo:
        kind = todo.pop()
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Literal:
            choices |= set(arguments)
        elif origin in (tuple, list, frozenset, set):
            lists = True
        else:
            todo += arguments
    if not lists or value in choices:
        return value
    return [word.strip() for word in value.split(",") if word.strip()]
