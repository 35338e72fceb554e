"""What Cost Explorer's answers say: lines, the metrics that stand for billed and effective cost, and tables of a bill.

DuckDB reads the pages: a row of Python for each of a hundred thousand groups takes ten times as long. Amounts stay
texts until the two metrics of the bill are chosen, and become DECIMAL digit for digit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from exporter.costs import NONE, ChargeCategory, CostBasis, CostTable, Note, engine
from exporter.costs.engine import literal
from exporter.costs.model import COLUMNS
from exporter.costs.money import SQL_TYPE
from exporter.costs.table import PLAIN, written
from exporter.errors import BadData
from exporter.periods import Month
from exporter.providers.aws_plan import METRICS, Question
from exporter.providers.aws_words import CATEGORIES, NOTHING, category
from exporter.providers.rest import reading

_WHAT = "the answer of Cost Explorer"
_UNBLENDED, _NET_UNBLENDED, _AMORTIZED, _NET_AMORTIZED = range(len(METRICS))
_NET = frozenset({_NET_UNBLENDED, _NET_AMORTIZED})
_AT_ONCE = 16
"""Pages that DuckDB is handed together: they are in memory twice then."""

_METRIC = {"Amount": "VARCHAR", "Unit": "VARCHAR"}
_GROUP = {"Keys": ["VARCHAR"], "Metrics": dict.fromkeys(METRICS, _METRIC)}
_BUCKET = {"TimePeriod": {"Start": "VARCHAR"}, "Estimated": "BOOLEAN", "Groups": [_GROUP]}
_PAGE = {"ResultsByTime": [_BUCKET]}
_NEXT = re.compile(rb'"NextPageToken"\s*:\s*("(?:[^"\\]|\\.)*")').search

_NAMES = [{"Value": "VARCHAR", "Attributes": {"description": "VARCHAR"}}]


class Bases(NamedTuple):
    """Which metrics stand for the two costs. The Net ones know discounts; not every account has them."""

    billed: int
    """Place in METRICS."""
    effective: int

    def note(self) -> Note:
        """What the reader should know of it."""
        return Note("cost_metrics", f"Billed is {METRICS[self.billed]}, effective is {METRICS[self.effective]}.")


class Answers:
    """All answers of one bill, a row for each group of each time bucket. A bucket may go on on the next page."""

    def __init__(self) -> None:
        self._questions: list[Question] = []
        amounts = ", ".join(f"NULL::VARCHAR AS amount{i}" for i in range(len(METRICS)))
        # `groups` is 0 in the one row of a bucket without any.
        self._rows = engine.Kept(
            "SELECT 0 AS question, false AS hourly, TIMESTAMP 'epoch' AS start, false AS estimated,"
            f" 0::BIGINT AS groups, '' AS first, '' AS second, '' AS currency, {amounts}, '' AS fault WHERE false"
        )
        self.names: dict[str, str] = {}
        """Account id → name, as the first question's answer has them."""

    def read(self, question: Question, bodies: Iterable[bytes]) -> None:
        """Read all pages of an answer. BadData where one lacks what it must have."""
        number = len(self._questions)
        self._questions.append(question)
        left = iter(bodies)
        while some := list(islice(left, _AT_ONCE)):
            with reading(_WHAT):
                pages = [body.decode() for body in some]
            engine.run(f"INSERT INTO {self._rows.name} {_LINES}", {"pages": pages, "question": number})
            [(fault,)] = self._run("min(fault)", f"question = {number}")
            if fault:
                raise BadData(f"{_WHAT} cannot be read: {fault}")
            if number == 0:
                self._read_names(pages)

    def kinds(self) -> set[tuple[str, str]]:
        """Account and record type of all lines of the first answer."""
        return {(account, kind) for account, kind in self._run("DISTINCT first, second", "question = 0 AND groups > 0")}

    def open_months(self) -> frozenset[Month]:
        """Months of which the first answer calls any time bucket an estimate."""
        found = self._run("DISTINCT strftime(start, '%Y-%m')", "question = 0 AND estimated")
        return frozenset(Month.parse(month) for (month,) in found)

    def bases(self) -> Bases:
        """One choice for the whole bill: a mixture would not add up."""
        missing = ", ".join(f"count(*) - count(amount{i})" for i in range(len(METRICS)))
        [lacks] = self._run(missing, "groups > 0")
        return Bases(
            _UNBLENDED if lacks[_NET_UNBLENDED] else _NET_UNBLENDED,
            _AMORTIZED if lacks[_NET_AMORTIZED] else _NET_AMORTIZED,
        )

    def by_account(self, payer: str, bases: Bases) -> CostTable:
        """The first answer: charges by account and category, with no service, as Cost Explorer tells no third one."""
        return self._table(payer, bases, "question = 0")

    def costs(self, payer: str, bases: Bases) -> CostTable:
        """Usage as the other answers tell it, by service and what they have beside it; and the first answer's rest."""
        usage = literal(ChargeCategory.USAGE.value)
        return self._table(payer, bases, f"question > 0 OR {_category()} <> {usage}")

    def strange(self) -> Iterator[Note]:
        """A note on types of charges that nobody knew when this was written."""
        words = sorted({kind for _, kind in self.kinds()} - CATEGORIES.keys())
        if words:
            yield Note("record_types", f"Charges of unknown types count as adjustments: {', '.join(words)}.")

    def _read_names(self, pages: list[str]) -> None:
        found = engine.run(
            "SELECT each.Value, each.Attributes.description FROM (SELECT unnest(TRY(json_transform("
            f"json_extract(page, '$.DimensionValueAttributes'), {literal(json.dumps(_NAMES))}))) AS each"
            " FROM (SELECT unnest($pages::VARCHAR[]) AS page))",
            {"pages": pages},
        )
        if any(id is None for id, _ in found):
            raise BadData(f"{_WHAT} cannot be read: there is no 'Value'")
        self.names |= {id: name for id, name in found if name}

    def _table(self, payer: str, bases: Bases, where: str) -> CostTable:
        """Lines as charges. ValueError where an amount cannot be one."""
        for place in set(bases):
            self._spell_out(f"amount{place}")
        labels = [(number, *_labels(each, payer)) for number, each in enumerate(self._questions)]
        values = ", ".join(f"({n}, {literal(account)}, {literal(region)})" for n, account, region in labels)
        extra = next((each.extra for each in self._questions if each.extra), None)
        region, tags = _named("second"), "MAP([]::VARCHAR[], []::VARCHAR[])"
        if extra:
            # `team$core$data` is `core$data`, `team$` is empty (untagged).
            dollar = "strpos(second, '$')"
            value = "second" if extra.type == "DIMENSION" else f"if({dollar} > 0, substr(second, {dollar} + 1), '')"
            region, tags = "its_region", f"if(question = 0, {tags}, MAP([{literal(extra.name)}], [{_named(value)}]))"
        billed, effective = (f"CAST(amount{place} AS {SQL_TYPE})" for place in bases)
        refunds = ", ".join(literal(each.value) for each in (ChargeCategory.PURCHASE, ChargeCategory.ADJUSTMENT))
        usage = literal(ChargeCategory.USAGE.value)
        columns = {
            "SourceId": "''",
            "ChargePeriodStart": "start",
            "ChargePeriodEnd": "start + if(hourly, INTERVAL 1 HOUR, INTERVAL 1 DAY)",
            "BillingPeriodStart": "date_trunc('month', start)",
            "ServiceProviderName": "''",
            "BillingAccountId": literal(payer),
            "SubAccountId": "if(question = 0, first, its_account)",
            "ServiceName": f"if(question = 0, {literal(NONE)}, {_named('first')})",
            "RegionId": f"if(question = 0, '', {region})",
            "ChargeCategory": f"if(question = 0, {_category()}, {usage})",
            "ChargeClass": "''",
            "CommitmentDiscountStatus": "''",
            "InvoiceId": "''",
            "BillingCurrency": "currency",
            "Tags": tags,
            "CostBasis": literal(CostBasis.REPORTED.value),
            "IsEstimated": "false",
            "IsRefund": f"question = 0 AND {billed} < 0 AND {_category()} IN ({refunds})",
            "BilledCost": billed,
            "EffectiveCost": effective,
            "ListCost": "NULL",
            "ContractedCost": "NULL",
            "RowCount": "1",
        }
        select = ", ".join(f"CAST({columns[name]} AS {type}) AS {name}" for name, type, _ in COLUMNS)
        return CostTable.over(
            f"SELECT {select} FROM {self._rows.name}"
            f" JOIN (VALUES {values}) AS asked(question, its_account, its_region) USING (question)"
            f" WHERE groups > 0 AND ({where})",
            owner=self._rows,
        )

    def _spell_out(self, column: str) -> None:
        """Amounts with an exponent, or more digits than are stored, as they are stored."""
        odd = [
            text for (text,) in self._run(f"DISTINCT {column}", f"NOT regexp_full_match({column}, {literal(PLAIN)})")
        ]
        if odd:
            engine.run(
                f"UPDATE {self._rows.name} SET {column} = stored"
                " FROM (SELECT unnest($odd::VARCHAR[]) AS odd, unnest($stored::VARCHAR[]) AS stored)"
                f" WHERE {column} = odd",
                {"odd": odd, "stored": [written(Decimal(text)) for text in odd]},
            )

    def _run(self, select: str, where: str) -> list[tuple[Any, ...]]:
        return engine.run(f"SELECT {select} FROM {self._rows.name} WHERE {where}")


