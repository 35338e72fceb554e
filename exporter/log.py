"""logfmt on stderr, transitions rather than states, secrets masked.

`ts=2024-10-02T12:00:00.000Z level=info msg="poll finished" source=aws-prod rows=812`
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

_SECRETS: set[str] = set()
_MASK = "<secret>"


def setup(*, debug: bool = False, stream: TextIO | None = None) -> None:
    """Write the log of this process to `stream` (stderr) as logfmt, one line an event."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Logfmt())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for chatty in ("asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def keep_secret(text: str) -> None:
    """From now on, never let `text` reach the log of this process."""
    if len(text) >= 4:  # shorter ones would mask half of every line and protect nothing
        _SECRETS.add(text)


def masked(text: str) -> str:
    """`text` with every known secret replaced by `<secret>`."""
    for secret in sorted(_SECRETS, key=len, reverse=True):  # one may begin another
        text = text.replace(secret, _MASK)
    return text


class Logfmt(logging.Formatter):
    """Formats a record as logfmt; `extra={"fields": {...}}` becomes key=value pairs behind the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; an exception follows as `error="..."`, its traceback only at debug level."""
        instant = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "ts": f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z",
            "level": {"WARNING": "warn"}.get(record.levelname, record.levelname.lower()),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        # Masked before quoting: a secret with a quote or a line end in it looks different afterwards.
        line = " ".join(f"{key}={_quoted(masked(str(value)))}" for key, value in fields.items() if value is not None)
        if record.exc_info and logging.getLogger().isEnabledFor(logging.DEBUG):
            line += "\n" + masked(self.formatException(record.exc_info))
        return line


def _quoted(text: str) -> str:
    if text and not re.search(r'[\s"=\\]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
