#!/usr/bin/env python3
"""Write what is derived from the code: docs/reference/*.md and config.schema.json.

python scripts/docs.py            write them
python scripts/docs.py --check    write nothing; name those that are stale, exit 1 where there is one
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import yaml
from pydantic import BaseModel, TypeAdapter

from exporter import errors, providers
from exporter.checks import options as checks
from exporter.cli import cli
from exporter.config import Duration, MemorySize, Slug, SourceSettings, json_schema
from exporter.config.values import duration_text
from exporter.costs import ChargeCategory
from exporter.metrics.catalog import CATALOG, WORKER_FAILURES, Spec

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "alertmanager" / "rules"

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "source": "`name` of the source in the configuration",
        "provider": "who charges: `aws`, `azure`, `gcp`, `oci`, `huawei`, `alibaba`, `tencent`, or a slug of the"
        " vendor's name",
        "account": "account, subscription or project: FOCUS SubAccountId; `unknown` where the bill has none",
        "service": "FOCUS ServiceName, as the vendor writes it; `unknown` where the bill has none",
        "region": "FOCUS RegionId; `global` for charges that lie in none. Lines past `series_limit` have `other` for"
        " account, service and region",
        "charge_category": ", ".join(f"`{category.lower()}`" for category in ChargeCategory),
        "currency": "ISO 4217: `USD`, `EUR`. Amounts of two currencies are never added",
        "from_currency": "currency of the bill",
        "to_currency": "the reporting currency",
        "unit": "what a vendor counts besides requests: `bytes`, `qpu`",
        "reason": "why something failed; [below](#values-of-reason)",
        "adapter": "provider module that reads the source: `provider` in the configuration",
        "cost_basis": "amount that the money families show: `billed`, `effective`, `list`; `mixed` where some of the"
        " source's providers do not know it and show billed",
        "name": "name of the account in the bill; of `cloudspend_first_spend_cost`, of the place",
        "budget": "`name` of the budget in the configuration",
        "threshold": "share of the limit in percent, as configured: `80%`",
        "severity": "of a threshold as configured (`warning`, `critical`); of a finding by money: `info`, `low`,"
        " `medium`, `high`, `critical`",
        "window": "`day`: the last settled day; `week`: the last seven",
        "status": "`on_track`, `at_risk`, `over`",
        "period": "`daily`, `weekly`, `monthly`, `quarterly`, `yearly`",
        "owner": "who answers for the budget, as configured; `none` where nobody is named",
        "judgement": "`anomalies`, `tripwire`, `budgets`, `forecasts`",
        "fingerprint": "names one finding for as long as it lasts",
        "kind": "of a finding: `spike`, `step`, `drift`, `new`, `drop`; of a first spend: `account`, `service`,"
        " `region`",
        "channel": "`name` in `notify.channels`; `NAME/SOURCE` is a source's own bot, `email:…` what a budget names",
        "version": "version of cloudspend",
        "python_version": "version of Python that runs it",
    }
)
"""What each label of the catalogue holds."""


def metrics() -> str:
    """Every family of the catalogue."""
    used = {label for spec in CATALOG.values() for label in spec.labels}
    stored = [spec for spec in CATALOG.values() if not spec.live and not spec.history]
    live = [spec for spec in CATALOG.values() if spec.live]
    written = [spec for spec in CATALOG.values() if spec.history]
    return page(
        "Metrics",
        "exporter/metrics/catalog.py",
        "Everything that `/metrics` says. `process_*` and `python_info` of the Python client stand beside it.",
        "Money is a gauge: credits, refunds and restatements make it fall"
        " ([why](../explanation/why-gauges.md)). `rate`, `increase` and `sum_over_time` do not fit it; the recording"
        " rules of [alerts.md](alerts.md) have the deltas and hourly rates. Days and months are UTC."
        " `sum by (currency)` over any one money family means something; over two of them it does not.",
        "## Labels",
        table(("label", "holds"), [(f"`{name}`", LABELS[name]) for name in LABELS if name in used]),
        "No label is empty.",
        "## From the bill",
        "Rendered by the worker after a poll, and when a month begins. They are withdrawn when the last good poll of"
        " their source is older than its `max_age`.",
        *map(family, stored),
        "## Live",
        "Written by the daemon from its state file at each change, so a worker that dies cannot leave"
        " `cloudspend_up 1` behind. Counters survive restarts.",
        *map(family, live),
        "## History",
        "Never part of a scrape: `cloudspend history` writes it with the times of its days, into a file for promtool or"
        " over remote write ([a year of history](../how-to/a-year-of-history.md),"
        " [how to add it up](../how-to/query-costs.md)).",
        *map(family, written),
        "## Values of `reason`",
        "Of `cloudspend_source_failed` and `cloudspend_source_poll_failures_total`:",
        table(("reason", "means"), [(f"[`{word}`](../runbooks.md#{word})", text) for word, text in reasons().items()]),
        f"Of `cloudspend_exporter_worker_failures_total`: {', '.join(f'`{word}`' for word in WORKER_FAILURES)};"
        " [what to do](../runbooks.md#cloudspendworkerfailing).",
        "Of `cloudspend_exporter_notification_failures_total`:",
        table(
            ("reason", "means"),
            [(f"[`{word}`](../runbooks.md#a-channel-says-{word})", text) for word, text in troubles().items()],
        ),
    )


def family(spec: Spec) -> str:
    """One family: its help, and what a query must know of it."""
    labels = ", ".join(f"`{label}`" for label in spec.labels) or "none"
    unit = {"money": "amount in `currency`", "": "count" if spec.type == "counter" else "number"}.get(
        spec.unit, spec.unit
    )
    return f"### `{spec.name}`\n\n{spec.help}\n\n{spec.type}, {unit}. Labels: {labels}."


def reasons() -> dict[str, str]:
    """Every value of `reason` of a source → the docstring of its error class or constant."""
    found = {
        kind.reason: one_line(inspect.getdoc(kind) or "")
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SourceError) and kind is not errors.SourceError
    }
    body = ast.parse(inspect.getsource(errors)).body
    for statement, below in itertools.pairwise(body):
        match statement, below:
            case ast.Assign(value=ast.Constant(value=str(word))), ast.Expr(value=ast.Constant(value=str(text))):
                found[word] = one_line(text)
    return {word: found[word] for word in errors.REASONS}


def troubles() -> dict[str, str]:
    """Every value of `reason` of a notification → the docstring of its error class or constant."""
    kinds = (errors.Refused, errors.Rejected, errors.TooMany, errors.Unreachable)
    found = {kind.reason: one_line(inspect.getdoc(kind) or "") for kind in kinds}
    found[errors.EXPIRED] = "Nobody took the message for so long that it was given up."
    return {word: found[word] for word in errors.NOTIFY_REASONS}


def commands() -> str:
    """Every command and its options."""
    return page(
        "Command line",
        "exporter/cli/",
        "Data goes to stdout, talk to stderr. Exit code 0: done; 1: found something wrong; 2: used wrongly.",
        "`CLOUDSPEND_NOW=2024-03-15T12:00:00Z` shifts the clock that decides which days there are;"
        " `CLOUDSPEND_NOW=2024-03-15T12:00:00Z,frozen` also stops it, for the commands that end by themselves.",
        *map(command, walk(click.Context(cli, info_name="cloudspend", **cli.context_settings))),
    )


def walk(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it."""
    yield context
    for name, one in getattr(context.command, "commands", {}).items():
        yield from walk(click.Context(one, parent=context, info_name=name))


