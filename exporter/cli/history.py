"""`cloudspend history`: the settled days of the store as timestamped series, into a file or over remote write."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import date, datetime
from pathlib import Path

import click
from pydantic import SecretStr, ValidationError

from exporter.cli.settings import DATE, chosen, configuration, one_shot_clock, readable
from exporter.config.remote_write import RemoteWriteSettings
from exporter.config.schema import Config
from exporter.costs import Cost, engine
from exporter.errors import StoreError
from exporter.log import keep_secret
from exporter.metrics.history import Record, openmetrics
from exporter.polling import settled
from exporter.polling.sources import Paths, resolve
from exporter.polling.worker import exclusive
from exporter.store.files import storing
from exporter.store.state import State

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@configuration
@click.option("--output", metavar="FILE", help="Write an OpenMetrics file for promtool; - is stdout.")
@click.option("--start", type=DATE, metavar="DAY", help="With --output: from this UTC day on.  [default: all]")
@click.option(
    "--remote-write",
    "url",
    metavar="URL",
    help="Write to this receiver.  [default without --output: remote_write of the configuration]",
)
@click.option("--from-scratch", is_flag=True, help="With remote write: everything again, as for an empty receiver.")
@click.option("--user", help="User of the receiver, for basic auth.")
@click.option("--password-file", type=_FILE, help="A file that holds the password.")
@click.option("--bearer-token-file", type=_FILE, help="A file that holds a token, instead of user and password.")
@click.option("--tenant", help="Value of X-Scope-OrgID, for receivers with several tenants.")
@click.option("--ca-file", type=_FILE, help="Authorities to trust, as PEM.")
def history(
    file: Path | None,
    output: str | None,
    start: datetime | None,
    url: str | None,
    user: str | None,
    password_file: Path | None,
    bearer_token_file: Path | None,
    tenant: str | None,
    ca_file: Path | None,
    *,
    from_scratch: bool,
    demo: bool,
) -> None:
    """Write the settled days of the store as cloudspend_usage_cost, each with its own time, so that Prometheus has
    a year on the first day. Waits for a running poll.

    \b
    cloudspend history --output history.om
    promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics history.om /prometheus
    cloudspend history --remote-write http://victoria:8428/api/v1/write
    cloudspend history --from-scratch
    """
    if output and url:
        raise click.UsageError("--output goes without --remote-write")
    if start and not output:
        raise click.UsageError("--start goes with --output")
    if from_scratch and output:
        raise click.UsageError("--from-scratch goes with remote write")
    if any((user, password_file, bearer_token_file, tenant, ca_file)) and not url:
        raise click.UsageError("the options of a receiver go with --remote-write")
    config = chosen(file, demo=demo)
    receiver = None if output else _receiver(config, url, user, password_file, bearer_token_file, tenant, ca_file)
    readable(file, demo=demo)
    paths, sources = Paths(config.store.path), resolve(config)
    engine.configure(memory=config.store.memory_limit, threads=config.store.threads)
    names = [source.name for source in sources]
    with exclusive(paths.writer_lock):
        with State(paths.state) as state:
            settled.update(sources, paths, state, one_shot_clock(), Cost(config.cost.basis))
        record = settled.record(paths)
        if not any(map(record.months, names)):
            click.echo("no day has settled yet. hint: run 'cloudspend collect'", err=True)
        if receiver is not None:
            _send(record, names, receiver, from_scratch=from_scratch)
        elif output:
            _save(record, names, output, start.date() if start else None)


def _save(record: Record, names: list[str], output: str, start: date | None) -> None:
    """Write the file whole, or not at all."""
    samples = 0
    with (
        storing(Path(output)),
        nullcontext(sys.stdout.buffer) if output == "-" else click.open_file(output, "wb", atomic=True) as out,
    ):
        for part in openmetrics(record, names, start):
            samples += part.count("\n") if not part.startswith("#") else 0
            out.write(part.encode())
    click.echo(f"{samples} samples", err=True)
    if output != "-":
        command = f"promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics {output} DATA_FOLDER"
        click.echo(f"next: {command}", err=True)


def _send(record: Record, names: list[str], receiver: RemoteWriteSettings, *, from_scratch: bool) -> None:
    """Write to a receiver, and say what came of it; exit 1 where it refused something."""
    months = len({(name, month) for name in names for month in record.months(name)})
    shown = click.progressbar(length=months, label=receiver.url, file=sys.stderr) if sys.stderr.isatty() else None
    with shown or nullcontext():
        came = settled.write(
            record, names, receiver, from_scratch=from_scratch, done=lambda _step: shown.update(1) if shown else None
        )
    click.echo(f"{came.samples} samples written to {receiver.url}", err=True)
    if came.refused:
        click.echo(f"{came.refused} samples refused: {came.why}", err=True)
        click.echo("they are not offered again; once it takes them: cloudspend history --from-scratch", err=True)
        sys.exit(1)


def _receiver(
    config: Config,
    url: str | None,
    user: str | None,
    password_file: Path | None,
    bearer_token_file: Path | None,
    tenant: str | None,
    ca_file: Path | None,
) -> RemoteWriteSettings:
    given = any((user, password_file, bearer_token_file, tenant, ca_file))
    if url is None:
        if config.remote_write is None:
            raise click.UsageError("give --output or --remote-write, or configure remote_write")
        return config.remote_write
    if config.remote_write and config.remote_write.url == url and not given:
        return config.remote_write  # it knows the way in
    try:
        return RemoteWriteSettings(
            url=url,
            username=user,
            password=_secret(password_file),
            bearer_token=_secret(bearer_token_file),
            tenant=tenant,
            ca_file=ca_file,
        )
    except ValidationError as error:
        said = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise click.BadParameter(said, param_hint="--remote-write") from None


def _secret(path: Path | None) -> SecretStr | None:
    if path is None:
        return None
    try:
        found = path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StoreError(f"{path}: cannot be read: {reason}") from None
    keep_secret(found)
    return SecretStr(found)
