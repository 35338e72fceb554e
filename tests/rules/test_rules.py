"""The rules, routes and runbooks that ship: judged by Prometheus' and Alertmanager's own tools, then by house rules.

The house rules are the ones no tool knows: a bill falls, so counter functions stay off it; two currencies have no sum;
a series that nobody exports makes a rule that never speaks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from exporter.errors import NOTIFY_REASONS, REASONS
from exporter.metrics.catalog import CATALOG, WORKER_FAILURES
from exporter.polling.budget import NEAR
from tests.neighbours import alertmanager, require, until

ROOT = Path(__file__).parents[2]
ORDER = ("exporter", "anomalies", "budgets", "spend")
"""The order in which to look: is the data there, what is odd, what is over."""
RULES = sorted((ROOT / "alertmanager/rules").glob("*.yml"), key=lambda file: ORDER.index(file.stem))
SCENES = sorted(Path(__file__).parent.glob("*.test.yml"))
ROUTES = ROOT / "alertmanager/alertmanager.yml"
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text()

EVERY_RELEASE = pytest.mark.usefixtures("release")
"""Also, in `make test-matrix`, with the tools of other releases."""


def every_rule() -> list[dict[str, Any]]:
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in every_rule() if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in every_rule() if "record" in rule}


def run(*argv: str | Path) -> str:
    """What the tool says, from the root of the repository; a failure shows all of it."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


# --- the tools -------------------------------------------------------------------------------------------------------


@EVERY_RELEASE
def test_prometheus_accepts_its_configuration_and_finds_the_rules() -> None:
    assert f"{len(RULES)} rule files found" in run(require("promtool"), "check", "config", "prometheus.yml")


@EVERY_RELEASE
@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_prometheus_accepts_the_rules(file: Path) -> None:
    run(require("promtool"), "check", "rules", file)


@EVERY_RELEASE
@pytest.mark.parametrize("file", SCENES, ids=lambda file: file.name)
def test_the_rules_say_what_their_scenes_expect(file: Path) -> None:
    run(require("promtool"), "test", "rules", file)


@EVERY_RELEASE
def test_alertmanager_accepts_its_configuration() -> None:
    run(require("amtool"), "check-config", ROUTES)


@EVERY_RELEASE
def test_the_channels_that_are_commented_out_are_valid_too(tmp_path: Path) -> None:
    """Whoever removes the `# ` gets a file that works."""
    text, removed = re.subn(r"^    # ((?:\w+_configs:| {2}).*)$", r"    \1", ROUTES.read_text(), flags=re.MULTILINE)
    assert removed > 3
    every = tmp_path / "every-channel.yml"
    every.write_text(text)
    run(require("amtool"), "check-config", every)


@EVERY_RELEASE
def test_the_texts_for_alertmanagers_own_channels_say_what_an_alert_says(tmp_path: Path) -> None:
    alert = {
        "status": "resolved",
        "labels": {"alertname": "A"},
        "annotations": {
            "description": "EC2 costs more.",
            "runbook_url": "https://example.com/a",
            "dashboard": "/d/cloudspend-service",
            "explanation": "/#anomalies",
        },
    }
    data = {
        "receiver": "r",
        "status": "resolved",
        "externalURL": "u",
        "alerts": [alert],
        "commonLabels": {},
        "groupLabels": {"alertname": "A"},
        "commonAnnotations": {"summary": "Costs more."},
    }
    (file := tmp_path / "group.json").write_text(json.dumps(data))
    said = run(
        *(require("amtool"), "template", "render", f"--template.data={file}"),
        "--template.glob=alertmanager/templates/*.tmpl",
        '--template.text={{ template "cloudspend.title" . }} | {{ template "cloudspend.text" . }}',
    )
    assert said.split() == [
        *("Over:", "Costs", "more.", "|", "Over:", "EC2", "costs", "more."),
        "http://localhost:9753/#anomalies",
        "http://localhost:3000/d/cloudspend-service",
        "https://example.com/a",
    ]


