"""`cloudspend test-access`: can each source be read, as whom, and what is missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click

from exporter import log
from exporter.cli.output import Format, Record, rendered
from exporter.cli.settings import chosen, configuration, named, one_shot_clock
from exporter.clock import Clock
from exporter.costs import Ask
from exporter.costs.money import ZERO, text
from exporter.errors import SourceError
from exporter.periods import Month
from exporter.polling import plan, schedule
from exporter.polling.ledger import Ledger
from exporter.polling.sources import Paths, Source, resolve
from exporter.providers import Access, Accessible
from exporter.store.lake import Lake
from exporter.store.state import State

COLUMNS = ("source", "access", "credentials", "identity", "newest_day", "missing", "a_poll_costs", "this_month")


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one source."""

    source: Source
    poll_usd: Decimal
    """The price of its next regular poll."""
    month_usd: Decimal
    """What asking it has cost this UTC month, this try included."""
    access: Access | None = None
    error: SourceError | None = None

    @property
    def word(self) -> str:
        """The outcome in a word: ok, the reason of a failure, or `untested`."""
        return self.error.reason if self.error else "ok" if self.access else "untested"

    def record(self) -> Record:
        """One line of a table."""
        access = self.access
        return {
            "source": self.source.name,
            "access": self.word,
            "credentials": access.credentials if access else "",
            "identity": access.identity if access else "",
            "newest_day": access.newest.isoformat() if access and access.newest else None,
            "missing": ", ".join(access.missing) if access else "",
            "a_poll_costs": f"{text(self.poll_usd)} USD",
            "this_month": f"{text(self.month_usd)} USD",
        }

    def document(self) -> dict[str, object]:
        """The same and more for programs."""
        access, error = self.access, self.error
        return {
            "source": self.source.name,
            "provider": self.source.spec.name,
            "access": self.word,
            "credentials": access.credentials if access else None,
            "identity": access.identity if access else None,
            "calls": list(access.calls) if access else [],
            "newest_day": access.newest.isoformat() if access and access.newest else None,
            "found": access.found or None if access else None,
            "missing": list(access.missing) if access else [],
            "message": log.masked(error.message) if error else None,
            "hint": log.masked(error.hint) if error and error.hint else None,
            "a_poll_costs_usd": text(self.poll_usd),
            "this_month_usd": text(self.month_usd),
        }


@click.command("test-access")
@configuration
@click.argument("source", nargs=-1, metavar="SOURCE")
@click.option("--print-policy", is_flag=True, help="Ask nobody; print the smallest policy that a source needs.")
@click.option("--self-test", is_flag=True, help="Print how the answers look, without their values, for a bug report.")
@click.option(
    "--format", "form", type=click.Choice([form.value for form in Format]), default="table", show_default=True
)
def test_access(
    file: Path | None, source: tuple[str, ...], form: str, *, print_policy: bool, self_test: bool, demo: bool
) -> None:
    """Try the credentials of each source, or of every SOURCE that is named, with as little as can be asked.

    It says where credentials were found, whose they are, which calls were made, what there is and the newest day that
    has a charge, what is missing, and what asking costs. Exit code 1 where one cannot be read.

    \b
    cloudspend test-access --config cloudspend.yml
    cloudspend test-access aws-prod --print-policy
    """
    config, clock = chosen(file, demo=demo), one_shot_clock()
    wanted = named(resolve(config), source, "SOURCE")
    if print_policy:
        _print_policies(wanted)
        return
    findings = tried(wanted, Paths(config.store.path), clock)
    if self_test:
        click.echo(json.dumps([_shape(each) for each in findings], indent=2, ensure_ascii=False))
    elif form == Format.JSON:
        click.echo(json.dumps([each.document() for each in findings], indent=2, ensure_ascii=False))
    else:
        records = [each.record() for each in findings]
        click.echo(rendered(records, COLUMNS, Format(form), right=("a_poll_costs", "this_month")))
    for line in _said(findings):
        click.echo(log.masked(line), err=True)
    if any(each.error for each in findings):
        sys.exit(1)


test_auth = copy(test_access)
"""The same by the name that other tools have for it."""
test_auth.name, test_auth.hidden = "test-auth", True


def tried(sources: Sequence[Source], paths: Paths, clock: Clock) -> list[Finding]:
    """What each source shows of its access, all at once."""
    with State(paths.state):
        pass  # made once, not by every thread
    if not sources:
        return []
    with ThreadPoolExecutor(max_workers=len(sources), thread_name_prefix="access") as pool:
        return list(pool.map(lambda source: _tried(source, paths, clock), sources))


def _tried(source: Source, paths: Paths, clock: Clock) -> Finding:
    access, failed = None, None
    with State(paths.state) as state:
        try:
            provider = source.spec.connect(source.options, Ledger(state, source, clock))
            if isinstance(provider, Accessible):
                access = provider.access()
        except SourceError as error:
            failed = error
        now = clock.now()
        before = state.source(source.name)
        covered = Lake(paths.lake).coverage(source.name) if before.stored_as == source.fingerprint else None
        ask = Ask(schedule.window(source, covered, now, before), tags=source.tags)
        price = plan.price(source, [ask], state.answers(source.name, source.fingerprint))
        month = state.usd_spent(Month.containing(now), source.name)
    return Finding(source, price.usd or ZERO, month, access, failed)


def _said(findings: Iterable[Finding]) -> Iterable[str]:
    """What no column says."""
    for each in findings:
        name = each.source.name
        if each.error:
            hint = f". hint: {each.error.hint}" if each.error.hint else ""
            yield f"{name}: {each.error.reason}: {each.error.message}{hint}"
        elif each.access is None:
            yield f"{name}: cannot be tested apart from a poll. hint: cloudspend collect --providers {name}"
        else:
            yield f"{name}: asked {', '.join(each.access.calls) or 'nobody'}"
            if each.access.found:
                yield f"{name}: found {each.access.found}"
        lacking = each.access.missing if each.access else ()
        if each.source.spec.policy and (lacking or (each.error and each.error.reason == "access_denied")):
            yield f"{name}: the smallest policy that grants what is missing:"
            yield each.source.spec.policy(each.source.options)


def _print_policies(sources: Sequence[Source]) -> None:
    for source in sources:
        if source.spec.policy:
            click.echo(source.spec.policy(source.options))
        else:
            needs = ", ".join(source.spec.permissions)
            click.echo(f"{source.name}: {f'needs {needs}' if needs else 'needs no permission'}", err=True)


def _shape(finding: Finding) -> dict[str, object]:
    """Keys and types of an answer. Names of sources are the user's own, so they stay out."""
    return {
        "provider": finding.source.spec.name,
        "access": finding.word,
        "calls": list(finding.access.calls) if finding.access else [],
        "shape": dict(finding.access.shape) if finding.access else {},
    }
