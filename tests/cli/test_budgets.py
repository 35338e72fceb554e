"""`cloudspend budgets`: written into their YAML, and how they stand from what is stored."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from exporter.cli.budgets import budgets, cut
from exporter.errors import CloudspendError, ConfigError
from tests.cli.test_commands import cloudspend

NOW = "2024-04-10T12:00:00Z,frozen"
HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,ServiceName\n"
SOURCES = """\
# Our costs.
store: {path:   data}      # spaces stay
sources:
- {name: b, provider: focus, path: bill.csv, tags: [team]}
"""


def run(folder: Path, *words: str) -> Result:
    """A command in this process, which saves starting one; errors come out as they were raised."""
    where = ["--config", str(folder / "cloudspend.yml")]
    done = CliRunner().invoke(budgets, [*words[:1], *where, *words[1:]], catch_exceptions=False, standalone_mode=True)
    assert isinstance(done, Result)
    return done


def written(folder: Path, *words: str) -> str:
    """What a command that went well said."""
    done = run(folder, *words)
    assert done.exit_code == 0, done.output
    return done.stderr


def described(folder: Path) -> dict[str, Any]:
    """Name → everything that its file says."""
    files = sorted((folder / "budgets.d").glob("*.yml"))
    return {path.stem: yaml.safe_load(path.read_text()) for path in files}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "cloudspend.yml").write_text(SOURCES)
    return tmp_path


# --- written -------------------------------------------------------------------------------------------------------


def test_the_first_budget_makes_the_folder_and_leaves_the_rest_as_it_was(empty: Path) -> None:
    said = written(empty, "create", "--name", "aws", "--amount", "9000", "--provider", "aws", "--threshold", "80")
    assert f"budget aws created in {empty}/budgets.d/aws.yml" in said
    assert "POST /-/reload" in said  # the folder is new to a daemon that runs
    assert (empty / "cloudspend.yml").read_text() == f"{SOURCES}\nbudgets: budgets.d\n"
    text = (empty / "budgets.d" / "aws.yml").read_text()
    assert text == "name: aws\namount: 9000\nprovider: aws\nthresholds: [80%]\n"
    said = written(empty, "create", "--name", "web", "--amount", "12.50")
    assert "reload" not in said  # a daemon sees files come by itself
    assert set(described(empty)) == {"aws", "web"}


def test_an_empty_list_gives_way_to_the_folder(empty: Path) -> None:
    (empty / "cloudspend.yml").write_text(SOURCES + "budgets: []  # none yet\nworker: {timeout: 5m}\n")
    written(empty, "create", "--name", "aws", "--amount", "1")
    text = (empty / "cloudspend.yml").read_text()
    assert text == SOURCES + "budgets: budgets.d  # none yet\nworker: {timeout: 5m}\n"


def test_every_option_becomes_its_key(empty: Path) -> None:
    words = "--currency EUR --period weekly --starts friday --provider aws --provider gcp --account 111122223333"
    words += " --service S3 --region eu --charge-category usage --tag team=web --tag team=shop --net --cost list"
    words += " --threshold 50% --threshold 100:critical --channel log --channel email:costs@example.com"
    words += " --cool-down 600 --adjust --owner me"
    (empty / "cloudspend.yml").write_text(
        SOURCES + "notify: {channels: [{name: m, type: email, host: h.example, sender: a@example.com,"
        " recipients: [b@example.com]}]}\n"
    )
    written(empty, "create", "--name", "web", "--amount", "250.10", *words.split())
    assert described(empty)["web"] == {
        "name": "web",
        "amount": 250.10,
        "currency": "EUR",
        "period": "weekly",
        "starts": "friday",
        "provider": ["aws", "gcp"],
        "account": "111122223333",
        "service": "S3",
        "region": "eu",
        "charge_category": "usage",
        "tags": {"team": ["web", "shop"]},
        "net": True,
        "cost": "list",
        "thresholds": ["50%", {"at": "100%", "severity": "critical"}],
        "channels": ["log", "email:costs@example.com"],
        "cool_down": "600s",
        "adjust": {},
        "owner": "me",
    }


def test_what_would_not_hold_is_not_written(empty: Path) -> None:
    written(empty, "create", "--name", "aws", "--amount", "9000")
    before = {path: path.read_text() for path in empty.rglob("*.yml")}
    for words, says in (
        (("create", "--name", "web", "--amount", "12,50"), "'12,50' is not an amount"),
        (("create", "--name", "web", "--amount", "1", "--starts", "40"), "'40' is not a day of the month"),
        (("create", "--name", "web", "--amount", "1", "--tag", "shop=x"), "no source keeps this tag"),
        (("update", "aws", "--channel", "opz"), "'opz' is not a channel"),
        (("update", "aws", "--threshold", "80:worse"), "'worse' is not one of info, warning, critical"),
    ):
        with pytest.raises(ConfigError, match=says):
            run(empty, *words)
    for words, says in (
        (("create", "--name", "aws", "--amount", "1"), "there is a budget 'aws' already"),
        (("update", "gcp", "--amount", "1"), "there is no budget 'gcp'. hint: one of aws"),
        (("delete", "gcp"), "there is no budget 'gcp'"),
    ):
        with pytest.raises(CloudspendError, match=re.escape(says)):
            run(empty, *words)
    for words in (
        ("create", "--name", "No Name", "--amount", "1"),
        ("create", "--name", "web"),
        ("create", "--name", "web", "--amount", "1", "--tag", "team"),
        ("update", "aws"),
    ):
        assert run(empty, *words).exit_code == 2, words
    assert {path: path.read_text() for path in empty.rglob("*.yml")} == before


def test_a_bare_share_below_one_is_asked_about_and_not_guessed(empty: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.8 may mean 0\.8% or 80%"):
        run(empty, "create", "--name", "web", "--amount", "1", "--threshold", "0.8")


LIST = """\
# top
budgets:
  # What we may spend.
  # The first of them.
  - name: a          # the a
    amount:   1.50   # exact
    # inner
    thresholds: [50%,   80%]

  # about b
  - {name: b, amount: 7}   # flow
  # about c
  - name: c
    amount: 9
    tags:
      team: web