ROUTED = [
    ("oncall", "CloudspendExporterAbsent", "critical"),
    ("oncall", "CloudspendNotificationsFailing", "warning"),
    ("cloudspend", "CloudspendSourceDown", "warning"),
    ("cloudspend", "CloudspendDataStale", "warning"),
    ("cloudspend", "CloudspendUnattributedCost", "warning"),
    ("digest", "CloudspendCostRestated", "info"),
    ("cloudspend", "CloudspendJudgementFailed", "warning"),
    ("cloudspend", "CloudspendUnconvertedCost", "warning"),
    ("cloudspend", "CloudspendLabelsRenamed", "warning"),
    ("cloudspend", "CloudspendWorkerFailing", "warning"),
    ("cloudspend", "CloudspendConfigReloadFailed", "warning"),
    ("cloudspend", "CloudspendApiBudgetNear", "warning"),
    ("cloudspend", "CloudspendAnomaly", "critical"),
    ("cloudspend", "CloudspendAnomaly", "warning"),
    ("digest", "CloudspendAnomaly", "info"),
    ("digest", "CloudspendCostDropped", "info"),
    ("cloudspend", "CloudspendDailySpike", "warning"),
    ("cloudspend", "CloudspendHourlyJump", "warning"),
    ("cloudspend", "CloudspendFirstSpend", "warning"),
    ("cloudspend", "CloudspendBudgetThresholdReached", "critical"),
    ("cloudspend", "CloudspendBudgetThresholdReached", "warning"),
    ("digest", "CloudspendBudgetThresholdReached", "info"),
    ("cloudspend", "CloudspendBudgetForecastExceeded", "warning"),
    ("cloudspend", "CloudspendBudgetBurningFast", "warning"),
    ("digest", "SomethingOfYours", "info"),
    ("cloudspend", "SomethingOfYours", "page"),
    ("cloudspend", "SomethingOfYours", ""),
]
"""Receiver, alert, severity: where everything goes."""


@EVERY_RELEASE
@pytest.mark.parametrize(("receiver", "alert", "severity"), ROUTED)
def test_an_alert_goes_to_one_receiver(receiver: str, alert: str, severity: str) -> None:
    labels = [f"alertname={alert}", "job=cloudspend", "source=aws-prod", "budget=all"]
    labels += [f"severity={severity}"] if severity else []
    amtool = require("amtool")
    run(amtool, "config", "routes", "test", f"--config.file={ROUTES}", f"--verify.receivers={receiver}", *labels)


def test_the_table_of_routes_has_every_alert_with_every_severity_that_it_has() -> None:
    several = {"CloudspendAnomaly", "CloudspendBudgetThresholdReached"}  # the finding's, and the threshold's
    words = dict.fromkeys(several, ("critical", "warning", "info"))
    shipped = {(name, word) for name, rule in ALERTS.items() for word in words.get(name, (rule["labels"]["severity"],))}
    assert {(alert, severity) for _, alert, severity in ROUTED if alert in ALERTS} == shipped


