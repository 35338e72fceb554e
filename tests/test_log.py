"""The log: logfmt, one line an event, no secrets."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from exporter import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    captured = io.StringIO()
    log.setup(stream=captured)
    yield captured
    root.handlers[:], root.level = handlers, level


def test_an_event_is_one_line_of_logfmt(stream: io.StringIO) -> None:
    logging.getLogger("x").warning(
        "source failed", extra={"fields": {"source": "a b", "error": 'said "no"\nagain', "hint": None}}
    )
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert line.partition(" ")[2] == 'level=warn msg="source failed" source="a b" error="said \\"no\\"\\nagain"\n'


def test_a_known_secret_never_reaches_the_log(stream: io.StringIO) -> None:
    log.keep_secret("hunter2hunter2")
    error = ValueError("token hunter2hunter2 refused")
    logging.getLogger("x").error("broke with %s", "hunter2hunter2", exc_info=error)
    assert "hunter2" not in stream.getvalue()
    assert "<secret>" in stream.getvalue()


def test_secrets_with_quotes_and_line_ends_and_secrets_within_secrets_are_masked(stream: io.StringIO) -> None:
    for secret in ('pem "key"\nwith lines', "abcd", "abcdefgh"):
        log.keep_secret(secret)
    logging.getLogger("x").warning("m", extra={"fields": {"a": 'pem "key"\nwith lines', "b": "abcdefgh"}})
    assert stream.getvalue().endswith("a=<secret> b=<secret>\n")


def test_debug_lines_are_off_unless_asked_for(stream: io.StringIO) -> None:
    logging.getLogger("x").debug("detail")
    assert stream.getvalue() == ""
