"""`check_cloudspend`: one question, one line, one exit code. Whatever goes wrong is a line too, and UNKNOWN."""

from __future__ import annotations

import _thread
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from exporter.checks import asking, options
from exporter.checks.nagios import Result, State, Unanswerable


def main() -> None:
    """Run the command line of this process and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a locale that cannot write a name is no reason to say nothing
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()  # help and version
    finally:
        os._exit(code)  # all is said: to take the interpreter apart, module by module, costs as much as to judge


def run(words: Sequence[str], program: str = "check_cloudspend") -> int:
    """Print what the check says; its exit code is returned, 0 to 3."""
    verbose = False
    try:
        chosen = options.parse(words, program)
        verbose = chosen.verbose > 0
        speaking = _limited(chosen.timeout)
        result = check(chosen)
    except Unanswerable as error:
        speaking = _thread.allocate_lock()
        result = Result(State.UNKNOWN, str(error), details=error.details)
    except SystemExit as end:  # help and version have been printed
        return end.code if isinstance(end.code, int) else int(State.UNKNOWN)
    except BaseException as error:
        speaking = _thread.allocate_lock()
        result = Result(State.UNKNOWN, _surprise(error))
    speaking.acquire()
    try:
        sys.stdout.write(result.text(verbose=verbose) + "\n")
        sys.stdout.flush()
    except OSError:  # nobody listens: an exit code is all that is left to say
        return int(State.UNKNOWN)
    return int(result.state)


def check(chosen: Namespace) -> Result:
    """What the chosen check finds."""
    access = asking.Access(
        chosen.timeout,
        chosen.user,
        options.password(chosen),
        chosen.ca_file,
        chosen.cert_file,
        chosen.key_file,
        chosen.insecure,
    )
    return _alerts(chosen, access) if chosen.check == "alerts" else _judged(chosen, access)


def _judged(chosen: Namespace, access: asking.Access) -> Result:
    """A check of the bill. Each is imported when it is asked for: the others cost time."""
    from exporter.checks.picture import Picture

    document = asking.read_snapshot(chosen.snapshot) if chosen.snapshot else asking.ask_exporter(chosen.url, access)
    picture = Picture(document, chosen.max_age)
    limits = options.limits(chosen)
    if chosen.check == "budget":
        from exporter.checks.budget import budget

        return budget(picture, chosen.name, limits)
    if chosen.check == "freshness":
        from exporter.checks.freshness import freshness

        return freshness(picture, chosen.source, limits)
    from exporter.checks.threshold import Scope, threshold

    scope = Scope(chosen.provider, chosen.account, chosen.service, chosen.currency)
    if chosen.check == "threshold":
        return threshold(picture, scope, chosen.window, limits)
    from exporter.checks.anomaly import anomaly

    return anomaly(picture, scope, chosen.severity, limits)


def _alerts(chosen: Namespace, access: asking.Access) -> Result:
    from exporter.checks import alerts

    if chosen.watchdog:
        always = alerts.query([f'alertname="{chosen.watchdog}"'])
        alerts.must_fire(chosen.watchdog, asking.ask_alertmanager(chosen.url, always, access))
    found = asking.ask_alertmanager(chosen.url, alerts.query(chosen.matcher or [alerts.OURS]), access)
    return alerts.alerts(found, options.limits(chosen))


def _limited(seconds: float) -> _thread.LockType:
    """End the process as UNKNOWN after so long, whatever it waits for: a name server has no time-out of ours.

    Whoever gets the lock that is returned speaks; the other one is silent.
    """
    speaking = _thread.allocate_lock()

    def expire() -> None:
        time.sleep(seconds + 0.1)  # the connection's own time-out comes first and says more
        if speaking.acquire(blocking=False):
            result = Result(State.UNKNOWN, f"no answer within {seconds:g} s")
            os.write(1, f"{result.text()}\n".encode())
            os._exit(State.UNKNOWN)

    _thread.start_new_thread(expire, ())
    return speaking


def _surprise(error: BaseException) -> str:
    """A fault that nobody foresaw, as a sentence."""
    if isinstance(error, KeyError):
        return f"the exporter's answer lacks {error}. hint: is it of this version?"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
