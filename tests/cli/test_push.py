"""`cloudspend push`, as a user runs it: what it refuses, and what it says. tests/e2e/test_push.py has the gateways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import cloudspend

NOW = "2024-03-15T12:00:00Z,frozen"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = cloudspend("collect", "--demo", folder=folder, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_push_to_standard_output_is_the_scrape_without_the_process(demo: Path) -> None:
    done = cloudspend("export-prometheus", "--demo", "--output", "-", folder=demo, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 0, done.stderr
    names = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("# TYPE")}
    assert {"cloudspend_month_to_date_cost", "cloudspend_up", "cloudspend_source_polls_total"} <= names
    assert not any(name.startswith(("process_", "python_")) for name in names)
    assert done.stdout.endswith("\n")


def test_a_bill_that_is_too_old_is_pushed_no_more_and_that_is_said(demo: Path) -> None:
    words = ("push", "--demo", "--textfile", "cost.prom")
    done = cloudspend(*words, folder=demo, CLOUDSPEND_NOW="2024-03-20T12:00:00Z,frozen")
    assert done.returncode == 0, done.stderr
    assert "the bill is too old since 2024-03-17T01:00:00Z: only what is known of the sources is pushed" in done.stderr
    text = (demo / "cost.prom").read_text()
    assert "cloudspend_up" in text
    assert "cloudspend_month_to_date_cost" not in text


def test_a_name_that_the_collector_passes_over_is_told(demo: Path) -> None:
    done = cloudspend("push", "--demo", "--textfile", "cost.txt", folder=demo, CLOUDSPEND_NOW=NOW)
    assert (done.returncode, (demo / "cost.txt").exists()) == (0, True)
    assert "cost.txt: the textfile collector reads only files that end in .prom" in done.stderr


def test_where_nothing_is_stored_nothing_is_pushed(tmp_path: Path) -> None:
    (tmp_path / "cloudspend.yml").write_text("store: {path: data}\nsources: [{name: estate, provider: demo}]\n")
    done = cloudspend("push", "--textfile", "cost.prom", folder=tmp_path)
    assert done.returncode == 1
    assert "nothing is stored yet. hint: run 'cloudspend collect'" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["cloudspend.yml"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "one of --pushgateway and --textfile"),
        ("--textfile a.prom --pushgateway http://a", "one of --pushgateway and --textfile"),
        ("--textfile a.prom --delete-on-exit", "--delete-on-exit goes with --every"),
        ("--textfile a.prom --job x", "--job goes with --pushgateway"),
        ("--textfile a.prom --ca-file x.pem", "--ca-file goes with --pushgateway"),
        ("--textfile a.prom --every 0s", "must be longer than 0s"),
        ("--textfile a.prom --every 5", "'5' is not a duration such as 30m, 8h or 2d"),
        ("--pushgateway gateway:9091", "must be a URL that begins with http:// or https://"),
        ("--pushgateway http://a --grouping source=x", "'source' is a label of the bill"),
        ("--pushgateway http://a --user x", "--user and --password-file go together"),
        ("--pushgateway http://a --user x --password-file none", "none: No such file or directory"),
        ("--pushgateway http://a --key-file x", "--key-file goes with --cert-file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(demo: Path, words: str, sentence: str) -> None:
    done = cloudspend("push", "--demo", *words.split(), folder=demo, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_frozen_clock_is_for_a_single_push(demo: Path) -> None:
    done = cloudspend("push", "--demo", "--textfile", "a.prom", "--every", "5m", folder=demo, CLOUDSPEND_NOW=NOW)
    assert done.returncode == 2
    assert "a frozen clock is for one-shot commands" in done.stderr
