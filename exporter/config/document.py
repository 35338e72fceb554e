"""A YAML text as plain values, each of which remembers where it stood.

Values are mappings with text keys, lists, texts, numbers, booleans and None. Only what looks like a number in every
reading of YAML is one: `012345678901` (an account), `1:30` and `2024-09-01` stay texts, and so do `yes` and `no`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import yaml

from exporter.errors import ConfigError, Problem

Place = tuple[str | int, ...]
"""The keys and indexes that lead from the top of a configuration to a value."""

QUOTE = "put a text that begins with this character in quotes"


class Mark(NamedTuple):
    """A position in the file, from 1. Line 0: not in the file."""

    line: int
    column: int


class Written(float):
    """A number with a point, which remembers how it stands in the file: `1.10` and all digits of a long one."""

    text: str

    @classmethod
    def read(cls, text: str) -> Written:
        """The number that `text` is. ValueError where it is none."""
        number = cls(text)
        number.text = text
        return number


class Origin(NamedTuple):
    """Another file that holds a value."""

    file: str
    place: Place
    """Where the value stands in it."""


class Found(NamedTuple):
    """A problem and where it stands, so that a list of them sorts in the order of the file."""

    mark: Mark
    problem: Problem
    inner: tuple[str, int, int] = ("", 0, 0)
    """File, line and column, where the problem is in another file than `mark`."""

    @property
    def order(self) -> tuple[Mark, tuple[str, int, int]]:
        """What a list of problems sorts by."""
        return self.mark, self.inner


@dataclass(frozen=True)
class Document:
    """The values of a configuration file, where they stood, and what was wrong with them so far."""

    value: Any
    marks: Mapping[Place, Mark] = field(default_factory=dict)
    """Where each value stands: its key in a mapping, its beginning in a list."""
    written: Mapping[Place, str] = field(default_factory=dict)
    """What the file says where the value came from the environment. Messages show this, never the value."""
    found: tuple[Found, ...] = ()
    judged: frozenset[Place] = frozenset()
    """Places whose value is missing because of a problem in `found`; a second one would only repeat it."""
    secrets: tuple[Place, ...] = ()
    """Places of values that are secret, whatever their model says."""
    elsewhere: Mapping[Place, Origin] = field(default_factory=dict)
    """Values of which another file holds all there is; the place above them is where this one refers to it."""

    def problem(self, place: Place, message: str, hint: str | None = None) -> Found:
        """A problem at a place of this document; at its nearest parent in the file where it is not in the file."""
        mark = self._mark(place)
        for depth in range(len(place), 0, -1):
            if origin := self.elsewhere.get(place[:depth]):
                here = place[: depth - 1]
                said = Problem(path_text((*origin.place, *place[depth:])), message, mark.line or None)
                outer = self._mark(here)
                problem = Problem(path_text(here), f"{origin.file}: {said}", outer.line or None, hint)
                return Found(outer, problem, (origin.file, *mark))
        return Found(mark, Problem(path_text(place), message, mark.line or None, hint))

    def where(self, place: Place) -> str:
        """A place of this document for people: `sources[0] on line 5`, or the file that holds it, and the line."""
        mark = self._mark(place)
        origin = self.elsewhere.get(place)
        on = f" on line {mark.line}" if mark.line else ""
        return f"{origin.file if origin else path_text(place)}{on}"

    def _mark(self, place: Place) -> Mark:
        known = (self.marks[place[:depth]] for depth in range(len(place), 0, -1) if place[:depth] in self.marks)
        return next(known, Mark(0, 0))

    def having(self, *found: Found, judged: frozenset[Place] = frozenset(), **changes: Any) -> Document:
        """A copy with more problems, more judged places, and other changes."""
        return replace(self, found=self.found + found, judged=self.judged | judged, **changes)


def path_text(place: Place) -> str:
    """`("sources", 1, "poll_every")` as `sources[1].poll_every`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def parse(text: str, file: str) -> Document:
    """Read a YAML text. ConfigError where it is no YAML; lesser mistakes are in `found` of the document."""
    try:
        root = _compose(text)
        reading = _Reading()
        value = reading.value(root, ()) if root is not None else None
        return Document(value, reading.marks, found=tuple(reading.found), judged=frozenset(reading.judged))
    except yaml.YAMLError as error:
        problem = _syntax(error, text)
    except RecursionError:
        problem = Problem("", "is nested too deeply")
    raise ConfigError((problem,), file)  # outside of the handler: PyYAML's error repeats the file


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Finds out the kind of a plain value by the rules above; they replace those of YAML 1.1."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  typed by PyYAML


_TAG = "tag:yaml.org,2002:"
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", list("-+0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)