def next_page(body: bytes) -> str | None:
    """The token of the page after this one."""
    found = _NEXT(body)  # in a text, its quotes would have a backslash in front
    if found is None:
        return None
    with reading(_WHAT):
        token: str | None = json.loads(found[1])
        return token


def _labels(question: Question, payer: str) -> tuple[str, str]:
    """Account and region of a question's lines, where no group says them."""
    return question.account or payer, question.region or ""


def _named(sql: str) -> str:
    """A group's key as a label: empty where Cost Explorer says that there is none."""
    return f"if({sql} IN ({', '.join(map(literal, sorted(NOTHING)))}), '', {sql})"


def _category() -> str:
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(kind.value)}" for word, kind in CATEGORIES.items())
    return f"CASE second {cases} ELSE {literal(category('').value)} END"


def _faults() -> Iterator[tuple[str, str]]:
    """Condition of SQL, and an expression of what is wrong where it holds."""

    def no(name: str) -> str:
        return literal(f"there is no {name!r}")

    yield "nothing", no("ResultsByTime")
    yield "written IS NULL", no("Start")
    yield "start IS NULL", f"concat({literal('Start is no date: ')}, written)"
    yield "estimated IS NULL", no("Estimated")
    yield "groups IS NULL", no("Groups")
    yield "groups = 0", "NULL"
    two = "len(each.Keys) = 2 AND each.Keys[1] IS NOT NULL AND each.Keys[2] IS NOT NULL"
    yield f"({two}) IS NOT TRUE", literal("a group has not two Keys")
    for place, name in enumerate(METRICS):
        metric = f"each.Metrics.{name}"
        there = f"{metric} IS NOT NULL AND " if place in _NET else ""
        yield f"{there}({metric}.Amount IS NULL OR {metric}.Unit IS NULL)", no(name)
        mine, first = f"{metric}.Unit", f"each.Metrics.{METRICS[_UNBLENDED]}.Unit"
        yield f"{mine} <> {first}", f"concat('{name} is in ', {mine}, ' and {METRICS[_UNBLENDED]} in ', {first})"


