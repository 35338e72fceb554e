"""The daemon hands its configuration to the worker, which sees the very same."""

import json
from pathlib import Path

import pytest

from exporter.config import Config, dump, load, masked, read, restore
from exporter.errors import ConfigError
from tests.config.conftest import HERE
from tests.config.stubs import STUBS

ENVIRONMENT = {"THREADS": "4", "ACME_TOKEN": "open-sesame"}


@pytest.fixture
def config() -> Config:
    return read(HERE / "good.yml", STUBS, ENVIRONMENT)


def test_a_configuration_survives_the_way_to_the_worker(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = dump(config)
    monkeypatch.chdir("/")
    assert restore(handed, STUBS) == config
    assert dump(restore(handed, STUBS)) == handed


def test_what_is_handed_over_is_flat_as_in_a_file_and_its_paths_are_absolute(config: Config) -> None:
    handed = json.loads(dump(config))
    assert handed["store"] == {"path": str(HERE / "data"), "memory_limit": "512MB", "threads": 4}
    assert handed["cost"] == {"basis": "effective"}
    rates = {"EUR": "0.93450000000000000001", "USD": "0.8472", "HUF": "0.0024", "JPY": "1"}
    file = str(HERE / "rates/good.csv")
    assert handed["currency"] == {"reporting": "CHF", "rates": rates, "rates_file": file, "rates_from": None}
    assert handed["api_budget"] == {"monthly_usd": "5.1"}
    assert handed["hourly_snapshots"] == {"path": str(HERE / "hours")}
    assert handed["worker"] == {"timeout": "1h30m", "memory_limit": "4GiB"}
    assert handed["sources"][0] == {
        "name": "history",
        "display_name": "All of 2024",
        "provider": "focus",
        "poll_every": "8h",
        "settles_after": "0s",
        "max_age": "7d",
        "tags": ["team", "cost center"],
        "cache": None,
        "hours": False,
        "series_limit": 2000,
        "api_budget": {"monthly_usd": "2"},
        "webhook_url": None,
        "webhook_secret": None,
        "path": str(HERE / "bills/2024-*.csv.gz"),
    }
    assert handed["sources"][1]["since"] == "2024-09-01"
    assert handed["sources"][1]["share"] == "0.5"
    assert handed["sources"][1]["wait"] == "1m30s"


def test_what_looks_like_a_reference_is_not_put_in_a_second_time(config: Config) -> None:
    assert "https://acme.example/${literal}" in dump(restore(dump(config), STUBS))


def test_a_changed_copy_is_handed_over_as_changed(config: Config) -> None:
    one = config.model_copy(update={"sources": config.sources[:1]})
    assert [source.name for source in restore(dump(one), STUBS).sources] == ["history"]


def test_a_configuration_for_people_has_the_form_of_the_file(config: Config, tmp_path: Path) -> None:
    again = load(json.dumps(masked(config)).replace("${", "$${"), STUBS, folder=tmp_path, environment={})
    assert masked(again) == masked(config)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_was_not_handed_over_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        restore(text, STUBS)
    assert str(caught.value) == "standard input: is no configuration that was handed over"
