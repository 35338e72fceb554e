"""The words of the command line. A mistake in them is UNKNOWN, as the guidelines want it: exit code 3."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NoReturn

from exporter import __version__
from exporter.checks.nagios import Limits, Range, Unanswerable

EXPORTER = "http://127.0.0.1:9753"
ALERTMANAGER = "http://127.0.0.1:9093"
PASSWORD = "CHECK_CLOUDSPEND_PASSWORD"  # noqa: S105
"""Variable of the environment; `--password-file` is the other way. A password in argv is seen by everybody."""

CHECKS = {
    "budget": "what budgets have used",
    "threshold": "what something costs: daily, in the month so far, or expected for the month",
    "anomaly": "what costs more, or much less, than it should",
    "freshness": "how old the newest charges are, and whether the sources can be asked",
    "alerts": "what an Alertmanager fires, as one state",
}
"""Mode → what it looks at."""
_RANGED = ("-w", "-c", "--warning", "--critical", "--threshold")


class _Help(argparse.HelpFormatter):
    """Help of a fixed width: to measure the terminal takes a module that takes longer to import than argparse."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Overview(_Help, argparse.RawDescriptionHelpFormatter):
    """… with a list in it."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unanswerable(f"{self.prog}: {message}. hint: {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Help and version are no check that is OK."""
        del status
        super().exit(3, message)


def parse(words: Sequence[str], program: str = "check_cloudspend") -> argparse.Namespace:
    """The options of a command line. Unanswerable for a mistake; SystemExit(3) behind help and version."""
    first = words[0] if words else ""
    if first in CHECKS:
        return _checked(parser(first, program).parse_args(_joined(words[1:])))
    if first.startswith("-") and first not in ("-h", "--help", "-V", "--version"):
        # The short spelling: `--provider aws --threshold 1000 --critical 2000`.
        return _checked(parser("threshold", program).parse_args(_joined(words)))
    if first.startswith("-"):
        overview(program).parse_args([first])
    wrong = f"{first!r} is not a check" if first else "no check is named"
    raise Unanswerable(f"{program}: {wrong}. hint: one of {', '.join(CHECKS)}")


def overview(program: str = "check_cloudspend") -> argparse.ArgumentParser:
    """The parser of the command without a mode: it knows the modes and nothing else."""
    lines = "\n".join(f"  {name:<10} {words}" for name, words in CHECKS.items())
    found = _Parser(
        prog=program,
        usage=f"{program} {{{','.join(CHECKS)}}} [options]",
        description=f"Cloud costs as an Icinga and Nagios check.\n\n{lines}\n\n{program} budget --help tells more.",
        formatter_class=_Overview,
        allow_abbrev=False,
    )
    _version(found, program)
    return found


def parser(check: str, program: str = "check_cloudspend") -> argparse.ArgumentParser:
    """The parser of one mode."""
    found = _Parser(
        prog=f"{program} {check}",
        description=f"Check {CHECKS[check]}.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    found.set_defaults(check=check)
    _MODES[check](found)
    _reaching(found, check)
    _version(found, program)
    return found


def described(check: str) -> list[tuple[str, str]]:
    """The options of one mode but for help and version: how each is written, and what it means."""
    found = []
    for action in parser(check)._actions:  # noqa: SLF001 (argparse has no other way to ask)
        if action.dest not in ("help", "version"):
            value = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
            words = ", ".join(action.option_strings)
            found.append((words if action.nargs == 0 else f"{words} {value}", action.help or ""))
    return found


def _budget(found: argparse.ArgumentParser) -> None:
    found.add_argument("-n", "--name", action="append", default=[], help="only this budget; may be given again")
    _limits(found, "range of what is used, in percent of the limit; without one, the budget's own thresholds decide")


def _threshold(found: argparse.ArgumentParser) -> None:
    found.add_argument(
        "--window",
        choices=("daily", "month-to-date", "forecast"),
        default="daily",
        help="the newest settled UTC day, this UTC month so far, or the whole of it as expected (default: daily)",
    )
    _scope(found)
    _limits(found, "range of the amount: 1000, 1000:, ~:1000, 10:20, @10:20", "--threshold")


def _anomaly(found: argparse.ArgumentParser) -> None:
    _scope(found)
    found.add_argument(
        "--severity",
        choices=("info", "low", "medium", "high", "critical"),
        default="low",
        help="leave out what is less severe (default: low)",
    )
    _limits(found, "range of the number of open anomalies; without one, their severities decide")


def _freshness(found: argparse.ArgumentParser) -> None:
    found.add_argument("-s", "--source", action="append", default=[], help="only this source; may be given again")
    _limits(found, "range of the age of the newest charge, in hours")


def _alerts(found: argparse.ArgumentParser) -> None:
    found.add_argument(
        "-m",
        "--matcher",
        action="append",
        default=[],
        help='matcher of alerts, such as team="shop"; may be given again (default: alertname=~"Cloudspend.*")',
    )
    found.add_argument("--watchdog", metavar="ALERT", help="UNKNOWN unless this alert, which always fires, is firing")
    _limits(found, "range of the number of firing alerts; without one, their severities decide")


_MODES: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "budget": _budget,
    "threshold": _threshold,
    "anomaly": _anomaly,
    "freshness": _freshness,
    "alerts": _alerts,
}


