"""Values are read in one way, and written so that they are read back alike."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exporter.config import Duration, LocalPath, MemorySize, Slug
from exporter.config.values import DURATION_PATTERN, duration, duration_text, size

WHOLE_SECONDS = st.integers(0, int(timedelta.max.total_seconds()) - 1).map(lambda seconds: timedelta(seconds=seconds))


@given(WHOLE_SECONDS)
def test_a_duration_survives_being_written_and_read(length: timedelta) -> None:
    assert duration(duration_text(length)) == length


@given(WHOLE_SECONDS)
def test_a_setting_that_is_a_duration_survives_a_round_trip_through_json(length: timedelta) -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.validate_json(adapter.dump_json(length)) == length


@given(st.text(st.sampled_from("0123456789dhms .-"), max_size=9))
def test_a_text_is_a_duration_or_refused_with_a_sentence(text: str) -> None:
    if re.fullmatch(DURATION_PATTERN, text):
        assert duration(text) >= timedelta(0)
    else:
        with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a duration such as 30m, 8h or 2d")):
            duration(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("8h", timedelta(hours=8)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1d1s", timedelta(days=1, seconds=1)),
        ("0s", timedelta(0)),
        ("007m", timedelta(minutes=7)),
    ],
)
def test_a_duration_is_days_hours_minutes_and_seconds(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize(
    "text",
    ["", "8", "8 h", "8hours", "h", "-8h", "1.5h", "30m1h", "1h1h", "PT8H", "8H", "1w", "8h\n", "٨h", "9" * 5000 + "d"],
)
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 30m, 8h or 2d"):
        duration(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(hours=36), "36h"),
        (timedelta(hours=48), "2d"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=1, seconds=1), "24h1s"),
        (timedelta(0), "0s"),
    ],
)
def test_a_duration_is_written_as_people_write_it(length: timedelta, text: str) -> None:
    assert duration_text(length) == text


@pytest.mark.parametrize("length", [timedelta(milliseconds=1), timedelta(seconds=-1)])
def test_a_length_that_cannot_be_written_is_refused(length: timedelta) -> None:
    with pytest.raises(ValueError, match="is not a whole number of seconds"):
        TypeAdapter(Duration).validate_python(length)


@pytest.mark.parametrize("text", ["512MB", "1GB", "1.5GiB", "900KB", "2TB"])
def test_a_memory_size_is_a_number_and_a_unit(text: str) -> None:
    assert TypeAdapter(MemorySize).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "1", "0GB", "0.0MB", "1 GB", "-1GB", "1gb", "80%", "1GBB", "1GB\n"])
def test_nothing_else_is_a_memory_size(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a size such as 512MB or 1GB"):
        TypeAdapter(MemorySize).validate_python(text)


@pytest.mark.parametrize("text", ["a", "aws-prod", "0", "a.b_c"])
def test_a_slug_is_a_name_for_a_label_and_a_folder(text: str) -> None:
    assert TypeAdapter(Slug).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "A", "-a", ".a", "..", "a/b", "a b", "ä", "a\n"])
def test_nothing_else_is_a_slug(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a name such as aws-prod"):
        TypeAdapter(Slug).validate_python(text)


@pytest.mark.parametrize(
    ("text", "match"), [("", "must not be empty"), ("a\0b", "NUL"), ("~/x", "only a shell reads ~")]
)
def test_what_is_no_path_is_refused(text: str, match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        TypeAdapter(LocalPath).validate_python(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("512MB", 512_000_000), ("1GB", 10**9), ("1.5GiB", 1_610_612_736), ("2KiB", 2048), ("1TB", 10**12)],
)
def test_a_memory_size_is_a_number_of_bytes(text: str, count: int) -> None:
    assert size(text) == count