def test_a_reminder_comes_once_a_day_and_before_alertmanager_forgets_what_it_sent() -> None:
    def every(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield route
        for inner in route.get("routes", ()):
            yield from every(inner)

    routes = yaml.safe_load(ROUTES.read_text())["route"]
    assert {route["repeat_interval"] for route in every(routes) if "repeat_interval" in route} == {"24h"}
    assert routes["group_by"] == ["alertname", "source", "provider", "budget"]


def test_no_inhibition_silences_strangers() -> None:
    for rule in yaml.safe_load(ROUTES.read_text())["inhibit_rules"]:
        assert rule["equal"], rule


@EVERY_RELEASE
def test_a_message_silences_only_what_it_explains(tmp_path: Path) -> None:
    """Inhibition, in a real Alertmanager: no tool checks it from the file."""
    alerts = [
        {"alertname": "CloudspendExporterAbsent", "job": "gone"},
        {"alertname": "CloudspendWorkerFailing", "job": "gone", "reason": "hung"},
        {"alertname": "CloudspendWorkerFailing", "job": "here", "reason": "hung"},
        {"alertname": "CloudspendSourceDown", "job": "here", "source": "aws-prod"},
        {"alertname": "CloudspendDataStale", "job": "here", "source": "aws-prod"},
        {"alertname": "CloudspendDataStale", "job": "here", "source": "azure"},
        {"alertname": "CloudspendUnattributedCost", "job": "here", "source": "aws-prod", "currency": "USD"},
        {"alertname": "CloudspendBudgetThresholdReached", "job": "here", "budget": "a", "severity": "critical"},
        {"alertname": "CloudspendBudgetThresholdReached", "job": "here", "budget": "a", "severity": "warning"},
        {"alertname": "CloudspendBudgetForecastExceeded", "job": "here", "budget": "b", "severity": "warning"},
        {"alertname": "CloudspendAnomaly", "job": "here", "source": "s", "provider": "aws", "service": "EC2"},
        {"alertname": "CloudspendDailySpike", "job": "here", "source": "s", "provider": "aws", "service": "EC2"},
        {"alertname": "CloudspendDailySpike", "job": "here", "source": "s", "provider": "aws", "service": "S3"},
    ]
    with alertmanager(tmp_path, ROUTES) as server:
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        post = Request(f"{server.url}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"})
        urlopen(post, timeout=30).close()

        def silenced() -> set[tuple[str, ...]]:
            with urlopen(f"{server.url}/api/v2/alerts", timeout=30) as response:
                return {
                    tuple(alert["labels"].get(name, "") for name in ("alertname", "job", "source", "budget", "service"))
                    for alert in json.load(response)
                    if alert["status"]["inhibitedBy"]
                }

        explained = {
            ("CloudspendWorkerFailing", "gone", "", "", ""),
            ("CloudspendDataStale", "here", "aws-prod", "", ""),
            ("CloudspendBudgetThresholdReached", "here", "", "a", ""),
            ("CloudspendDailySpike", "here", "s", "", "EC2"),
        }
        until(lambda: explained <= silenced(), "Alertmanager holds back what another alert explains")
        assert silenced() == explained


# --- every alert is whole --------------------------------------------------------------------------------------------


def alerts_in_scenes(*, firing: bool) -> set[str]:
    """The alerts that have a scene in which they fire, or in which they are quiet."""
    return {
        check["alertname"]
        for file in SCENES
        for scene in yaml.safe_load(file.read_text())["tests"]
        for check in scene.get("alert_rule_test", ())
        if bool(check["exp_alerts"]) is firing
    }


def test_every_alert_has_a_firing_case() -> None:
    assert alerts_in_scenes(firing=True) == set(ALERTS)


def test_every_alert_has_a_quiet_case() -> None:
    assert alerts_in_scenes(firing=False) == set(ALERTS)


def test_every_alert_has_a_runbook_in_the_order_of_the_rules() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOKS, re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_answers_the_same_questions_in_the_same_order(alert: str) -> None:
    section = RUNBOOKS.split(f"\n## {alert}\n")[1].split("\n## ")[0]
    assert re.findall(r"^\*\*(.+?)\.?\*\*", section, re.MULTILINE) == [
        "What it means",
        "What it costs you to ignore it",
        "Look first",
        "Usual causes",
        "Fix",
        "Silence it when",
    ]


def test_the_runbook_explains_every_reason_word() -> None:
    channels = [f"A channel says {word}" for word in NOTIFY_REASONS]
    assert re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE) == [*REASONS, *channels]
    assert set(WORKER_FAILURES) <= set(re.findall(r"`(\w+)`", RUNBOOKS))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_what_happened_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert alert.startswith("Cloudspend")
    severity = rule["labels"]["severity"]
    # A finding's follows money, a budget's comes with its threshold.
    assert severity in {"critical", "warning", "info"} or "$labels.severity" in severity
    assert rule["annotations"].keys() - {"explanation"} == {"summary", "description", "runbook_url", "dashboard"}
    page = "https://github.com/cloudspend/cloudspend/blob/main/docs/runbooks.md"
    assert rule["annotations"]["runbook_url"] == f"{page}#{alert.lower()}"


