"""The configuration: one YAML file, checked whole before anything starts.

values.py       the kinds of value: Duration, LocalPath, PathPattern, …
rates.py        a file of exchange rates
schema.py       what a configuration says, as frozen models
document.py     YAML as values that remember their line
environment.py  ${NAME} and ${NAME:-default}
shape.py        which model reads which mapping
secrets.py      secrets from files, and out of sight
suggest.py      what somebody probably meant
problems.py     pydantic's errors in plain words
load.py         text → Config or every problem at once; Config → worker → Config
describe.py     the JSON schema of the whole file
"""

from exporter.config.describe import json_schema
from exporter.config.load import dump, load, masked, read, restore
from exporter.config.schema import (
    ApiBudgetSettings,
    Config,
    CostSettings,
    CurrencySettings,
    ProviderModels,
    SourceSettings,
    StoreSettings,
    WorkerSettings,
)
from exporter.config.values import Duration, LocalPath, MemorySize, PathPattern, Slug

__all__ = [
    "ApiBudgetSettings",
    "Config",
    "CostSettings",
    "CurrencySettings",
    "Duration",
    "LocalPath",
    "MemorySize",
    "PathPattern",
    "ProviderModels",
    "Slug",
    "SourceSettings",
    "StoreSettings",
    "WorkerSettings",
    "dump",
    "json_schema",
    "load",
    "masked",
    "read",
    "restore",
]