def command(context: click.Context) -> str:
    """Usage, help and options of one command."""
    path, one = context.command_path, context.command
    words, *paragraphs = inspect.cleandoc(one.help or "").split("\n\n")
    examples = [each.removeprefix("\b\n") for each in paragraphs if each.startswith("\b")]
    talk = [one_line(each) for each in (words, *paragraphs) if not each.startswith("\b")]
    usage = " ".join([path, *one.collect_usage_pieces(context)])
    options = [each.get_help_record(context) for each in one.get_params(context)]
    return "\n\n".join(
        [
            f"## {path}",
            *talk,
            fenced("text", usage),
            *option_table(options),
            *(f"Examples:\n\n{fenced('sh', each)}" for each in examples),
        ]
    )


def option_table(options: Iterable[tuple[str, str] | None]) -> list[str]:
    """The options that there are, as a table."""
    rows = [(f"`{cell(names)}`", cell(text)) for names, text in filter(None, options)]
    return [table(("option", "means"), rows)] if rows else []


def check_plugin() -> str:
    """Every check of the plugin and its options."""
    sections = []
    for name, what in checks.CHECKS.items():
        sections += [f"## {name}", f"Checks {what}.", *option_table(checks.described(name))]
    return page(
        "The check plugin",
        "exporter/checks/options.py",
        "`check_cloudspend CHECK [OPTIONS]`, or `cloudspend check`. Exit code 0: OK; 1: WARNING; 2: CRITICAL; 3:"
        " UNKNOWN, also for a mistake in the options, and for `--help` and `--version`."
        " [Check with Icinga or Nagios](../how-to/check-with-icinga.md) says what each state means.",
        "The first line ends with performance data, `'label'=value;warning;critical;minimum;`. Amounts have no unit:"
        " the currency is in the label.",
        table(
            ("range", "alerts where a value is"),
            [
                ("`10`", "below 0 or above 10"),
                ("`10:`", "below 10"),
                ("`~:10`", "above 10"),
                ("`10:20`", "below 10 or above 20"),
                ("`@10:20`", "from 10 to 20, both included"),
            ],
        ),
        "Without a check the options are those of `threshold`, where `--threshold` is another word for `--warning`.",
        *sections,
    )


