"""`cloudspend push`: what a scrape would show, to a Pushgateway or into a file; once, or again and again."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter import log
from exporter.cli.settings import configuration, readable
from exporter.clock import Clock
from exporter.config import values
from exporter.config.reload import Running
from exporter.config.schema import Config
from exporter.errors import CloudspendError
from exporter.metrics import push as pushing
from exporter.polling.outlook import Outlook
from exporter.polling.sources import Paths, resolve
from exporter.store.state import State

if TYPE_CHECKING:
    from exporter.web.board import Board

_log = logging.getLogger(__name__)


class _Duration(click.ParamType[timedelta]):
    """A length of time that is not zero."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> timedelta:
        """`5m`, `90s` or `1h30m`."""
        try:
            found = value if isinstance(value, timedelta) else values.duration(value)
        except ValueError as error:
            self.fail(str(error), param, context)
        if not found:
            self.fail("must be longer than 0s", param, context)
        return found


DURATION = _Duration()


@dataclass(frozen=True)
class _Target:
    """Where to push to: how to put metrics there, and how to take them away again."""

    name: str
    put: Callable[[bytes], None]
    delete: Callable[[], None]


@click.command()
@configuration
@click.option("--pushgateway", metavar="URL", help="Replace the job's group at this Pushgateway.")
@click.option("--job", default=pushing.JOB, show_default=True, help="The job label of what is pushed.")
@click.option(
    "--grouping",
    multiple=True,
    metavar="NAME=VALUE",
    help="A label more that names the group, such as instance=eu-1; may be repeated.",
)
@click.option("--user", help="User of the gateway, for basic auth.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that holds the password.",
)
@click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False), help="Authorities to trust, as PEM.")
@click.option("--cert-file", type=click.Path(path_type=Path, dir_okay=False), help="A client certificate, as PEM.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Its key, as PEM.")
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait for an answer.")
@click.option(
    "--textfile",
    "--output",
    "textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put them into this file, for node_exporter's textfile collector; - is standard output.",
)
@click.option("--every", type=DURATION, help="Push again so often, until SIGTERM: 5m.")
@click.option("--delete-on-exit", is_flag=True, help="With --every: take away in the end what was pushed.")
def push(
    file: Path | None,
    pushgateway: str | None,
    textfile: Path | None,
    job: str,
    grouping: tuple[str, ...],
    every: timedelta | None,
    *,
    delete_on_exit: bool,
    demo: bool,
    **access: Any,
) -> None:
    """Push what /metrics shows, less process_* and python_info, for networks that Prometheus cannot look into.

    Values are those of the newest snapshot: run collect before, or let the daemon poll. Nothing has a timestamp. A
    second push replaces the first; push either from here or let Prometheus scrape, for both together count twice.

    \b
    cloudspend push --pushgateway http://pushgateway:9091 --grouping instance=eu-1
    cloudspend push --textfile /var/lib/prometheus/node-exporter/cloudspend.prom
    cloudspend push --pushgateway https://push.example.org --user cost --password-file /run/secrets/push --every 5m
    """
    if (pushgateway is None) == (textfile is None):
        raise click.UsageError("one of --pushgateway and --textfile, please")
    if delete_on_exit and every is None:
        raise click.UsageError("--delete-on-exit goes with --every: a single push would be gone at once")
    clock = Clock.from_environment(may_freeze=every is None)
    if textfile is not None:
        _refuse_access(job, grouping, access)
    config = readable(file, demo=demo)
    with _stopping() as stop:
        if textfile is not None:
            target = _file(textfile)
        else:
            assert pushgateway is not None
            target = _gateway(pushgateway, job, grouping, access, stop.wait)
        with _board(config, clock) as board:
            if every is None:
                _once(board, target)
            else:
                _again(board, target, every, stop)
        if delete_on_exit:
            target.delete()