def _scope(found: argparse.ArgumentParser) -> None:
    found.add_argument("-p", "--provider", help="only this provider: aws, azure, gcp, …")
    found.add_argument("-a", "--account", help="only this account, by its id")
    found.add_argument("-s", "--service", help="only this service, as the bill writes it")
    found.add_argument("--currency", help="only amounts in this currency; needed where there are several")


def _limits(found: argparse.ArgumentParser, words: str, *others: str) -> None:
    found.add_argument("-w", "--warning", *others, type=_range, metavar="RANGE", help=words)
    found.add_argument("-c", "--critical", type=_range, metavar="RANGE", help="the same, for CRITICAL")


def _reaching(found: argparse.ArgumentParser, check: str) -> None:
    if check == "alerts":
        found.add_argument("-u", "--url", default=ALERTMANAGER, help=f"the Alertmanager (default: {ALERTMANAGER})")
    else:
        found.add_argument("-u", "--url", help=f"the running exporter (default: {EXPORTER})")
        found.add_argument("--snapshot", metavar="DIR", help="read what the exporter published, instead of asking it")
        found.add_argument(
            "--max-age", type=_hours, metavar="HOURS", help="UNKNOWN where the snapshot was made longer ago"
        )
    found.add_argument(
        "-t", "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="for all of it (default: 10)"
    )
    found.add_argument("--user", help=f"for basic authentication; its password is in ${PASSWORD} or a file")
    found.add_argument("--password-file", metavar="FILE", help="file whose first line is the password")
    found.add_argument("--ca-file", metavar="FILE", help="certificate authorities to trust, PEM")
    found.add_argument("--cert-file", metavar="FILE", help="certificate of this client, PEM")
    found.add_argument("--key-file", metavar="FILE", help="its key, PEM")
    found.add_argument("--insecure", action="store_true", help="take any certificate")
    found.add_argument("-v", "--verbose", action="count", default=0, help="more lines below the first")


def _version(found: argparse.ArgumentParser, program: str) -> None:
    found.add_argument("-V", "--version", action="version", version=f"{program} {__version__}")


def _checked(options: argparse.Namespace) -> argparse.Namespace:
    """What one option says about another."""
    if options.check == "threshold" and not limits(options):
        raise Unanswerable("a threshold check needs a limit. hint: --warning or --critical")
    if options.check != "alerts":
        if options.url and options.snapshot:
            raise Unanswerable("--url and --snapshot exclude each other")
        options.url = options.url or EXPORTER
    if options.password_file and not options.user:
        raise Unanswerable("--password-file needs --user")
    return options


def limits(options: argparse.Namespace) -> Limits:
    """The two ranges."""
    return Limits(options.warning, options.critical)


def password(options: argparse.Namespace) -> str | None:
    """The password of `--user`. Unanswerable where there is none."""
    if options.user is None:
        return None
    if options.password_file is None:
        found = os.environ.get(PASSWORD)
        if found is None:
            raise Unanswerable(f"--user needs a password. hint: --password-file, or {PASSWORD} in the environment")
        return found
    try:
        with open(options.password_file, encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise Unanswerable(f"cannot read --password-file {options.password_file}: {error}") from error


def _joined(words: Sequence[str]) -> list[str]:
    """A range may begin with a minus, which argparse takes for an option: `-w -5:10` becomes `--warning=-5:10`."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        following = next(rest, None) if word in _RANGED else None
        found.append(word if following is None else f"{word}={following}" if word[1] == "-" else f"{word}{following}")
    return found


def _range(text: str) -> Range:
    try:
        return Range.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    return _positive(text, "seconds")


def _hours(text: str) -> timedelta:
    return timedelta(hours=_positive(text, "hours"))


def _positive(text: str, unit: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit}")
    return found
