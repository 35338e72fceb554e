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
    out: list[str] = []
    written: dict[tuple[str, ...], Labels] = {}
    for family in families:
        if not family.samples:
            continue
        spec = family.spec
        name = spec.name.removesuffix("_total") if openmetrics and spec.type == "counter" else spec.name
        out.append(header(spec, name))
        known = written.setdefault(spec.labels, Labels(spec.labels))
        try:
            labels = [known[values] for values, _ in family.samples]
        except ValueError as error:
            raise ValueError(f"{spec.name}: {error}") from None
        if len(set(labels)) != len(labels):
            raise ValueError(f"{spec.name}: a label set stands twice")
        named = zip(labels, family.samples, strict=True)
        out += [f"{spec.name}{pairs} {_number(value)}\n" for pairs, (_, value) in named]
    return "".join(out).encode()


def header(spec: Spec, name: str = "") -> str:
    """The lines that stand before the samples of a family; `name` where it is told by another than its own."""
    name = name or spec.name
    return f"# HELP {name} {_help(spec.help)}\n# TYPE {name} {spec.type}\n"


def negotiate(accept: str, accept_encoding: str) -> Form:
    """The form that `Accept` and `Accept-Encoding` prefer, by their q-values; text without compression by default."""
    wanted = _qualities(accept)
    plain = max(wanted.get("text/plain", 0.0), wanted.get("text/*", 0.0), wanted.get("*/*", 0.0))
    openmetrics = wanted.get("application/openmetrics-text", 0.0)
    codings = _qualities(accept_encoding)
    gzip = codings.get("gzip", codings.get("*", 0.0))
    identity = codings.get("identity", 0.0)
    return Form(openmetrics=openmetrics > 0 and openmetrics >= plain, gzip=gzip > 0 and gzip >= identity)


class Labels(dict[tuple[str, ...], str]):
    """Label values → labels as they are written, `{source="demo",…}`; ValueError where there are more or fewer names.

    Each set is made once: the families of a bill share most of theirs.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        pairs = ",".join([f'{name}="%s"' for name in names])
        self._pattern = f"{{{pairs}}}" if names else ""

    def __missing__(self, values: tuple[str, ...]) -> str:
        if len(values) != len(self._names):
            raise ValueError(f"{len(values)} label values for {len(self._names)} labels")
        # One `%` is twice as fast as a join of seven pairs.
        self[values] = self._pattern % _escaped(values)
        return self[values]


def _escaped(values: tuple[str, ...]) -> tuple[str, ...]:
    """Label values as they stand between quotes."""
    together = "".join(values)
    if '"' in together or "\\" in together or "\n" in together:  # rare
        return tuple(v.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for v in values)
    return values


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
