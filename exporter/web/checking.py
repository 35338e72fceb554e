"""The document that checks judge: check.json as the worker wrote it, and beside it what is true at this moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from exporter.snapshot import Snapshot
from exporter.web.landing import standing


def document(current: Snapshot, now: datetime, facts: Sequence[Mapping[str, Any]]) -> bytes:
    """check.json with one more key, `served`; `facts` are `Board.facts`. Instants are UTC, ISO 8601.

    `served` has `now` of the business clock, when the snapshot was `made`, when the clock asks for the next
    (`next_change_at`), from when on it would lie (`expires_at`), and how the last poll of each source ended. OSError
    where the file is gone.
    """
    manifest = current.manifest
    served = {
        "now": now.isoformat(),
        "made": manifest.made.isoformat(),
        "next_change_at": manifest.next_change_at and manifest.next_change_at.isoformat(),
        "expires_at": manifest.expires_at and manifest.expires_at.isoformat(),
        "sources": {fact["source"]: _said(fact) for fact in facts},
    }
    # It is put in front as bytes: to decode a megabyte for each question would be work.
    written = (current.folder / "check.json").read_bytes()
    return b'{"served":' + json.dumps(served, separators=(",", ":")).encode() + b"," + written.lstrip()[1:]


def _said(fact: Mapping[str, Any]) -> dict[str, str | None]:
    waiting = None if fact["up"] or fact["failed"] or fact["last_success"] else standing(dict(fact))
    return {
        "label": fact["label"],
        "failed": fact["failed"],
        "message": fact["message"],
        "hint": fact["hint"],
        "waiting": waiting,
    }