WITHOUT_A_PAGE = {"CloudspendExporterAbsent", "CloudspendLabelsRenamed", "CloudspendNotificationsFailing"}
"""Alerts on what the exporter's page says nothing of, or that nobody serves a page."""
DASHBOARDS = {
    board["uid"]: {variable["name"] for variable in board["templating"]["list"]}
    for board in map(json.loads, (file.read_text() for file in sorted((ROOT / "grafana/dashboards").glob("*.json"))))
}
"""Uid → what can be chosen on it."""


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_a_dashboard_that_there_is_with_what_can_be_chosen_there(alert: str) -> None:
    uid, _, query = ALERTS[alert]["annotations"]["dashboard"].removeprefix("/d/").partition("?")
    assert uid.partition("{{")[0] in DASHBOARDS
    there = DASHBOARDS[uid.partition("{{")[0]]
    chosen = set(re.findall(r"var-(\w+|\{\{ \$labels\.kind \}\})=", uid + query))
    assert chosen - {"{{ $labels.kind }}"} <= there
    if "{{ $labels.kind }}" in chosen:  # of a first spend: what its catalogue says
        assert {"account", "service", "region"} <= there
    # Names of services and sources have spaces and slashes; three letters of a currency have not.
    raw = re.findall(r"\{\{ (?:\$labels\.\w+|\.) \}\}", uid + query)
    assert set(raw) <= {"{{ $labels.currency }}", "{{ $labels.kind }}"}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_the_place_of_the_page_that_explains_it(alert: str) -> None:
    place = ALERTS[alert]["annotations"].get("explanation")
    assert (place is None) == (alert in WITHOUT_A_PAGE)
    if place not in (None, "/config"):
        page = "".join(file.read_text() for file in sorted((ROOT / "exporter/web").glob("landing*.py")))
        assert place.startswith("/#")
        assert f'id="{place.removeprefix("/#")}"' in page


def test_every_group_is_evaluated_once_a_minute() -> None:
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    assert {group["name"]: group["interval"] for group in groups} == {group["name"]: "1m" for group in groups}


def test_the_bills_own_labels_win_over_the_targets() -> None:
    jobs = yaml.safe_load((ROOT / "prometheus.yml").read_text())["scrape_configs"]
    assert {job["job_name"]: job.get("honor_labels") for job in jobs} == {"cloudspend": True, "pushgateway": True}


# --- house rules -----------------------------------------------------------------------------------------------------

COUNTER_FUNCTIONS = {"rate", "irate", "increase", "resets", "sum_over_time"}
AGGREGATIONS = {
    *("sum", "avg", "min", "max", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "count", "group")
}
WITHOUT_MONEY = {"count", "group"}
"""Aggregations whose value is a number of series, or 1: they add nothing up."""
SET_OPERATORS = {"and", "or", "unless"}
WORDS = {*SET_OPERATORS, "bool", "offset", "atan2", "inf", "nan"}
LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
SURVIVE = {"currency", "job", "instance"}
FROM_PROMETHEUS = {"up"}

TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')   # a matcher's value
      | (?P<gap>\s+|\#[^\n]*)
      | (?P<range>\[[^\]]*\])                           # [3h], [1d:5m]
      | (?P<word>[A-Za-z_][A-Za-z0-9_:]*)
      | (?P<number>[0-9][0-9a-zA-Z.]*)                  # 24, 0.01, 24h
      | (?P<sign>=~|!~|==|!=|>=|<=|.)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Word:
    """A word of an expression that is not a label: a series, a function, an operator."""

    text: str
    before: str
    """The word or sign in front of it."""
    labels: frozenset[str] = frozenset()
    """Of `by`, `without`, `on` …: the labels in its brackets."""
    arguments: str | None = None
    """Of a function or an aggregation: the expression in its brackets."""
    grouped: bool = False
    """Of an aggregation: whether `by (…)` or `without (…)` follows at once. House style has it in front."""


def bracket(tokens: list[str], opening: int) -> int:
    """Where the bracket that opens at `opening` closes."""
    depth = 0
    for place in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"bracket is not closed: {' '.join(tokens)}")


def words(expression: str) -> Iterator[Word]:
    """Every word of a PromQL expression, labels and their values left aside."""
    tokens = [match[0] for match in TOKEN.finditer(expression) if match.lastgroup not in {"gap", "range", "text"}]
    tokens.append("")
    place = 0
    while tokens[place]:
        token, before = tokens[place], tokens[place - 1]
        place += 1
        if token == "{":
            place = tokens.index("}", place)
        elif token in LABEL_LISTS:
            end = bracket(tokens, place) if tokens[place] == "(" else place
            yield Word(token, before, frozenset(tokens[place + 1 : end]) - {","})
            place = end
        elif re.match(r"[A-Za-z_]", token):
            yield called(token, before, tokens, place)


