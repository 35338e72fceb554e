"""The definitions for Icinga and Nagios, and the pages, know the options that there are."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.checks import options
from exporter.checks.nagios import Unanswerable
from tests.docs.pages import ROOT, blocks, inline, name, pages

_OMITTED = {"--threshold", "--insecure"}
"""Not for a service: an alias, and what nobody should ask for in passing."""


def known() -> set[str]:
    """Every long option of every check."""
    described = [words for check in options.CHECKS for words, _ in options.described(check)]
    return {word for words in described for word in re.findall(r"--[a-z-]+", words)}


def test_the_check_command_of_icinga_has_every_option() -> None:
    text = (ROOT / "deploy" / "icinga2" / "cloudspend.conf").read_text()
    assert set(re.findall(r'^    "(--[a-z-]+)"', text, re.MULTILINE)) == known() - _OMITTED


def typed() -> Iterator[tuple[str, list[str]]]:
    """Every command line of the plugin on a page or in a definition for Nagios."""
    for page in pages():
        text = page.read_text()
        lines = [line for block in blocks(text) for line in block.code.splitlines()]
        for line in [*lines, *inline(text)]:
            if found := re.match(r"^\s*(?:\$ )?(?:\S*/)?check_cloudspend( .*)", line):
                yield name(page), shlex.split(found[1])
            if found := re.match(r"^\s*check_command\s+check_cloudspend!(.*)", line):
                yield name(page), shlex.split(found[1].replace("!", " "))
    for path in sorted((ROOT / "deploy" / "nagios").glob("*.cfg")):
        for line in path.read_text().splitlines():
            if found := re.match(r"^\s*check_command\s+check_cloudspend!(.*)", line):
                yield name(path), shlex.split(found[1].replace("!", " "))


@pytest.mark.parametrize(("where", "words"), [it for it in typed() if "CHECK" not in it[1]])
def test_every_command_line_of_the_plugin_parses(where: str, words: list[str]) -> None:
    assert isinstance(options.parse(words), argparse.Namespace), where


def test_there_are_command_lines_to_parse() -> None:
    places = {where for where, _ in typed()}
    assert {"docs/how-to/check-with-icinga.md", "deploy/nagios/services.cfg"} <= places
    with pytest.raises(Unanswerable):
        options.parse(["budget", "--no-such-option"])


def test_variables_on_the_page_are_those_of_the_check_command() -> None:
    command = (ROOT / "deploy" / "icinga2" / "cloudspend.conf").read_text()
    there = set(re.findall(r"\$(cloudspend_\w+)\$", command))
    for path in (ROOT / "docs/how-to/check-with-icinga.md", Path(ROOT / "deploy/icinga2/services.conf")):
        assert set(re.findall(r"vars\.(cloudspend_\w+)", path.read_text())) <= there
