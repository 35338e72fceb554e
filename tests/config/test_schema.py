"""The JSON schema says what the loader takes, for the providers there are; the example has every key."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from exporter import providers
from exporter.config import (
    ApiBudgetSettings,
    Config,
    CostSettings,
    CurrencySettings,
    SourceSettings,
    StoreSettings,
    WorkerSettings,
    json_schema,
    load,
)
from exporter.config.document import parse
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS

ROOT = HERE.parent.parent
EXAMPLE = ROOT / "config.example.yml"


class Registered:
    """The providers of the registry, as the configuration sees them."""

    def names(self) -> tuple[str, ...]:
        return tuple(providers.BUILTIN)

    def options(self, name: str) -> type[BaseModel]:
        found: type[BaseModel] = providers.spec(name).options
        return found


class Working:
    """The stubs without the broken one."""

    def names(self) -> tuple[str, ...]:
        return ("acme", "focus")

    def options(self, name: str) -> type[BaseModel]:
        return STUBS.options(name)


BEYOND = {
    *("bad-duplicate-key", "bad-key", "bad-merge"),  # how a value is written
    *("bad-repeated-name", "bad-poll-outlives-data", "bad-poll-outlives-default"),  # two values together
    "bad-alerts-source",  # names of another part
    "bad-rates-from-reporting",  # two values together
    *("bad-remote-write-both", "bad-remote-write-password"),  # the same
    *("bad-hasty-poll", "bad-zero-timeout", "bad-remote-write-timeout"),  # lengths of time
    *("bad-empty-tag", "bad-home-path", "bad-expired-secret"),  # what a validator judges
    *("bad-remote-write-url", "bad-remote-write-user"),  # the same
    *("bad-unset-variable", "bad-wrong-variable", "bad-reference"),  # the environment
    *("bad-secret-file-missing", "bad-secret-file-folder"),  # other files
    *("bad-rate-slip", "bad-rate-of-reporting"),  # a number that is one, and cannot be meant
    *(file.stem for file in HERE.glob("bad-rates-file-*.yml")),  # other files again
    *("bad-budget-repeated", "bad-budget-tag", "bad-budget-channel", "bad-budget-mail"),  # two values together
    *("bad-budget-weekday", "bad-budget-year-day", "bad-budget-daily-start"),  # the same
    *("bad-budget-bounds", "bad-budget-share-twice"),  # the same
    *("bad-budget-no-share", "bad-budget-category", "bad-budget-address"),  # what a validator judges
    *(file.stem for file in HERE.glob("bad-budget-*folder*.yml")),  # other files
    *("bad-notify-repeated", "bad-notify-source", "bad-notify-quiet-same"),  # two values together
    *("bad-notify-no-password", "bad-notify-plain-password"),  # the same
    *("bad-notify-give-up", "bad-notify-timeout"),  # lengths of time
    *("bad-notify-external-url", "bad-notify-icinga-url", "bad-notify-url"),  # what a validator judges
    *("bad-notify-header", "bad-notify-header-value", "bad-notify-placeholder"),  # the same
    *("bad-notify-recipient", "bad-notify-quiet-zone"),  # the same
}
"""Mistakes that a JSON schema cannot tell."""


@cache
def of(registry: type[Registered | Working]) -> dict[str, Any]:
    """The schema with the providers of a registry."""
    return json_schema(registry())


def judge(value: Any, registry: type[Registered | Working] = Working) -> list[str]:
    validator = jsonschema.Draft202012Validator(of(registry))
    return [error.message for error in validator.iter_errors(value)]


def source(**options: object) -> dict[str, object]:
    return {"sources": [{"name": "a", **options}]}


def test_the_checked_in_schema_is_the_one_of_the_providers_there_are() -> None:
    made = json.dumps(of(Registered), indent=2, ensure_ascii=False) + "\n"
    assert (ROOT / "config.schema.json").read_text(encoding="utf-8") == made


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(of(Working))
    jsonschema.Draft202012Validator.check_schema(of(Registered))


def test_the_schema_has_no_keyword_that_schemas_do_not_have() -> None:
    assert '"ge":' not in json.dumps(of(Working))


def test_the_example_loads_and_fits_the_schema() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    config = load(text, Registered(), folder=ROOT, environment={})
    assert [one.provider for one in config.sources] == ["focus", "demo"]
    assert judge(yaml.safe_load(text), Registered) == []


def test_the_example_has_every_key_and_says_what_the_defaults_are() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    example = yaml.safe_load(text)
    config = load(text, Registered(), folder=ROOT, environment={})
    assert set(example) == set(Config.model_fields)
    parts: dict[str, type[BaseModel]] = {"store": StoreSettings, "cost": CostSettings, "currency": CurrencySettings}
    parts |= {"api_budget": ApiBudgetSettings, "worker": WorkerSettings}
    for part, model in parts.items():
        commented = {key for key in model.model_fields if re.search(rf"^  # {key}: ", text, re.MULTILINE)}
        assert set(example[part] or ()) | commented == set(model.model_fields)
    defaults = load("sources: [{name: a, provider: demo}]", Registered(), folder=ROOT, environment={})
    assert [getattr(config, part) for part in parts] == [getattr(defaults, part) for part in parts]
    for one in config.sources:
        written = next(given for given in example["sources"] if given["name"] == one.name)
        commented = {key for key in type(one.options).model_fields if re.search(rf"^    # {key}: ", text, re.MULTILINE)}
        assert set(written) | commented >= set(type(one.options).model_fields)
    assert set(example["sources"][0]) >= set(SourceSettings.COMMON)


def test_a_good_file_fits_the_schema_with_its_references_not_yet_replaced() -> None:
    assert judge(parse((HERE / "good.yml").read_text(encoding="utf-8"), "good.yml").value) == []


@pytest.mark.parametrize(
    "options",
    [
        {"provider": "focus", "path": "x"},
        {"provider": "focus", "path": "x", "poll_every": "1h30m"},
        {"provider": "focus", "path": "x", "poll_every": "${POLL:-8h}"},
        {"provider": "focus", "path": "x", "poll_every": None},
        {"provider": "acme", "url": "x", "token": "x"},
        {"provider": "acme", "url": "x", "token_file": "x"},
        {"provider": "acme", "url": "x", "token_file": "x", "proxy_password_file": "x"},
        {"provider": "acme", "url": "x", "token": "x", "retries": "${RETRIES}", "verify": "${VERIFY:-true}"},
        {"provider": "acme", "url": "x", "token": "x", "login": {"user": "x", "password_file": "x"}},
        {"provider": "acme", "url": "x", "token": "x", "region": "west", "mode": "${MODE}"},
    ],
)
def test_what_the_loader_takes_fits_the_schema(options: dict[str, object]) -> None:
    assert judge(source(**options)) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"provider": "focus"}, "'path' is a required property"),
        ({"path": "x"}, "'provider' is a required property"),
        ({"provider": "fokus", "path": "x"}, "not valid under any"),
        ({"provider": "focus", "path": "x", "token": "x"}, "'token' was unexpected"),
        ({"provider": "focus", "path": "x", "path_file": "x"}, "'path_file' was unexpected"),
        ({"provider": "focus", "path": "x", "poll_every": "8 hours"}, "not valid under any"),
        ({"provider": "focus", "path": "x", "poll_every": 8}, "not valid under any"),
        ({"provider": "focus", "path": "x", "max_age": ""}, "not valid under any"),
        ({"provider": "focus", "path": "x", "tags": "team"}, "is not of type 'array'"),
        ({"provider": "acme", "url": "x"}, "not valid under any"),
        ({"provider": "acme", "url": "x", "token": "x", "token_file": "x"}, "is valid under each of"),
        ({"provider": "acme", "url": "x", "token": "x", "mode": "fats"}, "not valid under any"),
        ({"provider": "acme", "url": "x", "token": "x", "retries": 10}, "not valid under any"),
        ({"provider": "acme", "url": "x", "token": "x", "proxy_password": "x", "proxy_password_file": "y"}, "not be"),
        ({"provider": "acme", "url": "x", "token": "x", "login": {"user": "x"}}, "not valid under any"),
    ],
)
def test_what_the_loader_refuses_does_not_fit_the_schema(options: dict[str, object], says: str) -> None:
    messages = judge(source(**options))
    assert len(messages) == 1
    assert says in messages[0]
    with pytest.raises(ConfigError):
        load(json.dumps(source(**options)), Working(), folder=HERE, environment={})


@pytest.mark.parametrize("file", sorted(HERE.glob("bad-*.yml")), ids=lambda file: file.stem)
def test_the_schema_takes_no_bad_file_but_for_what_a_schema_cannot_say(file: Path) -> None:
    try:
        value = parse(file.read_text(encoding="utf-8"), file.name).value
    except ConfigError:
        return  # no YAML
    assert bool(judge(value)) != (file.stem in BEYOND)


def test_every_key_of_ours_has_a_description() -> None:
    def keys(schema: Any, path: str = "") -> list[str]:
        if not isinstance(schema, dict):
            return []
        missing = [
            f"{path}.{key}"
            for key, one in schema.get("properties", {}).items()
            if isinstance(one, dict) and "const" not in one and "description" not in one
        ]
        return missing + [found for key, one in schema.items() for found in keys(one, f"{path}.{key}")]

    assert keys(of(Registered)) == []
