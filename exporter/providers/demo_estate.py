"""The invented estate behind the demo bill: who owns what, where, and what it costs in a plain month. Data only.

Nobody's bill: account ids are those of vendors' documentation or spell out that they are made up. Service names are
as the bills spell them: Cost Explorer for AWS, meter categories for Azure, the billing export for Google Cloud.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from exporter.costs import GLOBAL

LEVEL_DAY = date(2026, 11, 1)
"""The day on which `monthly` holds; the estate grows from there, and is smaller before."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a line spends its week: thousandths of a mean day from Monday on, 7000 together, and how much it wobbles."""

    week: tuple[int, int, int, int, int, int, int]
    noise: int
    """Largest wobble of a day, millionths."""
    grows: bool = True


OFFICE = Rhythm((1090, 1110, 1115, 1110, 1075, 760, 740), noise=45_000)
SHOPPERS = Rhythm((930, 925, 940, 970, 1055, 1115, 1065), noise=60_000)
STEADY = Rhythm((1000,) * 7, noise=12_000)
STORED = Rhythm((1000,) * 7, noise=3_000)
TUESDAYS = Rhythm((0, 7000, 0, 0, 0, 0, 0), noise=90_000)
FORGOTTEN = Rhythm((1000,) * 7, noise=1_500, grows=False)


@dataclass(frozen=True, slots=True)
class Service:
    """What one account spends on one service in a plain month, in whole units of its currency."""

    name: str
    monthly: int
    rhythm: Rhythm
    team: str = ""
    """Value of the tag `team`; empty where nobody tagged it."""
    everywhere: bool = True
    """Split over the regions of the account; else it lies in none."""


@dataclass(frozen=True, slots=True)
class Account:
    """A linked account, subscription or project."""

    id: str
    name: str
    provider: str
    billing_account: str
    currency: str
    places: int
    """Digits behind the point that this bill carries."""
    env: str
    regions: Mapping[str, int]
    """Region → percent of a service's cost."""
    services: tuple[Service, ...]
    list_price: int = 1000
    """Thousandths of the price paid."""
    tax: int = 0
    """Thousandths of a plain month, charged on the first day of the next."""
    tax_service: str = ""
    """Under which name."""

    @property
    def monthly(self) -> int:
        """What its services cost in a plain month."""
        return sum(service.monthly for service in self.services)


Key = tuple[str, str, str]
"""Account id, service and region."""


@dataclass(frozen=True, slots=True)
class Line:
    """One account × service × region of the bill."""

    account: Account
    service: str
    region: str
    daily: int
    """A plain day's cost, millionths of the currency."""
    rhythm: Rhythm
    team: str

    key: Key

    def tags(self, keys: Collection[str]) -> dict[str, str]:
        """Its tags of these keys; a line that nobody tagged has none."""
        if not keys or not self.team:
            return {}
        return {key: value for key, value in (("team", self.team), ("env", self.account.env)) if key in keys}


EC2 = "Amazon Elastic Compute Cloud - Compute"
EC2_OTHER = "EC2 - Other"
EKS = "Amazon Elastic Container Service for Kubernetes"
RDS = "Amazon Relational Database Service"
S3 = "Amazon Simple Storage Service"

