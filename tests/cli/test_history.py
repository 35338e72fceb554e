"""`cloudspend history`, and `remote_write` of the configuration, as processes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.cli.test_commands import cloudspend
from tests.metrics.receiver import Answer, Receiver

HEADER = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ProviderName,ServiceName\n"
CONFIG = "store: {path: data}\nsources: [{name: bill, provider: focus, path: bill.csv, settles_after: 48h}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configured bill of 40 days, not yet collected."""
    monkeypatch.setenv("CLOUDSPEND_NOW", "2024-03-15T12:00:00Z,frozen")
    days = [date(2024, 2, 5) + timedelta(days=n) for n in range(40)]
    rows = [f"{n}.25,USD,{day:%Y-%m-01},Usage,{day},AWS,Compute\n" for n, day in enumerate(days)]
    (tmp_path / "bill.csv").write_text(HEADER + "".join(rows))
    (tmp_path / "cloudspend.yml").write_text(CONFIG)
    return tmp_path


def test_the_document_goes_to_stdout_and_talk_to_stderr(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    done = cloudspend("history", "--output", "-", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "37 samples\n"  # 5 February to 12 March: 13 March ended 36 hours ago
    lines = done.stdout.splitlines()
    assert lines[1] == "# TYPE cloudspend_usage_cost gauge"
    assert lines[2] == (
        'cloudspend_usage_cost{source="bill",provider="aws",account="unknown",service="Compute",region="global",'
        'charge_category="usage",currency="USD"} 0.25 1707134400'
    )
    assert lines[-1] == "# EOF"


def test_a_file_is_written_whole_and_says_what_comes_next(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    done = cloudspend("history", "--output", "h.om", "--start", "2024-03-01", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "12 samples",
        "next: promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics h.om DATA_FOLDER",
    ]
    assert (folder / "h.om").read_text().endswith("# EOF\n")
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["bill.csv", "cloudspend.yml", "h.om"]


def test_an_empty_store_says_what_to_do(folder: Path) -> None:
    done = cloudspend("history", "--output", "-", folder=folder)
    assert done.returncode == 0
    assert "no day has settled yet. hint: run 'cloudspend collect'" in done.stderr
    assert done.stdout.splitlines()[2:] == ["# EOF"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give --output or --remote-write, or configure remote_write"),
        (("--output", "-", "--remote-write", "http://127.0.0.1:1"), "--output goes without --remote-write"),
        (("--output", "-", "--from-scratch"), "--from-scratch goes with remote write"),
        (("--start", "2024-03-01"), "--start goes with --output"),
        (("--user", "a"), "the options of a receiver go with --remote-write"),
        (("--output", "-", "--user", "a"), "the options of a receiver go with --remote-write"),
        (("--remote-write", "metrics:9090"), "must be a URL such as http://prometheus:9090/api/v1/write"),
        (("--remote-write", "http://a:b@127.0.0.1:1"), "must not hold a user or a password"),
        (("--remote-write", "http://127.0.0.1:1", "--user", "a"), "username and password go together"),
    ],
)
def test_what_does_not_go_together_is_refused(folder: Path, words: tuple[str, ...], sentence: str) -> None:
    done = cloudspend("history", *words, folder=folder)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_place_that_cannot_be_written_is_named(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    done = cloudspend("history", "--output", "no/such/folder.om", folder=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no/such/folder.om: cannot be written: No such file or directory")
    done = cloudspend("history", "--remote-write", "http://127.0.0.1:1", "--bearer-token-file", "no", folder=folder)
    assert done.returncode == 1
    assert "no: cannot be read: No such file or directory" in done.stderr


def test_a_receiver_on_the_command_line_gets_what_it_has_not_taken(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    (folder / "word").write_text("open-sesame\n")
    with Receiver() as receiver:
        words = ("history", "--remote-write", receiver.url, "--user", "writer", "--password-file", "word")
        done = cloudspend(*words, folder=folder)
        assert (done.returncode, done.stderr) == (0, f"37 samples written to {receiver.url}\n")
        assert cloudspend(*words, folder=folder).stderr == f"0 samples written to {receiver.url}\n"
        assert cloudspend(*words, "--from-scratch", folder=folder).stderr.startswith("37 samples")
    assert receiver.requests[0].headers["Authorization"].startswith("Basic ")


def test_refused_samples_are_told_with_the_reason_and_exit_1(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    with Receiver(lambda _: Answer(400, "out of bounds")) as receiver:
        done = cloudspend("history", "--remote-write", receiver.url, folder=folder)
    assert done.returncode == 1
    assert "37 samples refused: " in done.stderr
    assert "raise storage.tsdb.out_of_order_time_window" in done.stderr
    assert "cloudspend history --from-scratch" in done.stderr


def test_a_wrong_word_is_no_secret_told(folder: Path) -> None:
    cloudspend("collect", folder=folder)
    (folder / "word").write_text("open-sesame\n")
    with Receiver(lambda _: Answer(403, "open-sesame is not my word")) as receiver:
        words = ("history", "--remote-write", receiver.url, "--bearer-token-file", "word")
        done = cloudspend(*words, folder=folder)
    assert done.returncode == 1
    assert "answered 403: <secret> is not my word. hint: username and password, or bearer_token" in done.stderr
    assert "open-sesame" not in done.stderr


def test_collect_writes_what_settled_where_the_configuration_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "word").write_text("open-sesame\n")
    with Receiver() as receiver:
        remote = f"remote_write: {{url: '{receiver.url}', bearer_token_file: word}}\n"
        (folder / "cloudspend.yml").write_text(CONFIG + remote)
        done = cloudspend("collect", folder=folder)
        assert done.returncode == 0, done.stderr
        assert 'msg="history written" samples=37' in done.stderr
        monkeypatch.setenv("CLOUDSPEND_NOW", "2024-03-16T12:00:00Z,frozen")
        assert 'msg="history written" samples=1' in cloudspend("collect", folder=folder).stderr
        assert cloudspend("history", folder=folder).stderr == f"0 samples written to {receiver.url}\n"
    assert {request.headers["Authorization"] for request in receiver.requests} == {"Bearer open-sesame"}
    assert sum(len(request.samples) for request in receiver.taken) == 38