def called(token: str, before: str, tokens: list[str], place: int) -> Word:
    """The word before `place`, with the arguments that follow it: directly, or after the labels of an aggregation."""
    grouped = tokens[place] in {"by", "without"}
    if grouped:
        place = bracket(tokens, place + 1) + 1
    if token in WORDS or tokens[place] != "(":
        return Word(token, before)
    return Word(token, before, arguments=" ".join(tokens[place + 1 : bracket(tokens, place)]), grouped=grouped)


def series(expression: str) -> set[str]:
    """The series that an expression reads by name."""
    return {word.text for word in words(expression) if word.arguments is None} - WORDS - LABEL_LISTS


def is_money(name: str) -> bool:
    return name in RECORDED or (name in CATALOG and "currency" in CATALOG[name].labels)


def unknown_series(expression: str) -> list[str]:
    known = CATALOG.keys() | RECORDED.keys() | FROM_PROMETHEUS
    return [f"{name} is neither recorded nor exported" for name in sorted(series(expression) - known)]


def counted_gauges(expression: str) -> list[str]:
    return [
        f"{word.text} over {name}, which is not a counter"
        for word in words(expression)
        if word.text in COUNTER_FUNCTIONS
        for name in sorted(series(word.arguments or ""))
        if name not in CATALOG or CATALOG[name].type != "counter"
    ]


def plain(expression: str) -> bool:
    """Whether it multiplies by a series that holds no money."""
    return any(name.endswith(("_ratio", "_info")) for name in series(expression))


def lost_currencies(expression: str) -> list[str]:
    """Aggregations that add up currencies or replicas, and arithmetic that joins amounts without their currency."""
    found = []
    money = any(map(is_money, series(expression)))
    for word in words(expression):
        labels = ", ".join(sorted(word.labels))
        if word.text in AGGREGATIONS and word.arguments is not None and not word.grouped:
            found.append(f"{word.text} without `without (…)` adds up everything")
        if word.text == "without" and word.labels & SURVIVE:
            found.append(f"without ({labels}) adds up what has no sum")
        if word.text == "by" and word.before not in WITHOUT_MONEY and "currency" not in word.labels:
            found.append(f"{word.before} by ({labels}) adds up currencies")
        # A budget and a finding have one currency each; a ratio, a threshold or an info series has none.
        single = word.labels & {"budget", "fingerprint"} or (word.before == "*" and plain(expression))
        if (
            word.text == "on"
            and word.before not in SET_OPERATORS
            and money
            and not single
            and "currency" not in word.labels
        ):
            found.append(f"{word.before} on ({labels}) joins amounts of different currencies")
        if word.text == "ignoring" and "currency" in word.labels:
            found.append(f"{word.before} ignoring ({labels}) joins amounts of different currencies")
    return found


def offences(expression: str) -> list[str]:
    return unknown_series(expression) + counted_gauges(expression) + lost_currencies(expression)