AWS_PROD = Account(
    "111122223333",
    "shop-production",
    "aws",
    billing_account="111122223333",
    currency="USD",
    places=10,
    env="prod",
    regions={"us-east-1": 48, "eu-west-1": 34, "eu-central-1": 18},
    list_price=1080,
    tax=55,
    tax_service="Tax",
    services=(
        Service(EC2, 8400, OFFICE, "shop"),
        Service(EC2_OTHER, 2300, STEADY, "platform"),
        Service(RDS, 4600, STEADY, "shop"),
        Service(S3, 2700, STORED, "data"),
        Service(EKS, 1050, STEADY, "platform"),
        Service("AWS Lambda", 640, SHOPPERS, "shop"),
        Service("Amazon CloudFront", 1650, SHOPPERS, "shop", everywhere=False),
        Service("Amazon DynamoDB", 1250, SHOPPERS, "shop"),
        Service("Amazon Elastic Load Balancing", 720, STEADY, "platform"),
        Service("Amazon ElastiCache", 830, STEADY, "shop"),
        Service("Amazon Route 53", 55, STEADY, "platform", everywhere=False),
        Service("Amazon Simple Queue Service", 0, STEADY, "shop"),
        Service("Amazon Virtual Private Cloud", 290, STEADY),
        Service("AmazonCloudWatch", 1080, STEADY, "platform"),
        Service("AWS Glue", 460, TUESDAYS, "data"),
        Service("AWS Key Management Service", 80, STEADY, "platform"),
    ),
)
AWS_DEV = Account(
    "444455556666",
    "shop-development",
    "aws",
    billing_account="111122223333",
    currency="USD",
    places=10,
    env="dev",
    regions={"us-east-1": 35, "eu-west-1": 65},
    list_price=1080,
    tax=55,
    tax_service="Tax",
    services=(
        Service(EC2, 1700, OFFICE, "shop"),
        Service(EC2_OTHER, 380, STEADY, "platform"),
        Service(RDS, 620, OFFICE, "shop"),
        Service(S3, 210, STORED, "data"),
        Service(EKS, 150, STEADY, "platform"),
        Service("AWS Lambda", 45, OFFICE, "shop"),
        Service("Amazon DynamoDB", 60, OFFICE, "shop"),
        Service("Amazon EC2 Container Registry (ECR)", 38, STORED, "platform"),
        Service("Amazon Simple Queue Service", 0, STEADY, "shop"),
        Service("Amazon Virtual Private Cloud", 75, STEADY),
        Service("AmazonCloudWatch", 160, OFFICE, "platform"),
        Service("AWS Key Management Service", 14, STEADY, "platform"),
    ),
)
AZURE = Account(
    "00000000-1111-2222-3333-444444444444",
    "back-office",
    "azure",
    billing_account="0000000",
    currency="EUR",
    places=8,
    env="prod",
    regions={"westeurope": 55, "northeurope": 27, "germanywestcentral": 18},
    list_price=1040,
    services=(
        Service("Virtual Machines", 3600, OFFICE, "erp"),
        Service("SQL Database", 2100, STEADY, "erp"),
        Service("Azure App Service", 1450, OFFICE, "intranet"),
        Service("Storage", 1150, STORED, "data"),
        Service("Azure Kubernetes Service", 420, STEADY, "intranet"),
        Service("Azure Cosmos DB", 690, SHOPPERS, "intranet"),
        Service("Log Analytics", 610, OFFICE, "platform"),
        Service("Bandwidth", 380, OFFICE),
        Service("Azure Data Factory v2", 330, TUESDAYS, "data"),
        Service("Load Balancer", 190, STEADY, "platform"),
        Service("Virtual Network", 145, STEADY, "platform"),
        Service("Key Vault", 24, STEADY, "platform"),
        Service("Azure Front Door Service", 360, SHOPPERS, "intranet", everywhere=False),
        Service("Azure DNS", 18, STEADY, "platform", everywhere=False),
    ),
)
GCP_WEB = Account(
    "demo-web-000001",
    "web",
    "gcp",
    billing_account="000000-DEMO00-000000",
    currency="USD",
    places=6,
    env="prod",
    regions={"europe-west1": 50, "us-central1": 32, "asia-southeast1": 18},
    list_price=1030,
    tax=40,
    tax_service="Invoice",
    services=(
        Service("Compute Engine", 3100, OFFICE, "web"),
        Service("Kubernetes Engine", 760, STEADY, "web"),
        Service("Cloud Run", 900, SHOPPERS, "web"),
        Service("Cloud SQL", 1250, STEADY, "web"),
        Service("Cloud Storage", 640, STORED, "data"),
        Service("Networking", 720, SHOPPERS),
        Service("Cloud Memorystore for Redis", 330, STEADY, "web"),
        Service("Cloud Logging", 410, OFFICE, "platform"),
        Service("Cloud Pub/Sub", 185, SHOPPERS, "data"),
        Service("Artifact Registry", 42, STORED, "platform"),
        Service("Secret Manager", 9, STEADY, "platform"),
        Service("Cloud DNS", 16, STEADY, "platform", everywhere=False),
    ),
)
GCP_LAB = Account(
    "demo-data-lab-000002",
    "data-lab",
    "gcp",
    billing_account="000000-DEMO00-000000",
    currency="USD",
    places=6,
    env="dev",
    regions={"europe-west1": 60, "us-central1": 40},
    list_price=1030,
    tax=40,
    tax_service="Invoice",
    services=(
        Service("BigQuery", 2350, OFFICE, "data"),
        Service("Vertex AI", 1500, OFFICE, "research"),
        Service("Compute Engine", 980, OFFICE, "research"),
        Service("Cloud Dataflow", 520, TUESDAYS, "data"),
        Service("Cloud Storage", 410, STORED, "data"),
        Service("Networking", 95, OFFICE),
        Service("Cloud Logging", 70, OFFICE, "data"),
        Service("Artifact Registry", 18, STORED, "research"),
        Service("Secret Manager", 3, STEADY, "data"),
    ),
)
ACCOUNTS = (AWS_PROD, AWS_DEV, AZURE, GCP_WEB, GCP_LAB)