export_prometheus = copy(push)
"""The same by the name that other tools have for it."""
export_prometheus.name, export_prometheus.hidden = "export-prometheus", True


def _once(board: Board, target: _Target) -> None:
    body = board.pushed()
    target.put(body)
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    click.echo(f"{target.name}: {series} series", err=True)


def _again(board: Board, target: _Target, every: timedelta, stop: threading.Event) -> None:
    """Push until stopped. What fails later is logged once; what fails at first and for good raises."""
    failing, first = False, True
    while True:
        board.refresh()
        try:
            target.put(board.pushed())
        except CloudspendError as error:
            if first and not getattr(error, "retry", True):
                raise
            if not failing and not stop.is_set():
                _log.error("cannot push; trying again", extra={"fields": {"error": error}})
            failing = True
        else:
            if failing or first:
                _log.info("pushed", extra={"fields": {"to": target.name, "every": values.duration_text(every)}})
            failing = False
        first = False
        if stop.wait(every.total_seconds()):
            return


@contextmanager
def _board(config: Config, clock: Clock) -> Iterator[Board]:
    """What there is to serve; CloudspendError where nothing was ever collected."""
    from exporter.web.board import Board

    paths = Paths(config.store.path)
    if not paths.state.exists():
        raise CloudspendError(
            f"{paths.root}: nothing is stored yet. hint: run 'cloudspend collect', or start the daemon"
        )
    with State(paths.state) as state:
        board = Board(Running(config, resolve, clock), Outlook(paths, state), clock)
        board.refresh()
        if not board.ready:
            said = f"is too old since {board.expired:%Y-%m-%dT%H:%M:%SZ}" if board.expired else "is not there yet"
            click.echo(f"the bill {said}: only what is known of the sources is pushed", err=True)
        yield board


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that what is under way ends in order."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _file(path: Path) -> _Target:
    if path == Path("-"):
        return _Target("standard output", lambda body: click.echo(body, nl=False), lambda: None)
    if path.suffix != ".prom":
        click.echo(f"{path}: the textfile collector reads only files that end in .prom", err=True)
    return _Target(str(path), lambda body: pushing.write_textfile(path, body), lambda: path.unlink(missing_ok=True))


def _gateway(url: str, job: str, grouping: tuple[str, ...], access: dict[str, Any], rest: pushing.Rest) -> _Target:
    try:
        labels = pushing.grouping(grouping)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--grouping") from None
    if access["key_file"] and not access["cert_file"]:
        raise click.UsageError("--key-file goes with --cert-file")
    if bool(access["user"]) != bool(access["password_file"]):
        raise click.UsageError("--user and --password-file go together")
    password = password_of(access["password_file"])
    try:
        gateway = pushing.Pushgateway(
            url,
            job,
            labels,
            pushing.Access(
                user=access["user"] or "",
                password=password,
                ca_file=access["ca_file"],
                cert_file=access["cert_file"],
                key_file=access["key_file"],
                timeout=access["timeout"].total_seconds(),
            ),
            rest,
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--job" if "job" in str(error) else "--pushgateway") from None
    return _Target(gateway.url, gateway.put, gateway.delete)


def password_of(path: Path | None) -> str:
    """What a file holds, its last line end aside; the log masks it from now on."""
    if path is None:
        return ""
    try:
        password = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise click.BadParameter(f"{path}: {said}", param_hint="--password-file") from None
    if not password:
        raise click.BadParameter(f"{path} is empty", param_hint="--password-file")
    log.keep_secret(password)
    return password


def _refuse_access(job: str, grouping: tuple[str, ...], access: dict[str, Any]) -> None:
    """UsageError for an option that means nothing to a file."""
    given = {"--job": job != pushing.JOB, "--grouping": grouping} | {
        f"--{name.replace('_', '-')}": value for name, value in access.items() if name != "timeout"
    }
    for option, value in given.items():
        if value:
            raise click.UsageError(f"{option} goes with --pushgateway")