@pytest.mark.parametrize("rule", every_rule(), ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_keeps_to_the_house_rules(rule: dict[str, Any]) -> None:
    assert offences(rule["expr"]) == []


@pytest.mark.parametrize(
    ("expression", "offence"),
    [
        ("rate(cloudspend_daily_cost[1h])", "rate over cloudspend_daily_cost, which is not a counter"),
        (
            'sum without (region) (increase(cloudspend_daily_cost{source="a"}[1d]))',
            "increase over cloudspend_daily_cost, which is not a counter",
        ),
        (
            "sum_over_time(provider:cloudspend_daily_cost:sum[7d])",
            "sum_over_time over provider:cloudspend_daily_cost:sum, which is not a counter",
        ),
        ("sum by (provider) (cloudspend_daily_cost)", "sum by (provider) adds up currencies"),
        ("sum(cloudspend_daily_cost)", "sum without `without (…)` adds up everything"),
        ("max(cloudspend_daily_cost) by (currency)", "max without `without (…)` adds up everything"),
        (
            "sum without (source, currency) (cloudspend_daily_cost)",
            "without (currency, source) adds up what has no sum",
        ),
        ("sum without (instance) (cloudspend_daily_cost)", "without (instance) adds up what has no sum"),
        (
            "cloudspend_daily_cost / on (provider) group_left () provider:cloudspend_daily_cost:sum",
            "/ on (provider) joins amounts of different currencies",
        ),
        (
            "cloudspend_daily_cost / ignoring (currency) provider:cloudspend_daily_cost:sum",
            "/ ignoring (currency) joins amounts of different currencies",
        ),
        ("cloudspend_dayly_cost > 5", "cloudspend_dayly_cost is neither recorded nor exported"),
    ],
)
def test_the_house_rules_catch_what_they_are_for(expression: str, offence: str) -> None:
    assert offences(expression) == [offence]


@pytest.mark.parametrize(
    "expression",
    [
        "increase(cloudspend_exporter_worker_failures_total[3h]) > 0",
        "sum by (provider, currency) (cloudspend_daily_cost offset 1d)",
        'count by (job) ({__name__=~"cloudspend_.+", exported_source!=""})',
        "cloudspend_daily_cost and on (job, instance, source) cloudspend_up == 1",
        "time() - cloudspend_data_end_timestamp_seconds > 3600",
    ],
)
def test_the_house_rules_let_pass_what_is_right(expression: str) -> None:
    assert offences(expression) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alerts_sentences_read_exported_series_only(alert: str) -> None:
    read = set(re.findall(r"\bcloudspend_\w+", " ".join(ALERTS[alert]["annotations"].values())))
    assert read <= CATALOG.keys()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bcloudspend_\w+", RUNBOOKS))))
def test_a_runbook_reads_exported_series_only(name: str) -> None:
    assert name in CATALOG


@pytest.mark.parametrize("record", RECORDED)
def test_a_recorded_series_is_named_after_the_labels_it_keeps(record: str) -> None:
    level, metric, operations = record.split(":")
    if level == "budget":
        assert CATALOG[metric].labels == ("budget", "currency")
        return
    assert re.fullmatch(r"[a-z][a-z0-9_]*", operations)
    dropped = {label for word in words(RECORDED[record]["expr"]) if word.text == "without" for label in word.labels}
    kept = [label for label in CATALOG[metric].labels if label not in dropped | {"currency"}]
    # A rate keeps the level of the delta it divides.
    assert level == ("_".join(kept) if dropped or operations.startswith("delta") else of_its_delta(record))


def of_its_delta(record: str) -> str:
    (delta,) = series(RECORDED[record]["expr"])
    return delta.split(":")[0]


# --- what an alert on money says -------------------------------------------------------------------------------------


BUILT_IN = {
    "CloudspendUnattributedCost": {"0.01"},  # rounding, not a threshold: totals are stated to the cent
    "CloudspendApiBudgetNear": {str(NEAR)},  # from there on the exporter itself leaves calls out
}
"""Numbers that stand in rules, with why."""


@pytest.mark.parametrize("alert", ALERTS)
def test_thresholds_are_data(alert: str) -> None:
    found = [match for match in TOKEN.finditer(ALERTS[alert]["expr"]) if match.lastgroup == "number"]
    numbers = {match[0] for match in found if not match[0].endswith(("h", "d"))}  # 1h, 24h, 1d are windows
    assert numbers - {"0", "1"} == BUILT_IN.get(alert, set())  # yes, no, and "1 + a share"


def is_about_money(alert: str) -> bool:
    return any(map(is_money, series(ALERTS[alert]["expr"])))


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if is_about_money(alert)])
def test_an_alert_about_money_says_whose_and_in_which_currency(alert: str) -> None:
    said = ALERTS[alert]["annotations"]
    scope = r"\$labels\.(source|provider|account|service|budget|name)\b"
    assert re.search(scope, said["summary"] + said["description"])
    ratio = alert == "CloudspendApiBudgetNear"  # of what asking may cost: a share has no currency
    assert ratio or re.search(r"\$labels\.currency|label \"currency\"", said["description"])


@pytest.mark.parametrize("alert", ["CloudspendAnomaly", "CloudspendCostDropped"])
def test_an_alert_on_a_finding_tells_expected_and_actual(alert: str) -> None:
    read = set(re.findall(r"cloudspend_\w+", ALERTS[alert]["annotations"]["description"]))
    assert read == {"cloudspend_anomaly_actual_cost", "cloudspend_anomaly_expected_cost"}
