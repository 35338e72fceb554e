"""The clock: real, shifted or frozen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exporter.clock import Clock
from exporter.errors import ConfigError


def test_without_the_variable_the_clock_is_real() -> None:
    assert abs(Clock.from_environment({}).now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_shifted_clock_moves_and_its_children_have_the_same() -> None:
    clock = Clock.from_environment({"CLOUDSPEND_NOW": "2024-02-29T12:00:00Z"})
    first, second = clock.now(), clock.now()
    assert first <= second < datetime(2024, 2, 29, 12, 1, tzinfo=UTC)
    handed = clock.for_child({"CLOUDSPEND_NOW": "2024-02-29T12:00:00Z", "PATH": "/bin"})
    assert handed["PATH"] == "/bin"
    assert abs(Clock.from_environment(handed).offset - clock.offset) < timedelta(milliseconds=1)


def test_a_real_clock_hands_nothing_on() -> None:
    assert Clock().for_child({"A": "b"}) == {"A": "b"}


def test_a_frozen_clock_stands_still_and_is_for_one_shot_commands_only() -> None:
    environment = {"CLOUDSPEND_NOW": "2024-02-29T20:00:00+08:00,frozen"}
    clock = Clock.from_environment(environment, may_freeze=True)
    assert clock.now() == clock.now() == datetime(2024, 2, 29, 12, tzinfo=UTC)
    with pytest.raises(ConfigError, match="a daemon needs one that moves"):
        Clock.from_environment(environment)


@pytest.mark.parametrize("text", ["yesterday", "2024-02-30", "2024-02-29,stopped"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="CLOUDSPEND_NOW"):
        Clock.from_environment({"CLOUDSPEND_NOW": text})