def _lines() -> str:
    """The INSERT's SELECT over `$pages` for `$question`; a list that is missing or empty leaves one row."""
    amounts = ", ".join(f"each.Metrics.{name}.Amount" for name in METRICS)
    faults = " ".join(f"WHEN {condition} THEN {words}" for condition, words in _faults())
    return (
        f"WITH pages AS (SELECT TRY(json_transform(page, {literal(json.dumps(_PAGE))})) AS page"
        " FROM (SELECT unnest($pages::VARCHAR[]) AS page)),"
        " buckets AS (SELECT unnest(coalesce(page.ResultsByTime, [NULL])) AS bucket FROM pages),"
        # What is the same for a bucket's groups is as long as its list of groups: take only what is needed beside it.
        " groups AS (SELECT bucket IS NULL AS nothing, bucket.TimePeriod.Start AS written,"
        " CAST(TRY_CAST(written AS TIMESTAMPTZ) AS TIMESTAMP) AS start, bucket.Estimated AS estimated,"
        " len(bucket.Groups) AS groups,"
        " unnest(CASE WHEN len(bucket.Groups) > 0 THEN bucket.Groups ELSE [NULL] END) AS each FROM buckets)"
        " SELECT $question, contains(written, 'T'), start, estimated, groups,"
        f" each.Keys[1], each.Keys[2], each.Metrics.UnblendedCost.Unit, {amounts}, CASE {faults} END FROM groups"
    )


_LINES = _lines()
