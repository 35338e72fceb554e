"""Invented FOCUS 1.0 bills in files: the 43 columns, hourly usage of many resources, amounts of ten decimals.

The same arguments give the same rows. DuckDB writes them, in a process of its own so that its memory is not ours.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from benchmarks import process

_PROVIDERS = ("AWS", "Microsoft", "Google Cloud")
_ISSUERS = ("Amazon Web Services, Inc.", "Microsoft", "Google Cloud")
_SERVICES = (
    "Amazon Elastic Compute Cloud - Compute",
    "EC2 - Other",
    "Amazon Simple Storage Service",
    "AWS Lambda",
    "Amazon Relational Database Service",
    "Amazon DynamoDB",
    "AmazonCloudWatch",
    "AWS Key Management Service",
    "Virtual Machines",
    "Azure SQL Database",
    "Log Analytics",
    "Compute Engine",
    "BigQuery",
    "Kubernetes Engine",
)
_REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "westeurope", "northeurope", "us-central1", "global")


@dataclass(frozen=True, slots=True)
class Bill:
    """What to invent: so many rows over whole days from `first` on, of so many accounts."""

    rows: int
    first: date = date(2026, 10, 1)
    days: int = 31
    accounts: int = 300
    money: str = "DECIMAL(38,10)"
    """The type of the amounts: some vendors write decimals, some doubles."""

    def write(self, path: Path) -> Path:
        """Write the file, Parquet or CSV.gz by its name."""
        told = (path, self.rows, self.first.isoformat(), self.days, self.accounts, self.money)
        process.run("benchmarks.bills", *told)
        return path

    def sql(self) -> str:
        """The SELECT of its rows."""
        return f"""
            WITH dice AS (
                SELECT hash(3 * i) AS h, hash(3 * i + 1) AS g, hash(3 * i + 2) % {self.accounts} AS account
                FROM range({self.rows}) t(i)
            ), thrown AS (
                SELECT h, g, account, account % 3 AS vendor,
                    TIMESTAMP '{self.first}' + INTERVAL ((g % {24 * self.days})::INTEGER) HOUR AS starts,
                    -- from a millionth of a cent to about a hundred
                    (pow(10, 2 + (h // 1000 % 1000000) / 100000.0))::BIGINT AS units,
                    {_listed(_SERVICES)}[1 + ((account * 5 + h % 6) % {len(_SERVICES)})::INTEGER] AS service,
                    {_listed(_REGIONS)}[1 + ((account + g % 2) % {len(_REGIONS)})::INTEGER] AS region
                FROM dice
            )
            SELECT
                CASE WHEN vendor = 0 THEN region || 'a' END AS AvailabilityZone,
                {self._amount("units")} AS BilledCost,
                printf('%012d', 900000000000 + account % 7) AS BillingAccountId,
                'Payer ' || account % 7 AS BillingAccountName,
                'USD' AS BillingCurrency,
                date_trunc('month', starts) + INTERVAL 1 MONTH AS BillingPeriodEnd,
                date_trunc('month', starts) AS BillingPeriodStart,
                CASE WHEN h % 50 = 0 THEN 'Tax' ELSE 'Usage' END AS ChargeCategory,
                NULL::VARCHAR AS ChargeClass,
                '$0.0' || h % 977 || ' per unit of usage in ' || h % 13 AS ChargeDescription,
                'Usage-Based' AS ChargeFrequency,
                starts + INTERVAL 1 HOUR AS ChargePeriodEnd,
                starts AS ChargePeriodStart,
                CASE WHEN h % 7 = 0 THEN 'Spend' END AS CommitmentDiscountCategory,
                CASE WHEN h % 7 = 0 THEN 'arn:aws:savingsplans::' || account % 9 END AS CommitmentDiscountId,
                NULL::VARCHAR AS CommitmentDiscountName,
                CASE WHEN h % 7 = 0 THEN 'Used' END AS CommitmentDiscountStatus,
                CASE WHEN h % 7 = 0 THEN 'Savings Plan' END AS CommitmentDiscountType,
                {self._amount("g % 10000000000")} AS ConsumedQuantity,
                'Hours' AS ConsumedUnit,
                {self._amount("units * 9 // 10")} AS ContractedCost,
                {self._amount("16667")} AS ContractedUnitPrice,
                {self._amount("units * 8 // 10")} AS EffectiveCost,
                {_listed(_ISSUERS)}[1 + vendor::INTEGER] AS InvoiceIssuerName,
                {self._amount("units * 11 // 10")} AS ListCost,
                {self._amount("17000")} AS ListUnitPrice,
                'Standard' AS PricingCategory,
                {self._amount("g % 10000000000")} AS PricingQuantity,
                'Hours' AS PricingUnit,
                {_listed(_PROVIDERS)}[1 + vendor::INTEGER] AS ProviderName,
                {_listed(_PROVIDERS)}[1 + vendor::INTEGER] AS PublisherName,
                region AS RegionId,
                region AS RegionName,
                'arn:aws:ec2:' || region || ':' || account || ':instance/i-' || printf('%017x', h % 500000)
                    AS ResourceId,
                NULL::VARCHAR AS ResourceName,
                'Instance' AS ResourceType,
                'Compute' AS ServiceCategory,
                service AS ServiceName,
                'SKU' || h % 4000 AS SkuId,
                'SKUP' || h % 9000 AS SkuPriceId,
                printf('%012d', 100000000000 + account * 7919) AS SubAccountId,
                'team-' || account || ', prod' AS SubAccountName,
                '{{"team":"t' || account % 40 || '","env":"' || ['prod', 'dev', 'stage'][1 + (h % 3)::INTEGER]
                    || '","cost-center":"' || h % 200 || '"}}' AS Tags
            FROM thrown"""

    def _amount(self, units: str) -> str:
        return f"(({units})::BIGINT * 0.0000000001::DECIMAL(11,10))::{self.money}"


def _listed(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def _main() -> None:
    path, rows, first, days, accounts, money = sys.argv[1:]
    bill = Bill(int(rows), date.fromisoformat(first), int(days), int(accounts), money)
    form = (
        "FORMAT parquet, COMPRESSION snappy"
        if path.endswith(".parquet")
        else "FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ', COMPRESSION gzip"
    )
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"COPY ({bill.sql()}) TO '{path}' ({form})")


if __name__ == "__main__":
    _main()
