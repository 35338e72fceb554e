"""What files show before a bill is made of them: which count, how they look, and the newest day among them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from exporter.costs import engine
from exporter.errors import StoreError
from exporter.providers import Access
from exporter.providers.focus_columns import Layout
from exporter.providers.focus_manifests import Choice
from exporter.providers.focus_places import Entry, Place


def shown(place: Place, entries: Sequence[Entry], choice: Choice, looked_at: Sequence[Layout]) -> Access:
    """What `test-access` tells: of all entries, of those that count, and of the files that were looked into."""
    return Access(
        credentials=place.credentials,
        identity="",  # storage does not say who asks
        calls=place.calls,
        newest=max(filter(None, map(_newest, looked_at)), default=None),
        found=_counted(entries, choice),
        shape=_shape(looked_at[-1]) if looked_at else {},
    )


def _newest(layout: Layout) -> date | None:
    """The day of its last charge; None where its dates do not tell at once, or it cannot be read: a poll says why."""
    try:
        [(start,)] = engine.run(layout.newest())
        if start is None and (dated := layout.dated()).dates:
            [(start,)] = engine.run(dated.newest())
    except StoreError:
        return None
    return start.date() if start else None


def _counted(entries: Sequence[Entry], choice: Choice) -> str:
    bills = sum(1 for entry in entries if entry.is_bill)
    number = str(len(choice.entries)) if len(choice.entries) == bills else f"{len(choice.entries)} of {bills}"
    said = [f"{number} file{'s' if bills != 1 else ''}, {sum(entry.size for entry in choice.entries):,} bytes"]
    if choice.entries:
        newest = max(choice.entries, key=lambda entry: (entry.modified, entry.name))
        said.append(f"the newest of {datetime.fromtimestamp(newest.modified, UTC):%Y-%m-%d}: {newest.name}")
    return "; ".join([*said, *choice.passed_over])


def _shape(layout: Layout) -> dict[str, object]:
    """Our columns that the file has, with their types. Names of its other columns may be the user's own."""
    shard = layout.shard
    columns = {name: type_ for name, type_ in sorted(shard.types.items()) if name}
    return {"format": "parquet" if shard.parquet else "csv", "version": shard.version, "columns": columns}
