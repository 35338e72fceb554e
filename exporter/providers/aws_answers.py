"""What Cost Explorer's answers say: lines, the metrics that stand for billed and effective cost, and rows of a bill."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from exporter.costs import NONE, ChargeCategory, CostRow, Note
from exporter.periods import HOUR, Month
from exporter.providers.aws_plan import METRICS, Question
from exporter.providers.aws_words import CATEGORIES, category, named, value
from exporter.providers.rest import reading

_UNBLENDED, _NET_UNBLENDED, _AMORTIZED, _NET_AMORTIZED = range(len(METRICS))
_NET = frozenset({METRICS[_NET_UNBLENDED], METRICS[_NET_AMORTIZED]})


class Line(NamedTuple):
    """One group of one time bucket."""

    start: date | datetime
    keys: tuple[str, ...]
    currency: str
    amounts: tuple[str | None, ...]
    """In the order of METRICS, as they are written; the Net ones are None where the account has none."""


class Answer(NamedTuple):
    """All pages of an answer. A bucket may go on on the next page."""

    question: Question
    lines: list[Line]
    open_months: frozenset[Month]
    names: dict[str, str]

    @classmethod
    def of(cls, question: Question, pages: Iterable[Mapping[str, Any]]) -> Answer:
        """Read them. BadData where a page lacks what it must have."""
        lines: list[Line] = []
        months: set[Month] = set()
        names: dict[str, str] = {}
        with reading("the answer of Cost Explorer"):
            for page in pages:
                for bucket in page["ResultsByTime"]:
                    written = bucket["TimePeriod"]["Start"]
                    start = datetime.fromisoformat(written) if "T" in written else date.fromisoformat(written)
                    if bucket["Estimated"]:
                        months.add(Month.parse(written[:7]))
                    lines += [_line(start, group) for group in bucket["Groups"]]
                for each in page.get("DimensionValueAttributes", ()):
                    names[each["Value"]] = each.get("Attributes", {}).get("description", "")
        return cls(question, lines, frozenset(months), {id: name for id, name in names.items() if name})


class Bases(NamedTuple):
    """Which metrics stand for the two costs. The Net ones know discounts; not every account has them."""

    billed: int
    """Place in METRICS."""
    effective: int

    @classmethod
    def of(cls, answers: Collection[Answer]) -> Bases:
        """One choice for the whole bill: a mixture would not add up."""
        chosen = []
        for net, plain in ((_NET_UNBLENDED, _UNBLENDED), (_NET_AMORTIZED, _AMORTIZED)):
            everywhere = all(line.amounts[net] is not None for answer in answers for line in answer.lines)
            chosen.append(net if everywhere else plain)
        return cls(*chosen)

    def note(self) -> Note:
        """What the reader should know of it."""
        return Note("cost_metrics", f"Billed is {METRICS[self.billed]}, effective is {METRICS[self.effective]}.")


def _line(start: date | datetime, group: Mapping[str, Any]) -> Line:
    metrics = group["Metrics"]
    currency = metrics["UnblendedCost"]["Unit"]
    amounts: list[str | None] = []
    for name in METRICS:
        metric = metrics.get(name) if name in _NET else metrics[name]
        if metric is not None and metric["Unit"] != currency:
            raise ValueError(f"{name} is in {metric['Unit']} and UnblendedCost in {currency}")
        amounts.append(None if metric is None else metric["Amount"])
    first, second = group["Keys"]
    return Line(start, (first, second), currency, tuple(amounts))


def usage_rows(answer: Answer, payer: str, bases: Bases) -> Iterator[CostRow]:
    """Usage by service, and by what the question has beside it."""
    question = answer.question
    for line in answer.lines:
        service, second = line.keys
        label = question.extra
        shown = second if label is None or label.type == "DIMENSION" else value(second)
        yield _row(
            line,
            bases,
            payer,
            account=question.account or payer,
            service=named(service),
            region=named(second) if label is None else question.region or "",
            tags={label.name: named(shown)} if label else {},
        )


def account_rows(answer: Answer, payer: str, bases: Bases, without: ChargeCategory | None = None) -> Iterator[CostRow]:
    """Charges by account and category, with no service: Cost Explorer cannot tell a third dimension."""
    for line in answer.lines:
        account, record_type = line.keys
        kind = category(record_type)
        if kind is not without:
            yield _row(line, bases, payer, account=account, service=NONE, region="", category=kind)


def _row(line: Line, bases: Bases, payer: str, **labels: Any) -> CostRow:
    return CostRow(
        start=line.start,
        end=line.start + HOUR if isinstance(line.start, datetime) else None,
        # A text that is missing raises TypeError: BadData to whoever reads the bill.
        billed=Decimal(line.amounts[bases.billed]),  # type: ignore[arg-type]
        effective=Decimal(line.amounts[bases.effective]),  # type: ignore[arg-type]
        currency=line.currency,
        billing_account=payer,
        **labels,
    )


def strange(everything: Answer) -> Iterator[Note]:
    """A note on types of charges that nobody knew when this was written."""
    words = sorted({line.keys[1] for line in everything.lines} - CATEGORIES.keys())
    if words:
        yield Note("record_types", f"Charges of unknown types count as adjustments: {', '.join(words)}.")
