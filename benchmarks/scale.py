"""How much to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes and repetitions. The targets are meant for the full scale."""

    folder: Path
    """Empty at first, deleted in the end."""
    rounds: int = 7
    scrapes: int = 150
    """In each round."""
    parquet_rows: int = 10_000_000
    csv_rows: int = 1_000_000
    poll_rows: int = 3_000_000
    """In the bill whose poll runs beside scrapes."""
    store_rows: int = 10_000_000
    history_lines: int = 10_000
    """Of the bill whose 14 months are written as history."""
    heavy_rounds: int = 3
    """For what takes seconds each time."""
    dashboard_minutes: int = 1440
    """For how long the demo of the dashboards was scraped, once a minute."""

    @classmethod
    def quick(cls, folder: Path) -> Scale:
        """Two minutes instead of fifteen."""
        return cls(
            folder,
            rounds=3,
            scrapes=60,
            parquet_rows=1_000_000,
            csv_rows=200_000,
            poll_rows=500_000,
            store_rows=1_000_000,
            history_lines=1_000,
            heavy_rounds=2,
            dashboard_minutes=120,
        )
