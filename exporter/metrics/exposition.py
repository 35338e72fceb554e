"""The text forms of /metrics: rendering families to bytes, and choosing the form a scraper wants.

The Prometheus text format 0.0.4 and OpenMetrics 1.0.0 differ only in the name of counters and in the last line, so
stored bodies, which hold no counters, serve both. See https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from exporter.costs.money import text
from exporter.metrics.catalog import Spec

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
EOF = b"# EOF\n"

Value = Decimal | float | int


@dataclass(frozen=True, slots=True)
class Family:
    """A family with its samples: label values in the order of the spec's labels, and a value."""

    spec: Spec
    samples: Sequence[tuple[tuple[str, ...], Value]]


class Form(NamedTuple):
    """What a scraper gets."""

    openmetrics: bool
    gzip: bool

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return OPENMETRICS if self.openmetrics else TEXT


def render(families: Iterable[Family], *, openmetrics: bool = False) -> bytes:
    """The families as text, without the `# EOF` of OpenMetrics. Families without samples are left out.

    ValueError for a label set that stands twice: scrapers would drop one of the two amounts in silence.
    """
    escaped = _Escaped()
    out: list[str] = []
    for family in families:
        if not family.samples:
            continue
        spec = family.spec
        name = spec.name.removesuffix("_total") if openmetrics and spec.type == "counter" else spec.name
        out.append(f"# HELP {name} {_help(spec.help)}\n# TYPE {name} {spec.type}\n")
        if len({labels for labels, _ in family.samples}) != len(family.samples):
            raise ValueError(f"{spec.name}: a label set stands twice")
        starts = [f'{label}="' for label in spec.labels]
        for values, value in family.samples:
            if len(values) != len(starts):
                raise ValueError(f"{spec.name}: {len(values)} label values for {len(starts)} labels")
            pairs = ",".join([f'{start}{escaped[v]}"' for start, v in zip(starts, values, strict=True)])
            out.append(f"{spec.name}{{{pairs}}} {_number(value)}\n" if pairs else f"{spec.name} {_number(value)}\n")
    return "".join(out).encode()


def negotiate(accept: str, accept_encoding: str) -> Form:
    """The form that `Accept` and `Accept-Encoding` prefer, by their q-values; text without compression by default."""
    wanted = _qualities(accept)
    plain = max(wanted.get("text/plain", 0.0), wanted.get("text/*", 0.0), wanted.get("*/*", 0.0))
    openmetrics = wanted.get("application/openmetrics-text", 0.0)
    codings = _qualities(accept_encoding)
    gzip = codings.get("gzip", codings.get("*", 0.0))
    identity = codings.get("identity", 0.0)
    return Form(openmetrics=openmetrics > 0 and openmetrics >= plain, gzip=gzip > 0 and gzip >= identity)


class _Escaped(dict[str, str]):
    """Label values as they stand between quotes, each escaped once."""

    def __missing__(self, value: str) -> str:
        self[value] = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return self[value]


def _help(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: Value) -> str:
    if isinstance(value, Decimal):
        return text(value)
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _qualities(header: str) -> dict[str, float]:
    """`text/plain;q=0.5, */*` → its words with their q-values; the highest counts where a word stands twice."""
    found: dict[str, float] = {}
    for part in header.split(","):
        word, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if word:
            found[word] = max(found.get(word, 0.0), quality)
    return found
