"""An AWS export through Athena: the bill is summed where it lies, and its lines never travel.

    aws_athena_sql    the statement       aws_athena_client   asking Athena, once per answer
    aws_athena_rows   what its rows mean

For exports that are too large to read whole (`aws_export`). One query a poll, over the billing months of the window.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from exporter.clock import Clock
from exporter.costs import Ask, Bill, CostBasis, CostTable, Scope
from exporter.periods import DAY, HOUR, Grain
from exporter.providers import Access, Call, Meter, ProviderSpec
from exporter.providers.aws_athena_client import DESCRIBE, LOOK, ROWS, START, Athena, Place, price
from exporter.providers.aws_athena_rows import Answer
from exporter.providers.aws_session import AccountId, AwsOptions, AwsSession, openings
from exporter.providers.rest import reading

ON_DEMAND = Decimal(5)
"""US dollars for a terabyte read, in most regions (https://aws.amazon.com/athena/pricing/)."""

_GLUE = ("glue:GetTable", "glue:GetPartitions")
_RESULTS = ("s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject")


class AwsAthenaOptions(AwsOptions):
    """Options of `aws_athena`."""

    table: Annotated[str, StringConstraints(pattern=r"^[\w-]+\.[\w-]+$")]
    """The export's table, database.table."""
    kind: Literal["auto", "focus", "cur2", "cur"] = "auto"
    """What it holds: `focus`, `cur2` or the legacy `cur`; `auto` tells by its columns. Another kind is refused."""
    region: str | None = None
    """Where Athena and the table are; us-east-1 unless set, in China cn-northwest-1."""
    catalog: str = "AwsDataCatalog"
    """The data catalog that knows the table."""
    workgroup: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,128}$")] = "primary"
    """The workgroup that queries run in; give it a limit of bytes per query."""
    output_location: Annotated[str, StringConstraints(pattern=r"^s3://.+")] | None = None
    """Where Athena leaves results, s3://bucket/prefix/; where the workgroup says unless set."""
    usd_per_tb: Decimal = Field(default=ON_DEMAND, ge=0)
    """What a terabyte read costs in the region; 0 with provisioned capacity."""
    payer: AccountId | None = None
    """The payer account whose bill it is: a second source of it is then refused at start."""
    endpoint_url: str | None = None
    """Where Athena is, if not at its usual address."""


class AwsAthena:
    """The provider."""

    def __init__(self, options: AwsAthenaOptions, meter: Meter, clock: Clock | None = None) -> None:
        self._options = options
        self._meter = meter
        self._clock = clock

    def fetch(self, ask: Ask) -> Bill:
        """Every charge in the window, or a SourceError."""
        name = self._options.table
        with AwsSession(self._options, self._meter) as aws:
            athena = self._athena(aws)
            table = athena.describe(name, self._options.kind)
            statement = table.statement(ask)
            answer = Answer.of(table, statement, athena.rows(statement, name), ask)
        with reading(f"the bill in {name}"):
            costs = CostTable.of(answer.rows)
            if not table.focus:  # the report has no effective cost of its own
                reported, computed = (f"'{basis}'" for basis in (CostBasis.REPORTED, CostBasis.COMPUTED))
                costs = costs.mapped(CostBasis=f"CASE CostBasis WHEN {reported} THEN {computed} ELSE CostBasis END")
            return Bill(
                costs=costs,
                covered=(Scope(ask.window),),
                totals=CostTable.of(answer.totals),
                open_months=answer.open_months,
                accounts=answer.names,
                notes=tuple(answer.notes()),
                rounded=answer.rounded,
            )

    def access(self) -> Access:
        """Who asks, the table's columns, and its newest charge: one query, paid."""
        name = self._options.table
        now = (self._clock or Clock.from_environment(may_freeze=True)).now()
        with AwsSession(self._options, self._meter) as aws:
            identity = aws.identity()
            athena = self._athena(aws)
            table = athena.describe(name, self._options.kind)
            found = [row["newest"] for row in athena.rows(table.newest(now - DAY), name)]
            where = aws.found
        with reading(f"the newest charge of {name}"):
            newest = max((date.fromisoformat(day) for day in found if day), default=None)
        calls = (*openings(self._options), "sts:GetCallerIdentity", DESCRIBE, START, LOOK, ROWS)
        shape = {table.kind: dict(sorted(table.columns.items()))}
        return Access(credentials=where, identity=str(identity["Arn"]), calls=calls, newest=newest, shape=shape)

    def _athena(self, aws: AwsSession) -> Athena:
        """Athena over a session, which speaks to its region from now on: sts is asked where the session began."""
        told = self._options
        aws.region = told.region or aws.region
        place = Place(told.catalog, told.workgroup, told.output_location, told.usd_per_tb, told.endpoint_url)
        return Athena(aws, self._meter, place)


def _calls(options: AwsAthenaOptions, ask: Ask) -> tuple[Call, ...]:  # noqa: ARG001  the bytes are not known before asking
    """Paid for is one query, at least ten megabytes; what it really reads, the first poll tells."""
    charge, billed = price(0, options.usd_per_tb)
    free = (*openings(options), DESCRIBE, START)
    return (
        *(Call(operation=operation, paged=False) for operation in free),
        Call(operation=LOOK, charge=charge, units={"bytes": Decimal(billed)}, paged=False),
        Call(operation=ROWS),
    )


def _routes(options: AwsAthenaOptions) -> tuple[str, ...]:
    return (f"aws:{options.payer}",) if options.payer else ()


def _policy(options: AwsAthenaOptions) -> str:
    """An IAM policy for whoever asks. The export's bucket is not known here: put its name in."""
    results = (options.output_location or "s3://RESULTS-BUCKET/").removeprefix("s3://").partition("/")[0]
    arn = "arn:aws-cn" if options.partition == "aws-cn" else "arn:aws"

    def allow(sid: str, actions: tuple[str, ...], *resources: str) -> dict[str, object]:
        return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}

    statements = [
        allow("AskAthena", (START, LOOK, ROWS, DESCRIBE), "*"),
        allow("KnowTheTable", _GLUE, "*"),
        allow("ReadTheExport", _RESULTS[:3], f"{arn}:s3:::EXPORT-BUCKET", f"{arn}:s3:::EXPORT-BUCKET/*"),
        allow("KeepResults", _RESULTS, f"{arn}:s3:::{results}", f"{arn}:s3:::{results}/*"),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


SPEC = ProviderSpec(
    "aws_athena",
    AwsAthenaOptions,
    AwsAthena,
    settles_after=timedelta(hours=48),
    poll_every=8 * HOUR,  # exports are refreshed up to three times a day
    permissions=(START, LOOK, ROWS, DESCRIBE, *_GLUE, *_RESULTS),
    label="aws",
    history=timedelta(days=425),
    grains=frozenset({Grain.DAY, Grain.HOUR}),
    calls=_calls,
    routes=_routes,
    policy=_policy,
)
