"""The checked-in dashboards are what the code makes, and the code names nothing that is not exported."""

from __future__ import annotations

import re

import pytest
import yaml

from exporter.metrics.catalog import CATALOG
from grafana import build
from grafana.names import OTHERS, UnknownName, known, metric, total
from grafana.regions import PLACES, geohash
from tests.dashboards import boards
from tests.e2e.stack import ROOT


def test_the_files_are_what_the_code_makes() -> None:
    assert [str(path) for path in build.stale()] == [], "run make dashboards"


def test_a_family_or_label_that_nobody_exports_does_not_build() -> None:
    with pytest.raises(UnknownName, match="did you mean 'cloudspend_daily_cost'"):
        metric("cloudspend_daily_costs")
    with pytest.raises(UnknownName, match="cloudspend_up has no label 'currency', only source"):
        total("cloudspend_up", {}, "currency")
    with pytest.raises(UnknownName, match="no label 'team'"):
        metric("cloudspend_daily_cost", team='="web"')
    assert metric("cloudspend_up", {"currency": '="EUR"', "source": '="aws"'}) == 'cloudspend_up{source="aws"}'


@pytest.mark.parametrize("target", list(boards.targets()), ids=lambda target: target.id)
def test_a_query_names_only_what_the_catalogue_has(target: boards.Target) -> None:
    chosen = {"basis": "cloudspend_billed_month_to_date_cost"}
    expr = boards.filled(target.expr, chosen)
    # Alternatives of a name: cloudspend_(month_to_date|previous_month)_cost.
    for alternatives in re.findall(r'__name__=~"cloudspend_\(([a-z_|]+)\)_cost"', expr):
        known_names = [f"cloudspend_{word}_cost" for word in alternatives.split("|")]
        assert set(known_names) <= CATALOG.keys()
    selectors = re.findall(r"\b(cloudspend_[a-z_]+|ALERTS)\b(?:\{([^}]*)\})?", re.sub(r'"[^"]*"', '""', expr))
    assert selectors or "__name__" in expr
    for name, matchers in selectors:
        known(name, re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers))
        assert name in CATALOG or name in OTHERS


def test_every_dashboard_is_named_for_what_it_shows_and_keeps_its_address() -> None:
    assert {name: boards.board(name)["uid"] for name in boards.NAMES} == {
        name: f"cloudspend-{name}" for name in ("anomalies", "budgets", "exporter", "overview", "service")
    }


def test_provisioning_loads_the_folder_and_the_data_source_that_dashboards_ask() -> None:
    folder = ROOT / "grafana" / "provisioning"
    [provider] = yaml.safe_load((folder / "dashboards" / "cloudspend.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in compose["volumes"])
    assert mounts[provider["options"]["path"]] == "./grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"
    home = compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.rpartition("/") == (provider["options"]["path"], "/", "overview.json")
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["isDefault"]
    interval = yaml.safe_load((ROOT / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_places_are_on_earth_and_geohashes_are_what_the_world_calls_them() -> None:
    assert geohash(57.64911, 10.40744, 11) == "u4pruydqqvj"
    for latitude, longitude in PLACES.values():
        assert -60 < latitude < 70
        assert -180 < longitude < 180


@pytest.mark.parametrize("link", ["runbook", "dashboard"])
def test_links_lead_somewhere(link: str) -> None:
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", runbooks, re.MULTILINE)}
    text = "".join((boards.FOLDER / f"{name}.json").read_text() for name in boards.NAMES)
    if link == "runbook":
        assert (found := set(re.findall(r"runbooks\.md#([\w-]+)", text)))
        assert found <= headings
    else:
        assert (found := set(re.findall(r'"/d/([\w-]+)', text)))
        assert found <= {boards.board(name)["uid"] for name in boards.NAMES}


@pytest.mark.parametrize("target", list(boards.targets()), ids=lambda target: target.id)
def test_links_choose_variables_and_columns_that_there_are(target: boards.Target) -> None:
    variables = {variable["name"] for variable in boards.variables("service")}
    shown = set(boards.renames(target.panel).values()) | set(boards.renames(target.panel))
    for override in target.panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byName":
            shown.add(override["matcher"]["options"])
    for url in re.findall(r'"/d/cloudspend-service\?[^"]+', str(target.panel).replace("'", '"')):
        assert set(re.findall(r"var-(\w+)=", url)) <= variables
        assert set(re.findall(r"\$\{(\w+):queryparam\}", url)) <= variables | {"datasource"}
        assert set(re.findall(r"__data\.fields\.(\w+)", url)) <= shown