def configuration() -> str:
    """Every key of the configuration file."""
    schema: Any = json_schema(BuiltIn())
    parts = schema["$defs"]
    sections = []
    for key, value in schema["properties"].items():
        if key != "sources":
            sections += section(key, value, parts)
    source = parts["SourceSettings"]
    branches = {branch["if"]["properties"]["provider"]["const"]: branch["then"] for branch in source["allOf"]}
    return page(
        "Configuration",
        "exporter/config/schema.py and the options of each provider",
        "One YAML file, `./cloudspend.yml` unless `--config` or `CLOUDSPEND_CONFIG` names another. It is checked whole"
        " before anything starts: `cloudspend config check` names every mistake with its line. Editors complete it by"
        " [`config.schema.json`](../../config.schema.json).",
        "## Values",
        table(
            ("written", "means"),
            [
                ("`90s`, `8h`, `1h30m`, `7d`", "duration: whole days, hours, minutes, seconds"),
                ("`512MB`, `1.5GiB`", "size"),
                ("`${NAME}`", "the environment variable NAME, which must be set; in values, not in keys"),
                ("`${NAME:-default}`", "the same, or `default` where it is unset or empty; `$${` stands for `${`"),
                ("`token_file: PATH`", "in place of any secret `token`: the secret is what the file holds"),
                ("`./bills`", "relative paths are relative to the folder of the configuration file"),
            ],
        ),
        *sections,
        f"## sources\n\n{schema['properties']['sources']['description']} {source['description']}",
        keys(source, source["required"]),
        *(provider(name, branches[name]) for name in providers.BUILTIN),
        f"## Example\n\nEvery key, as [`config.example.yml`](../../config.example.yml) has it:\n\n"
        f"{fenced('yaml', (ROOT / 'config.example.yml').read_text().rstrip())}",
    )