_SCALARS: Mapping[str, Any] = {
    _TAG + "str": str,
    _TAG + "null": lambda _: None,
    _TAG + "bool": {"true": True, "false": False}.__getitem__,
    _TAG + "int": int,
    _TAG + "float": Written.read,
}


class _Reading:
    """Turns nodes into values, and keeps the positions and the mistakes on the way."""

    def __init__(self) -> None:
        self.marks: dict[Place, Mark] = {}
        self.found: list[Found] = []
        self.judged: set[Place] = set()
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.marks.setdefault(place, _mark(node))
        if id(node) in self._open:
            return self._unusable(node, place, "contains itself", None)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, place)
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key, inner in node.value:
            if key.tag == _TAG + "merge":
                for other in inner.value if isinstance(inner, yaml.SequenceNode) else [inner]:
                    inherited = self._inherited(other, place) | inherited
            elif not isinstance(key, yaml.ScalarNode):
                self._complain(key, place, "a key must be a text", None)
            elif key.value in values:
                first = self.marks[*place, key.value].line
                self._complain(
                    key, (*place, key.value), f"is given twice, first on line {first}", "keep one of the two"
                )
            else:
                self.marks[*place, key.value] = _mark(key)
                values[key.value] = self.value(inner, (*place, key.value))
        return inherited | values

    def _inherited(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self._complain(node, place, "<< takes a mapping, or a list of mappings", None)
            return {}
        kept = dict(self.marks)
        values = self.value(node, place)
        self.marks |= kept  # what the mapping says itself stands where it says it
        return values if isinstance(values, dict) else {}

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        read = _SCALARS.get(node.tag) if isinstance(node, yaml.ScalarNode) else None
        if read is None:
            # The tag itself is not shown: it may be a secret that begins with an exclamation mark.
            return self._unusable(node, place, "a tag (!…) has no meaning here", QUOTE)
        try:
            return read(node.value.lower() if node.tag == _TAG + "bool" else node.value)
        except (ValueError, KeyError):
            return self._unusable(node, place, f"is not what its tag (!!{node.tag.removeprefix(_TAG)}) says", None)

    def _unusable(self, node: yaml.Node, place: Place, message: str, hint: str | None) -> None:
        self._complain(node, place, message, hint)
        self.judged.add(place)

    def _complain(self, node: yaml.Node, place: Place, message: str, hint: str | None) -> None:
        mark = _mark(node)
        self.found.append(Found(mark, Problem(path_text(place), message, mark.line, hint)))


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


_SYNTAX = (
    (r"duplicate anchor", "an anchor (&…) has the name of an earlier one", "give it another name"),
    (r"character '\\t'", "a tab stands where YAML takes spaces only", "indent with spaces"),
    (r"found character", "YAML keeps this character for itself", QUOTE),
    (r"undefined alias", "the anchor of an alias (*…) is not defined above", QUOTE),
    (r"tag|URI", "a tag (!…) has no meaning here", QUOTE),
    (r"mapping values are not allowed", "a second ': ' in one line, or a wrong indentation",
     "put a text that holds ': ' in quotes"),
    (r"expected ',' or '\]'", "a list that begins with [ does not end", "close it with ]"),
    (r"expected ',' or '\}'", "a mapping that begins with { does not end", "close it with }"),
    (r"could not find expected ':'", "a key without ': ' behind it", "write key: value"),
    (r"<block end>|<document start>|sequence entries|mapping keys", "this line does not fit the ones above it",
     "indent the keys of one mapping alike"),
    (r"unexpected end of stream|document separator", "a quoted text does not end", "close it with the same quote"),
    (r"single document", "a second document begins, and a configuration is one", "take the --- out"),
    (r"escape", "a backslash in double quotes begins no known escape", "use single quotes"),
    (r"alphabetic or numeric", "an anchor (&…) or alias (*…) without a name", QUOTE),
    (r"node content", "no value begins like this", QUOTE),
    (r"indicator", "a block text (| or >) with something behind its mark", "begin the text on the next line"),
)  # fmt: skip


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    """The problem behind an error of PyYAML, whose own words may repeat a value of the file, and so a secret."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Problem("", f"the character U+{error.character:04X} is not allowed in YAML", line)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem("", "is not YAML")
    said = f"{error.problem} {error.context}"
    matches = ((message, hint) for pattern, message, hint in _SYNTAX if re.search(pattern, said))
    message, hint = next(matches, ("something that YAML does not know", None))
    # What does not end is found missing at the end of the file; people look where it begins.
    mark = (message.endswith("does not end") and error.context_mark) or error.problem_mark
    return Problem("", f"not YAML at column {mark.column + 1}: {message}", mark.line + 1, hint)