# sources
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / "cloudspend.yml").write_text(LIST + SOURCES)
    return tmp_path


def text_of(folder: Path) -> str:
    return (folder / "cloudspend.yml").read_text().removesuffix(SOURCES)


def test_an_entry_of_a_list_is_changed_and_all_around_it_stays(listed: Path) -> None:
    said = written(listed, "update", "c", "--amount", "10.00", "--owner", "me")
    assert "SIGHUP" in said
    assert text_of(listed) == LIST.replace("amount: 9\n", "amount: 10.00\n").replace(
        "      team: web\n", "      team: web\n    owner: me\n"
    )
    written(listed, "update", "b", "--amount", "8")
    assert "- {name: b, amount: 8}   # flow" in text_of(listed)
    written(listed, "update", "a", "--threshold", "90", "--amount", "2.50")
    changed = "  - name: a          # the a\n    amount: 2.50     # exact\n    # inner\n    thresholds: [90%]\n"
    assert changed in text_of(listed)


def test_a_key_is_taken_out_where_it_is_told_to(listed: Path) -> None:
    written(listed, "update", "c", "--unset", "tags")
    assert text_of(listed) == LIST.replace("    tags:\n      team: web\n", "")


def test_another_entry_is_put_at_the_end_of_the_list(listed: Path) -> None:
    written(listed, "create", "--name", "d", "--amount", "3")
    assert text_of(listed) == LIST.replace("      team: web\n", "      team: web\n  - name: d\n    amount: 3\n")


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("a", LIST[LIST.index("  - name: a") : LIST.index("\n  # about b")]),
        ("b", LIST[LIST.index("  # about b") : LIST.index("  # about c")]),
        ("c", LIST[LIST.index("  # about c") : LIST.index("\n# sources")]),
    ],
)
def test_a_deleted_entry_takes_its_own_comment_along_and_no_other(listed: Path, name: str, gone: str) -> None:
    written(listed, "delete", name)
    assert text_of(listed) == LIST.replace(gone, "")


def test_the_last_entry_leaves_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text(SOURCES + "budgets:\n- {name: a, amount: 1}\n")
    written(tmp_path, "delete", "a")
    assert yaml.safe_load((tmp_path / "cloudspend.yml").read_text())["budgets"] == []