def section(path: str, value: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a mapping or of each of a list of mappings, and below them those of the mappings within."""
    lists = [one.get("items", {}) for one in (value, *value.get("anyOf", ()))]
    within = (one for given in (value, *lists) for one in (given, *given.get("anyOf", ())))
    for name in dict.fromkeys(one["$ref"].rpartition("/")[2] for one in within if "$ref" in one):
        part = parts[name]
        if "properties" not in part:
            continue
        level = "##" if "." not in path else "###"
        yield f"{level} {path}\n\n{part['description']}\n\n{keys(part, part.get('required', ()))}"
        for key, inner in part["properties"].items():
            yield from section(f"{path}.{key}", inner, parts)
    yield from choices(path, value.get("items", {}), parts)


def choices(path: str, value: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """The keys of mappings of several types: first those that all have, then those of each type."""
    found = [parts[one["$ref"].rpartition("/")[2]] for one in value.get("oneOf", ())]
    if not found:
        return
    common = [key for key in found[0]["properties"] if all(key in part["properties"] for part in found)]
    types = [kind(part["properties"]["type"]).strip("`") for part in found]
    shared = {key: found[0]["properties"][key] for key in common}
    shared |= {"type": {"enum": types, "description": "Which kind it is; each has keys of its own."}}
    yield f"### {path}\n\nThe keys of each.\n\n{keys({'properties': shared}, found[0]['required'])}"
    for name, part in zip(types, found, strict=True):
        own = {key: one for key, one in part["properties"].items() if key not in common}
        body = keys({"properties": own}, part.get("required", ())) if own else "No keys of its own."
        yield f"#### {path}: {name}\n\n{part['description']}\n\n{body}"


def provider(name: str, options: Mapping[str, Any]) -> str:
    """One provider: what it reads, its options, its defaults."""
    spec = providers.spec(name)
    module = sys.modules[spec.options.__module__]
    own = {key: value for key, value in options["properties"].items() if key not in SourceSettings.COMMON}
    first = f"{duration_text(spec.history)} back" if spec.history else "all there is, as every poll"
    facts = [
        ("polled every", f"`{duration_text(spec.poll_every)}`"),
        ("settles after", f"`{duration_text(spec.settles_after)}`"),
        ("the first poll asks", first),
        ("`provider` label", f"`{spec.label}`" if spec.label else "each charge names its own"),
        *([("needs", ", ".join(spec.permissions))] if spec.permissions else []),
    ]
    return "\n\n".join(
        [
            f"### {name}",
            one_line((module.__doc__ or "").split("\n\n")[0]),
            keys({"properties": own}, options.get("required", ())) if own else "No options of its own.",
            table(("default", ""), facts),
        ]
    )


def keys(part: Mapping[str, Any], required: Iterable[str]) -> str:
    """The keys of a mapping as a table."""
    needed = set(required)
    rows = [
        (
            f"`{key}`",
            kind(value),
            "required" if key in needed else default(value),
            cell(value.get("description", "")),
        )
        for key, value in part["properties"].items()
    ]
    return table(("key", "value", "default", "means"), rows)


def default(value: Mapping[str, Any]) -> str:
    """What counts where a key is not given."""
    if "default" not in value:
        return "–"
    given = value["default"]
    return f"`{given if isinstance(given, str) else json.dumps(given)}`"


def kind(value: Mapping[str, Any]) -> str:
    """What may stand behind a key, in a word or two."""
    if "anyOf" in value:
        words = [kind(one) for one in value["anyOf"] if "$ref" not in one and one.get("type") != "null"]
        return " or ".join(words) or "mapping"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    patterns = {TypeAdapter(type_).json_schema()["pattern"]: word for type_, word in _KINDS}
    if value.get("pattern") in patterns:
        return patterns[value["pattern"]]
    if value.get("type") == "array":
        return f"list of {kind(value['items'])}s"
    if "$ref" in value or "oneOf" in value:
        return "mapping"
    low = f" from {value['minimum']}" if "minimum" in value else ""
    word: str = value["type"]
    return {"integer": "number", "string": "text"}.get(word, word) + low


_KINDS: tuple[tuple[Any, str], ...] = ((Duration, "duration"), (MemorySize, "size"), (Slug, "name"))


def alerts() -> str:
    """Every alert and recording rule that ships."""
    alerting, recording = [], []
    for path in sorted(RULES.glob("*.yml")):
        reasoning = comments(path)
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    alerting.append(alert(rule, reasoning.get(rule["alert"], "")))
                else:
                    recording.append(f"### `{rule['record']}`\n\n{fenced('promql', inspect.cleandoc(rule['expr']))}")
    return page(
        "Alerts and recording rules",
        "alertmanager/rules/*.yml",
        "Prometheus loads them by `rule_files` of [`prometheus.yml`](../../prometheus.yml). Each alert links to its"
        " heading in the [runbooks](../runbooks.md). A promtool test fires each alert and keeps it quiet:"
        " `promtool test rules tests/rules/*.test.yml`.",
        "## Alerts",
        *alerting,
        "## Recording rules",
        "`level:metric:operations`: the level names the labels of the bill that are left. `currency` always is.",
        *recording,
    )


def alert(rule: Mapping[str, Any], reasoning: str) -> str:
    """One alert: when it fires, how long it waits, what it says."""
    said = rule["annotations"]
    runbook = f"[Runbook](../runbooks.md#{said['runbook_url'].rpartition('#')[2]})."
    wait = f"after `{rule['for']}`" if "for" in rule else "at once"
    return "\n\n".join(
        [
            f"### {rule['alert']}",
            f"{template(said['summary'])} Severity `{rule['labels']['severity']}`, fires {wait}. {runbook}",
            fenced("promql", inspect.cleandoc(rule["expr"])),
            *([f"Why these numbers: {reasoning}"] if reasoning else []),
        ]
    )


def comments(path: Path) -> dict[str, str]:
    """Alert → the comment that stands directly above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in path.read_text().splitlines():
        words = line.strip()
        if words.startswith("#"):
            above.append(words.lstrip("# "))
            continue
        if words.startswith("- alert: "):
            found[words.removeprefix("- alert: ")] = " ".join(above)
        above = []
    return found


def template(words: str) -> str:
    """An annotation for people: `{{ $labels.source }}` is `SOURCE`."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: match[1].upper(), words)


def schema() -> str:
    """The JSON schema of the configuration file, for editors."""
    return json.dumps(json_schema(BuiltIn()), indent=2, ensure_ascii=False) + "\n"


class BuiltIn:
    """The providers of this repository, whatever else is installed beside it."""

    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(sorted(providers.BUILTIN))

    def options(self, name: str) -> type[BaseModel]:
        """The options of one."""
        found: type[BaseModel] = providers.spec(name).options
        return found


def page(title: str, origin: str, *parts: str) -> str:
    """A generated page; `origin` is where to change what it says."""
    note = f"<!-- Written by scripts/docs.py from {origin}: change that, then run `make docs`. -->"
    return "\n\n".join([note, f"# {title}", "*Reference, generated from the code.*", *parts]) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(language: str, code: str) -> str:
    """A code block."""
    return f"```{language}\n{code}\n```"


def cell(words: str) -> str:
    """Text for a table: one line, no bars."""
    return one_line(words).replace("|", "\\|")


def one_line(words: str) -> str:
    """Text without line ends."""
    return " ".join(words.split())


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "config.schema.json": schema,
        "docs/reference/alerts.md": alerts,
        "docs/reference/check.md": check_plugin,
        "docs/reference/cli.md": commands,
        "docs/reference/configuration.md": configuration,
        "docs/reference/metrics.md": metrics,
    }
)
"""File, from the root of the repository → what makes its content."""


def stale() -> list[str]:
    """The files that differ from what the code says."""
    paths = {name: ROOT / name for name in PAGES}
    return [name for name, path in paths.items() if not path.exists() or path.read_text() != PAGES[name]()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what is derived from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    check = parser.parse_args().check
    found = stale()
    for name in found:
        print(f"{name}: stale; run make docs" if check else f"wrote {name}", file=sys.stderr)
        if not check:
            (ROOT / name).write_text(PAGES[name]())
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
