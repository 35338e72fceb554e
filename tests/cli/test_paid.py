"""`plan`, `test-access`, and back-fills that cost money, as a user runs them: against a provider that charges."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from exporter.periods import Month
from exporter.polling.sources import Paths
from exporter.store.state import State

PLUGIN = Path(__file__).parent / "plugin"
NOW = "2024-03-15T12:00:00Z,frozen"


class Folder:
    """A configuration of sources that charge, and what they were asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: list[dict[str, object]] = []

    def add(self, name: str, **options: object) -> None:
        account = f"11112222333{len(self.sources)}"
        calls = str(self.path / f"{name}.calls")
        self.sources.append({"name": name, "provider": "pricey", "calls": calls, "account": account, **options})
        self.write()

    def write(self, **more: object) -> None:
        document = {"store": {"path": "data"}, "sources": self.sources, **more}
        (self.path / "cloudspend.yml").write_text(yaml.safe_dump(document))

    def run(self, *words: str, now: str = NOW) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "exporter", *words],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(PLUGIN), "CLOUDSPEND_NOW": now},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def answer(self, words: str, *command: str) -> tuple[int, str]:
        """Run a command in a terminal, answer its question; exit code and what it said."""
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "exporter", *command],
                cwd=self.path,
                env={**os.environ, "PYTHONPATH": str(PLUGIN), "CLOUDSPEND_NOW": NOW},
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            os.write(ours, words.encode())
            said, _ = process.communicate(timeout=120)
        finally:
            os.close(ours)
            os.close(theirs)
        return process.returncode, said

    def calls(self, name: str) -> list[str]:
        file = self.path / f"{name}.calls"
        return file.read_text().splitlines() if file.exists() else []

    def usd(self) -> Decimal:
        with State(Paths(self.path / "data").state) as state:
            return state.usd_spent(Month(2024, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.add("paid")
    return folder


def test_plan_prices_a_configuration_without_asking_anybody(folder: Folder) -> None:
    folder.sources.append({"name": "free", "provider": "demo"})
    folder.write()
    done = folder.run("plan", "--format", "json")
    assert done.returncode == 0, done.stderr
    paid, free = json.loads(done.stdout)
    assert (paid["polls"], paid["calls"], paid["charges"], paid["units"]) == (96, 288, {"USD": "2.88"}, {"qpu": "576"})
    assert (paid["calls_a_day"], paid["units_in_the_busiest_hour"]) == ("9.6", {"qpu": "6"})
    assert (paid["pages"], paid["series"], paid["first_poll_charges"]) == ("one assumed", None, {"USD": "0.03"})
    assert free["charges"] == {}
    assert "asked for free: free" in done.stderr
    assert folder.calls("paid") == []
    assert not (folder.path / "data").exists()


def test_plan_is_a_gate(folder: Folder) -> None:
    assert folder.run("plan", "--max-monthly", "2.88").returncode == 0
    refused = folder.run("plan", "--max-monthly", "2.87")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (1, "2.88 USD are more than 2.87")
    assert folder.run("plan", "--pages", "3", "--max-monthly", "2.88").returncode == 1
    assert folder.run("plan", "--max-monthly", "lots").returncode == 2


def test_plan_says_that_a_cap_delays_polls(folder: Folder) -> None:
    folder.sources[0]["api_budget"] = {"monthly_usd": 2}
    folder.write(api_budget={"monthly_usd": "2.5"})
    done = folder.run("plan")
    assert "2.88 USD" in done.stdout
    assert "paid: more than api_budget allows (2 USD a month)" in done.stderr
    assert "all sources: more than api_budget allows (2.5 USD a month)" in done.stderr


def test_plan_knows_pages_and_series_after_a_poll(folder: Folder) -> None:
    folder.sources[0]["pages"] = 3
    folder.write()
    assert folder.run("collect").returncode == 0
    [paid] = json.loads(folder.run("plan", "--format", "json").stdout)
    assert paid["pages"] == "from the ledger"
    assert paid["series"] > 0
    assert len(folder.calls("paid")) == 7


def test_a_dear_backfill_is_refused_where_nobody_can_be_asked(folder: Folder) -> None:
    words = ("collect", "--start", "2024-01-01", "--end", "2024-03-01", "--max-cost", "0.05")
    refused = folder.run(*words)
    assert refused.returncode == 2
    assert "this back-fill costs about 0.06 USD" in refused.stderr
    assert "nobody is here to be asked. hint: --yes" in refused.stderr
    assert folder.calls("paid") == []
    assert folder.run(*words, "--yes").returncode == 0
    assert folder.usd() == Decimal("0.06")


def test_a_dear_backfill_asks(folder: Folder) -> None:
    words = ("collect", "--start", "2024-01-01", "--end", "2024-03-01", "--max-cost", "0")
    code, said = folder.answer("n\n", *words)
    assert (code, folder.calls("paid")) == (1, [])
    assert "That is more than 0 USD. Go on? [y/N]" in said
    code, said = folder.answer("y\n", *words)
    assert (code, len(folder.calls("paid"))) == (0, 6), said


def test_a_backfill_keeps_to_what_the_provider_keeps_and_says_so(folder: Folder) -> None:
    done = folder.run("collect", "--start", "2020-01-01", "--end", "2024-02-01")
    assert done.returncode == 0
    assert "paid: keeps nothing from before 2023-12-01; the back-fill begins there" in done.stderr
    assert [line[:13] for line in done.stderr.splitlines() if ": ok," in line] == ["paid 2024-01:", "paid 2023-12:"]
    done = folder.run("collect", "--start", "2020-01-01", "--end", "2021-01-01")
    assert (done.returncode, "nothing to back-fill" in done.stderr) == (1, True)


def test_a_killed_backfill_goes_on_where_it_stopped_and_a_finished_one_begins_anew(folder: Folder) -> None:
    folder.sources[0] |= {"dies_at": 5, "cache": "off"}  # in the second month; nothing but the cursor saves anything
    folder.write()
    words = ("collect", "--start", "2024-01-01", "--end", "2024-03-01")
    assert folder.run(*words).returncode == 3
    assert len(folder.calls("paid")) == 5
    done = folder.run(*words)
    assert done.returncode == 0, done.stderr
    assert "paid: 1 month done already; going on" in done.stderr
    assert [line[:13] for line in done.stderr.splitlines() if ": ok," in line] == ["paid 2024-01:"]
    assert len(folder.calls("paid")) == 8
    again = folder.run(*words)
    assert (again.returncode, "already" in again.stderr) == (0, False)
    assert len(folder.calls("paid")) == 14


def test_access_says_who_and_what_is_missing_and_what_asking_costs(folder: Folder) -> None:
    folder.add("broken", denied=True)
    folder.sources.append({"name": "demo", "provider": "demo"})
    folder.write()
    done = folder.run("test-access", "--format", "json")
    assert done.returncode == 1
    good, bad, demo = json.loads(done.stdout)
    assert good == {
        "source": "paid",
        "provider": "pricey",
        "access": "ok",
        "credentials": "profile billing",
        "identity": "reader of 111122223330",
        "calls": ["whoami"],
        "newest_day": "2024-03-14",
        "found": None,
        "missing": ["accounts:List"],
        "message": None,
        "hint": None,
        "a_poll_costs_usd": "0.03",
        "this_month_usd": "0",
    }
    assert (bad["access"], bad["message"], bad["hint"]) == (
        "access_denied",
        "access denied calling WhoAmI",
        "grant whoami",
    )
    assert demo["access"] == "untested"
    assert "demo: cannot be tested apart from a poll" in done.stderr
    assert '{"allow": ["costs:Read", "accounts:List"], "on": "111122223331"}' in done.stderr
    assert folder.calls("paid") == []


def test_access_says_what_bills_in_files_there_are(folder: Folder) -> None:
    header = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName"
    (folder.path / "bills").mkdir()
    (folder.path / "bills" / "a.csv").write_text(f"{header}\n1,USD,2024-03-01,Usage,2024-03-09,AWS\n")
    folder.sources = [{"name": "files", "provider": "focus", "path": "bills"}]
    folder.write()
    done = folder.run("test-access", "--format", "json")
    [said] = json.loads(done.stdout)
    assert (done.returncode, said["access"], said["newest_day"]) == (0, "ok", "2024-03-09")
    assert said["found"].startswith("1 file, ")
    assert f"files: found {said['found']}" in done.stderr


def test_access_has_the_name_of_older_tools_and_takes_sources(folder: Folder) -> None:
    folder.add("broken", denied=True)
    done = folder.run("test-auth", "paid")
    assert (done.returncode, "broken" in done.stdout) == (0, False)
    assert "profile billing" in done.stdout
    assert folder.run("test-access", "nobody").returncode == 2


def test_a_policy_is_printed_without_asking(folder: Folder) -> None:
    done = folder.run("test-access", "--print-policy")
    assert json.loads(done.stdout) == {"allow": ["costs:Read", "accounts:List"], "on": "111122223330"}
    assert not (folder.path / "data").exists()


def test_a_self_test_shows_shapes_and_nobodys_names(folder: Folder) -> None:
    done = folder.run("test-access", "--self-test")
    assert json.loads(done.stdout) == [
        {"provider": "pricey", "access": "ok", "calls": ["whoami"], "shape": {"Accounts": [{"Id": "str"}]}}
    ]
    assert "111122223330" not in done.stdout
