"""One budget in a YAML text: cut out, changed, put back. The lines around it stay as they are.

A text that YAML's flow style or an anchor ties together is written anew as a whole, by ruamel.yaml, which keeps
comments and order.
"""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from exporter.config.document import Place

Change = Callable[[Any], None]


def made(fields: Mapping[str, Any]) -> str:
    """A mapping as a text of its own."""
    return _dumped(yaml_value(fields, flow=False))


def changed(text: str, place: Place, change: Change) -> str:
    """The text with the value at a place changed."""
    block = _block(text, place)
    if block is not None and not _tied(block.inner):
        value = _loaded(block.inner)
        change(value)
        return block.replaced(_dumped(value))
    whole = _loaded(text)
    change(_at(whole, place))
    return _dumped(whole, _indented(text))


def appended(text: str, place: Place, fields: Mapping[str, Any]) -> str:
    """The text with one more entry of a list, at its end."""
    last = _block(text, (*place[:-1], int(place[-1]) - 1))
    if last is None:
        whole = _loaded(text)
        _at(whole, place[:-1]).append(yaml_value(fields))
        return _dumped(whole, _indented(text))
    lines = text.splitlines(keepends=True)
    if not lines[last.until - 1].endswith("\n"):
        lines[last.until - 1] += "\n"
    lines[last.until : last.until] = last.entry(made(fields))
    return "".join(lines)


def without(text: str, place: Place) -> str | None:
    """The text without the value at a place; None where nothing is left."""
    if not place:
        return None
    block = _block(text, place)
    siblings = _loaded(text)
    for step in place[:-1]:
        siblings = siblings[step]
    if len(siblings) == 1 and len(place) == 2 and len(_loaded(text)) == 1:
        return None
    if block is None or len(siblings) == 1:
        return changed(text, place[:-2], lambda inner: _take_out(inner, place[-2:]))
    lines = text.splitlines(keepends=True)
    first = block.first
    indent = " " * block.dash
    # Comments right above an entry are about it.
    while first and lines[first - 1].startswith(f"{indent}#") and not _is_head(lines, first - 1):
        first -= 1
    return "".join(lines[:first] + lines[block.until :])


def pointed(text: str, key: str, value: str) -> str:
    """The text with a plain value for a key of its top, which had none, or an empty one."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    found = next((inner for name, inner in node.value if name.value == key), None)
    if found is None:
        end = "" if text.endswith("\n") else "\n"
        return f"{text}{end}\n{key}: {value}\n"
    begin, until = found.start_mark.index, found.end_mark.index
    gap = "" if text[:begin].endswith(" ") else " "
    return f"{text[:begin]}{gap}{value}{text[until:]}"


def yaml_value(value: Any, *, flow: bool = True) -> Any:
    """A value as ruamel.yaml writes it: lists and mappings within a budget in one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    made: Any
    if isinstance(value, Mapping):
        made = CommentedMap({key: yaml_value(inner) for key, inner in value.items()})
    elif isinstance(value, Sequence) and not isinstance(value, str):
        made = CommentedSeq([yaml_value(inner) for inner in value])
    else:
        return value
    if flow:
        made.fa.set_flow_style()
    return made


def number(text: str) -> Any:
    """A number that stays as it was written: 9000, 12.50."""
    return _loaded(text)


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of one value. `first` and `until` count from 0, `until` is excluded."""

    lines: Sequence[str]
    first: int
    until: int
    dash: int
    """Column of the dash of an entry; the value begins two further. -2: the value is the whole text."""

    @property
    def inner(self) -> str:
        """The value as a text of its own."""
        lines = list(self.lines[self.first : self.until])
        if self.dash >= 0:
            lines[0] = " " * (self.dash + 1) + lines[0][self.dash + 1 :]
        return textwrap.dedent("".join(lines))

    def replaced(self, inner: str) -> str:
        """The whole text with another value in the place of this one."""
        new = self.entry(inner) if self.dash >= 0 else [inner]
        if not self.lines[self.until - 1].endswith("\n"):
            new[-1] = new[-1].rstrip("\n")
        return "".join([*self.lines[: self.first], *new, *self.lines[self.until :]])

    def entry(self, inner: str) -> list[str]:
        """A value as an entry of the list that this one is in."""
        gap = self._gap()
        indented = textwrap.indent(inner, " " * (self.dash + gap))
        return [f"{' ' * self.dash}-{' ' * (gap - 1)}{indented[self.dash + gap :]}"]

    def _gap(self) -> int:
        behind = self.lines[self.first][self.dash + 1 :]
        return 1 + len(behind) - len(behind.lstrip(" "))


def _block(text: str, place: Place) -> _Block | None:
    """The lines that hold the value at a place and nothing else; None where there are no such lines."""
    lines = text.splitlines(keepends=True)
    if not place:
        return None
    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    for step in place[:-1]:
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            return None
        node = next((inner for key, inner in node.value if key.value == step), None)
    index = place[-1]
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not isinstance(index, int):
        return None
    entry = node.value[index]
    first, dash = entry.start_mark.line, node.start_mark.column
    if not isinstance(entry, yaml.MappingNode) or not lines[first].startswith(f"{' ' * dash}- "):
        return None
    until = node.value[index + 1].start_mark.line if index + 1 < len(node.value) else len(lines)
    # What follows the entry and is not indented like it belongs to what comes then.
    end = first + 1
    for number in range(first + 1, until):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip(" ")) > dash:
            end = number + 1
        elif line.strip():
            break
    return _Block(lines, first, end, dash)


def _tied(text: str) -> bool:
    """Whether an anchor or an alias ties a value to others."""
    return any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(text, yaml.SafeLoader))


def _is_head(lines: Sequence[str], number: int) -> bool:
    """Whether a comment is the first below the key of its list: it may be about all of it."""
    above = number - 1
    while above >= 0 and lines[above].lstrip().startswith("#"):
        above -= 1
    return above >= 0 and lines[above].rstrip().endswith(":")


def _take_out(inner: Any, place: Place) -> None:
    """Delete an entry; a list without any stays, empty."""
    del _at(inner, place[:-1])[place[-1]]
    if not _at(inner, place[:-1]):
        inner[place[0]] = yaml_value([])


def _at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _indented(text: str) -> bool:
    """Whether the lists of a text are indented below their keys."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    pairs = itertools.pairwise(lines)
    return any(above.rstrip().endswith(":") and below.startswith("  -") for above, below in pairs)


def _yaml(*, indented: bool = True) -> Any:
    from ruamel.yaml import YAML

    tool = YAML()
    tool.preserve_quotes = True
    tool.width = 10_000
    tool.indent(mapping=2, sequence=4 if indented else 2, offset=2 if indented else 0)
    return tool


def _loaded(text: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise yaml.YAMLError(str(error)) from None


def _dumped(value: Any, indented: bool = True) -> str:  # noqa: FBT001, FBT002  what `_indented` says
    out = io.StringIO()
    _yaml(indented=indented).dump(value, out)
    return out.getvalue()