def test_budgets_in_files_are_changed_and_deleted_there(empty: Path) -> None:
    folder = empty / "budgets.d"
    folder.mkdir()
    (empty / "cloudspend.yml").write_text(SOURCES + "budgets: ./budgets.d\n")
    (folder / "web.yml").write_text("# the shop\nname: web   # by name\namount: ${LIMIT:-7}\n")
    (folder / "two.yml").write_text("budgets:\n# one\n- name: a\n  amount: 1\n# two\n- name: b\n  amount: 2\n")
    written(empty, "update", "web", "--owner", "me")
    assert (folder / "web.yml").read_text() == "# the shop\nname: web   # by name\namount: ${LIMIT:-7}\nowner: me\n"
    written(empty, "update", "b", "--amount", "3")
    assert (folder / "two.yml").read_text().endswith("# two\n- name: b\n  amount: 3\n")
    written(empty, "delete", "web")
    assert not (folder / "web.yml").exists()
    written(empty, "delete", "a")
    # The comment below the key may be about all of the list.
    assert (folder / "two.yml").read_text() == "budgets:\n# one\n# two\n- name: b\n  amount: 3\n"
    written(empty, "delete", "b")
    assert list(folder.iterdir()) == []


def test_what_an_anchor_ties_together_is_changed_without_changing_another(tmp_path: Path) -> None:
    text = SOURCES + "budgets:\n  - &first {name: a, amount: 1, owner: x}\n  - name: b\n    <<: *first\n"
    (tmp_path / "cloudspend.yml").write_text(text.replace("<<: *first", "<<: *first\n    amount: 2"))
    with pytest.raises(CloudspendError, match="without changing more than a"):
        run(tmp_path, "update", "a", "--owner", "me")
    written(tmp_path, "update", "b", "--amount", "3")
    found = yaml.safe_load((tmp_path / "cloudspend.yml").read_text())["budgets"]
    assert [(each["name"], each["amount"], each["owner"]) for each in found] == [("a", 1, "x"), ("b", 3, "x")]


def test_a_list_in_flow_style_is_written_anew(tmp_path: Path) -> None:
    text = SOURCES + "budgets: [{name: a, amount: 1}, {name: b, amount: 2}]  # ours\n"
    (tmp_path / "cloudspend.yml").write_text(text)
    written(tmp_path, "update", "a", "--amount", "5")
    written(tmp_path, "create", "--name", "c", "--amount", "6")
    written(tmp_path, "delete", "b")
    after = (tmp_path / "cloudspend.yml").read_text()
    assert [each["name"] for each in yaml.safe_load(after)["budgets"]] == ["a", "c"]
    assert "# ours" in after
    assert "# Our costs." in after


def test_a_spreadsheet_has_no_place_for_budgets(tmp_path: Path) -> None:
    file = tmp_path / "cloudspend.csv"
    file.write_text("name,provider,path\nb,focus,bill.csv\n")
    words = ["create", "--config", str(file), "--name", "a", "--amount", "1"]
    with pytest.raises(ConfigError, match="a CSV file holds sources alone"):
        CliRunner().invoke(budgets, words, catch_exceptions=False)
    assert file.read_text() == "name,provider,path\nb,focus,bill.csv\n"


def test_a_number_stays_as_it_was_typed() -> None:
    assert cut.made({"name": "a", "amount": cut.number("0.10")}) == "name: a\namount: 0.10\n"


