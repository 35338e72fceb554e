"""`cloudspend init`: what it writes can be served as it is."""

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
from click.testing import CliRunner

from exporter.cli import cli
from exporter.config.load import read
from exporter.polling.sources import Registry, resolve


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["init", *words])
    return result.exit_code, result.output


def test_what_it_writes_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "cloudspend.yml"
    code, said = run("--provider", "focus", "--name", "history", "--set", "path=./bills", "--output", str(file))
    assert (code, f"wrote {file}" in said) == (0, True)
    [source] = resolve(read(file, Registry(), {}))
    assert (source.name, source.spec.name) == ("history", "focus")
    assert source.options.model_dump()["path"] == str(tmp_path / "bills")


def test_options_left_out_stand_there_as_comments_with_their_meaning(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    run("--provider", "focus", "--set", "path=./bills", "--output", str(file))
    assert "    # region:                # The region of an S3 bucket" in file.read_text()


def test_it_says_what_the_source_needs_and_what_comes_next(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    _, said = run("--provider", "focus", "--set", "path=./bills", "--output", str(file))
    assert "It needs: read access to the files" in said
    assert f"cloudspend serve --config {file}" in said


ONE = "00000000-aaaa-bbbb-cccc-000000000001"


@pytest.mark.parametrize(
    ("provider", "given", "policy", "price"),
    [
        ("aws_cost_explorer", (), '"ce:GetCostAndUsage"', "Asking costs about {} USD a month ({} polls, {} calls)"),
        (
            "gcp",
            ("table=shop-prod.billing.gcp_billing_export_v1_00AA11_BB22CC_33DD44",),
            "--role=roles/bigquery.jobUser",
            "Asking costs about {} USD a month ({} polls, {} calls)",
        ),
        ("azure", (f"scopes=[{ONE}]",), "az role assignment create", "Asking is free."),
        ("focus", ("path=./bills",), "read access to the files", "Asking is free."),
    ],
)
def test_it_says_the_smallest_policy_and_the_price_that_plan_has(
    provider: str, given: tuple[str, ...], policy: str, price: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", "2024-09-15T12:00:00Z,frozen")
    file = tmp_path / "c.yml"
    pairs = [word for pair in given for word in ("--set", pair)]
    code, said = run("--provider", provider, "--name", "prod", *pairs, "--output", str(file))
    assert code == 0, said
    [planned] = json.loads(CliRunner().invoke(cli, ["plan", "--config", str(file), "--format", "json"]).stdout)
    usd = Decimal(planned["charges"].get("USD", "0")).quantize(Decimal("0.01"))
    assert policy in said
    assert price.format(usd, planned["polls"], planned["calls"]) in said
    assert ("Asking is free" in said) == (usd == 0)


def test_a_price_below_a_cent_is_not_nothing(tmp_path: Path) -> None:
    table = "table=shop-prod.billing.gcp_billing_export_v1_00AA11_BB22CC_33DD44"
    given = ("--set", table, "--set", "usd_per_tib=0.01", "--name", "prod")
    _, said = run("--provider", "gcp", *given, "--output", str(tmp_path / "c.yml"))
    assert "Asking costs less than 0.01 USD a month" in said


def test_aws_needs_no_option_at_all(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    assert run("--provider", "aws_cost_explorer", "--output", str(file))[0] == 0
    [source] = resolve(read(file, Registry(), {}))
    assert (source.name, source.spec.name) == ("aws", "aws_cost_explorer")
    assert "    # role_arn:" in file.read_text()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("mine")
    code, said = run("--provider", "focus", "--set", "path=./bills", "--output", str(file))
    assert (code, file.read_text()) == (2, "mine")
    assert "--force writes over it" in said
    code, _ = run("--provider", "focus", "--set", "path=./bills", "--output", str(file), "--force")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--provider", "focus"), "give --set path=…"),
        ((), "give --provider"),
        (("--provider", "aws_cost_exporter"), "is not a provider"),
        (("--provider", "focus", "--set", "path"), "'path' is not KEY=VALUE"),
        (("--provider", "focus", "--set", "path=./bills", "--set", "pth=1"), "pth"),
        (("--provider", "focus", "--set", "path=./bills", "--name", "No Name"), "name"),
    ],
)
def test_with_nobody_to_ask_it_says_what_is_missing_or_wrong(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "init", *words, "--output", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, file.exists()) == (2, False)
    assert said in done.stderr


def test_odd_values_arrive_as_they_were_given(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    odd = "./bills: of #2, 'old'"
    run("--provider", "focus", "--name", "x", "--set", f"path={odd}", "--output", str(file))
    assert yaml.safe_load(file.read_text())["sources"][0]["path"] == odd


def test_it_asks_for_what_is_needed_and_asks_again_where_an_answer_does_not_hold(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "exporter", "init", "--provider", "focus"]
    process = subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    )
    os.write(master, b"history\nhttp://example.org/x\n./bills\n")
    said, _ = process.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert process.returncode == 0, said
    assert "path: A file, a folder" in said
    [source] = yaml.safe_load((tmp_path / "cloudspend.yml").read_text())["sources"]
    assert source == {"name": "history", "provider": "focus", "path": "./bills"}