# The story's cast: who plays which part. `demo.py` says when.

CLUSTER_ACCOUNT = AWS_DEV
CLUSTER_REGIONS = ("ap-southeast-2", "us-west-2", "ca-central-1", "sa-east-1")
CLUSTER = (
    Service(EC2, 1240, FORGOTTEN),
    Service(EC2_OTHER, 265, FORGOTTEN),
    Service(EKS, 73, FORGOTTEN),
)
"""What a forgotten cluster costs; nobody tags one."""

DEPLOYED = (
    (AWS_PROD, RDS),
    (GCP_WEB, "Cloud Run"),
    (AZURE, "Azure App Service"),
    (AWS_PROD, "Amazon DynamoDB"),
)
"""Which service steps up, in turn."""

GATEWAYS = tuple((account, region) for account in (AWS_PROD, AWS_DEV) for region in account.regions)
"""Whose NAT gateway runs away, in turn. Cost Explorer books gateways under `EC2 - Other`."""

SUPPORT = ((AWS_PROD, "AWS Support (Business)", Decimal("1150.00")), (GCP_WEB, "Support", Decimal("500.00")))
"""Billed in full on the first of the month."""

PROMOTED = (GCP_LAB, "Compute Engine"), (GCP_LAB, "Vertex AI")
"""What the promotional credit is for."""

COMMITMENT = 138_000_000
"""What the savings plan costs a day, millionths: 5.75 USD an hour."""


def lines() -> Iterator[Line]:
    """Every line of the estate that is billed by use, in a fixed order."""
    for account in ACCOUNTS:
        for service in account.services:
            where = account.regions if service.everywhere else {GLOBAL: 100}
            for region, percent in where.items():
                yield _line(account, service, region, percent)
    for region in CLUSTER_REGIONS:
        for service in CLUSTER:
            yield _line(CLUSTER_ACCOUNT, service, region, 100)


def _line(account: Account, service: Service, region: str, percent: int) -> Line:
    daily = service.monthly * percent * 12 * 10_000 // 365
    return Line(account, service.name, region, daily, service.rhythm, service.team, (account.id, service.name, region))


def _plan(service: str, region: str, team: str) -> Line:
    return Line(AWS_PROD, service, region, COMMITMENT, STEADY, team, (AWS_PROD.id, service, region))


COMMITTED = _plan(EC2, "us-east-1", "shop")
"""What the savings plan covers."""
UNUSED = _plan("Savings Plans for AWS Compute usage", GLOBAL, "")
"""Where its fee is booked, and what nobody used of it."""
