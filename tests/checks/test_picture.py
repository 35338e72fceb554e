"""What is too old, of another version or of another clock is not judged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exporter.checks.nagios import Unanswerable
from exporter.checks.picture import Picture
from tests.checks.answers import answer


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"served__now": "2024-03-16T23:00:00+00:00"}, "too old since 2024-03-16 23:00 UTC"),
        ({"served__now": "2024-03-16T01:00:00+00:00"}, "a new one was due at 2024-03-16 00:00 UTC"),
        ({"served__now": "2024-03-15T09:59:00+00:00"}, "is of the future, made at 2024-03-15 11:00 UTC"),
        ({"served": None}, "publishes no 'served'"),
        ({"sources": None}, "publishes no 'sources'"),
        ({"served__made": 5}, "5 is not an instant"),
    ],
)
def test_what_cannot_be_trusted_is_unknown(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Unanswerable, match=said):
        Picture(answer(**changes))


def test_a_snapshot_may_be_a_little_late() -> None:
    assert Picture(answer(served__now="2024-03-16T00:59:00+00:00")).today.day == 16


def test_the_user_may_ask_for_a_younger_one() -> None:
    Picture(answer(), timedelta(hours=1))
    with pytest.raises(Unanswerable, match="longer ago than --max-age"):
        Picture(answer(), timedelta(minutes=59))


def test_without_the_exporter_the_published_reason_counts() -> None:
    found = Picture(answer(served__sources={}, sources__shop__failed="access_denied"))
    assert [source.unusable for source in found.sources] == ["", "shop: access_denied"]
