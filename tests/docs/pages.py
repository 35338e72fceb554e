"""The Markdown of the repository, read as far as the tests need: blocks, headings, links, commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[(?:[^][]|\[[^][]*\])*\]\(([^()\s]+)\)")
_COMMAND = re.compile(r"(?:^|[|;&(]\s*|^do )\s*(?:[A-Z_]+=\S+ )*(?:\S*/)?cloudspend(?= |$)(?P<words>[^|;&<>#…]*)")
_REDIRECTION = re.compile(r"(?<!\S)\d?>+ ?&?\S+")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and its text."""

    language: str
    code: str


@cache
def repository() -> tuple[Path, ...]:
    """Every file that is in the repository or would be by `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def pages() -> tuple[Path, ...]:
    """Every page that people read on the way through the documentation; notes beside fixtures are none."""
    return tuple(path for path in repository() if path.suffix == ".md" and "tests" not in path.relative_to(ROOT).parts)


def name(path: Path) -> str:
    """The path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(match["info"].split(" ")[0], match["code"]) for match in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def headings(text: str, level: int | None = None) -> list[str]:
    """The headings of a page, of one level or of all, as written."""
    found = re.findall(r"^(#{1,6}) +(.+?) *$", prose(text), re.MULTILINE)
    return [title for marks, title in found if level in (None, len(marks))]


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level, up to the next."""
    [found] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: set[str] = set()
    for title in headings(text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        taken = sum(other == slug or other.rpartition("-")[0] == slug for other in found)
        found.add(f"{slug}-{taken}" if slug in found else slug)
    return found


def links(text: str) -> list[str]:
    """The targets of the links of a page."""
    return _LINK.findall(_INLINE.sub("code", prose(text)))


def inline(text: str) -> list[str]:
    """The code that stands in the running text of a page."""
    return _INLINE.findall(prose(text))


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `cloudspend` in every command of a page, in blocks and in running text."""
    lines = [line for block in blocks(text) if block.language in ("", "sh", "console") for line in typed(block)]
    for line in [*lines, *inline(text)]:
        for match in _COMMAND.finditer(_REDIRECTION.sub(" ", line)):
            yield shlex.split(match["words"])


def typed(block: Block) -> list[str]:
    """The lines of a block that somebody types: all of a script, in a `console` those behind `$` and `>`."""
    joined = block.code.replace("\\\n", " ").splitlines()
    if block.language != "console":
        return joined
    return [line[2:] for line in joined if line.startswith(("$ ", "> "))]