# --- how they stand ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 USD and 1 EUR a day from January to 8 April 2024, collected."""
    folder = tmp_path_factory.mktemp("bill")
    days = [date(2024, 1, 1) + timedelta(number) for number in range(99)]
    (folder / "bill.csv").write_text(
        HEADER
        + "".join(
            f"{cost},{currency},{day:%Y-%m}-01,Usage,{day},AWS,compute\n"
            for day in days
            for cost, currency in ((10, "USD"), (1, "EUR"))
        )
    )
    (folder / "cloudspend.yml").write_text(
        SOURCES.replace("tags: [team]", "settles_after: 24h")
        + """\
budgets:
  - {name: calm, amount: 1000, owner: me}
  - {name: risky, amount: 290}
  - {name: spent, amount: 70, thresholds: [50%, {at: 90%, severity: critical}]}
  - {name: euro, amount: 100, currency: EUR}
"""
    )
    done = cloudspend("collect", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(autouse=True)
def april(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", NOW)


def shown(folder: Path, *words: str) -> list[Mapping[str, Any]]:
    done = run(folder, *words, "--format", "json")
    assert done.exit_code in (0, 1), done.output
    found: list[Mapping[str, Any]] = json.loads(done.stdout)
    return found


def test_every_budget_is_listed_with_how_it_stands(bill: Path) -> None:
    listed = {each["name"]: each for each in shown(bill, "list")}
    assert {name: each["status"] for name, each in listed.items()} == {
        "calm": "on_track",
        "risky": "at_risk",
        "spent": "over",
        "euro": "on_track",
    }
    calm = listed["calm"]
    assert (calm["spent"], calm["remaining"], calm["used"], calm["owner"]) == ("80", "920", "0.08", "me")
    assert (calm["period_id"], calm["until"], calm["elsewhere"]) == ("monthly/2024-04-01", "2024-05-01", {"EUR": "8"})
    assert float(calm["lower"]) <= float(calm["forecast"]) <= float(calm["upper"])
    assert float(calm["forecast"]) == pytest.approx(300, rel=0.02)
    assert [(each["at"], each["reached"]) for each in listed["spent"]["thresholds"]] == [("50%", True), ("90%", True)]


def test_a_status_chooses_among_them(bill: Path) -> None:
    assert [each["name"] for each in shown(bill, "list", "--status", "at_risk")] == ["risky"]


def test_a_table_and_csv_say_the_same_in_cents(bill: Path) -> None:
    table = run(bill, "list").stdout
    assert re.search(r"^spent +over +monthly +2024-04-30 +USD +70\.00 +80\.00 +114\.3%", table, re.MULTILINE)
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(run(bill, "list", "--format", "csv").stdout))}
    assert (rows["spent"]["limit"], rows["spent"]["spent"]) == ("70.00", "80.00")
    assert "calm: 8.00 EUR in its scope do not count" in run(bill, "list").stderr


def test_check_ends_with_1_and_names_what_has_reached_a_threshold(bill: Path, empty: Path) -> None:
    done = run(bill, "check")
    assert done.exit_code == 1
    assert re.search(r"^spent +over +USD +70\.00 +80\.00 +114\.3% +90% +critical +yes", done.stdout, re.MULTILINE)
    assert "calm" not in done.stdout
    assert run(bill, "check", "--format", "yaml").exit_code == 2
    assert run(empty, "check").exit_code == 0


def test_check_ends_with_0_where_none_has(empty: Path) -> None:
    written(empty, "create", "--name", "a", "--amount", "1")
    done = run(empty, "check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no budget has reached a threshold" in done.stderr


def test_a_summary_adds_within_a_currency_and_never_across(bill: Path) -> None:
    euro, dollars = shown(bill, "summary")
    assert (euro["currency"], euro["budgets"], euro["limit"], euro["spent"]) == ("EUR", 1, "100", "8")
    assert (dollars["currency"], dollars["budgets"], dollars["limit"], dollars["spent"]) == ("USD", 3, "1360", "240")
    assert (dollars["on_track"], dollars["at_risk"], dollars["over"], dollars["remaining"]) == (1, 1, 1, "1120")


def test_history_has_ended_periods_with_their_variance(bill: Path) -> None:
    lines = shown(bill, "history", "risky")
    assert [(each["first"], each["spent"], each["variance"], each["over"]) for each in lines] == [
        ("2024-01-01", "310", "20", True),
        ("2024-02-01", "290", "0", False),
        ("2024-03-01", "310", "20", True),
    ]
    assert lines[0]["variance_percent"] == "6.896552"
    assert all(each["settled"] for each in lines)
    assert len(shown(bill, "history")) == 12
    assert "6.9%" in run(bill, "history", "risky").stdout
    assert run(bill, "history", "nobody").exit_code == 2


def test_a_month_that_ends_stays_with_the_limit_that_it_had(bill: Path, tmp_path: Path) -> None:
    text = (bill / "cloudspend.yml").read_text().replace("path:   data", f"path: {bill}/data")
    text = text.replace("bill.csv", f"{bill}/bill.csv").replace("amount: 290", "amount: 900")
    (tmp_path / "cloudspend.yml").write_text(text)
    assert {each["limit"] for each in shown(tmp_path, "history", "risky")} == {"290"}
    assert shown(tmp_path, "list", "--status", "on_track")[1]["limit"] == "900"


def test_the_other_name_and_the_demo(tmp_path: Path) -> None:
    done = cloudspend("budget", "list", folder=tmp_path, CLOUDSPEND_CONFIG="nowhere.yml")
    assert (done.returncode, "there is no such file" in done.stderr) == (2, True)
    done = cloudspend("budgets", "create", "--demo", "--name", "a", "--amount", "1", folder=tmp_path)
    assert (done.returncode, "the demo has its budgets built in" in done.stderr) == (2, True)
