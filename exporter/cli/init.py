"""`cloudspend init`: ask for the least that a source needs, say what it takes, and write a configuration."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic.fields import FieldInfo

from exporter import providers
from exporter.cli.plan import planned
from exporter.cli.settings import DEFAULT, one_shot_clock
from exporter.config.describe import descriptions
from exporter.config.load import load
from exporter.config.schema import Config
from exporter.config.shape import secret_keys
from exporter.costs.money import RATIO, text
from exporter.errors import ConfigError
from exporter.polling import sources
from exporter.providers import ProviderSpec

_TRIES = 3
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A source as it will stand in the file. Values are YAML."""

    spec: ProviderSpec[Any]
    name: str
    given: Mapping[str, str]

    def text(self) -> str:
        """The whole file. Options that were not given stand there as comments."""
        lines = [
            "# Every key there is: config.example.yml and docs/reference/configuration.md",
            "store: {path: ./cloudspend-data}",
            "sources:",
            f"  - name: {self.name}",
            f"    provider: {self.spec.name}",
            *(f"    {key}: {value}" for key, value in self.given.items()),
        ]
        told = descriptions(self.spec.options)
        left = [key for key in self.spec.options.model_fields if key not in self.given]
        lines += [f"    # {key}:{' ' * max(1, 22 - len(key))}# {told.get(key, '')}".rstrip() for key in left]
        return "\n".join(lines) + "\n"

    def loaded(self, folder: Path) -> Config:
        """The file, checked as `config check` does. ConfigError with every mistake."""
        named = re.findall(r"\$\{(\w+)\}", self.text())
        return load(
            self.text(), sources.Registry(), folder=folder, environment=dict.fromkeys(named, "unset") | dict(os.environ)
        )


@click.command()
@click.option("--provider", help="Which kind of bill; asked for unless given.")
@click.option("--name", help="The `source` label; asked for unless given.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the provider. May be repeated.")
@click.option("--output", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="Where to write.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(provider: str | None, name: str | None, pairs: tuple[str, ...], output: Path, *, force: bool) -> None:
    """Write a configuration for one source, with the smallest policy it needs and what asking costs.

    Asks nothing that is given by options, and no cloud. Secrets are not asked for: the file names the environment
    variables that they are to come from.

    \b
    cloudspend init
    cloudspend init --provider focus --name history --set path=./bills
    """
    if output.exists() and not force:
        raise click.UsageError(f"{output} is there already. hint: --force writes over it, --output names another")
    draft, config = _checked(provider, name, _pairs(pairs), output.absolute().parent)
    output.write_text(draft.text(), encoding="utf-8")
    click.echo(f"wrote {output}", err=True)
    for line in _told(draft, config, output):
        click.echo(line)


def _checked(provider: str | None, name: str | None, given: Mapping[str, str], folder: Path) -> tuple[_Draft, Config]:
    """The draft that the options and answers make, once it holds."""
    spec = _spec(provider or _ask_provider())
    named = name or _ask("name: the `source` label", spec.label or spec.name.replace("_", "-"))
    for attempt in range(_TRIES):
        draft = _Draft(spec, named, _options(spec, named, given))
        try:
            config = draft.loaded(folder)
            sources.resolve(config)
        except ConfigError as error:
            if attempt + 1 == _TRIES or not _can_ask() or _required(spec) <= given.keys():
                raise
            click.echo(str(error), err=True)
            continue
        return draft, config
    raise AssertionError("the last try returns or raises")


def _spec(name: str) -> ProviderSpec[Any]:
    try:
        return providers.spec(name)
    except ConfigError as error:
        raise click.BadParameter(str(error.problems[0]), param_hint="--provider") from None


def _options(spec: ProviderSpec[Any], name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Key → value as YAML: what was given, then answers for what is required; secrets as references."""
    found = {key: _yaml(spec.options.model_fields.get(key), value) for key, value in given.items()}
    told = descriptions(spec.options)
    for key in spec.options.model_fields:
        if key in found or key not in _required(spec):
            continue
        if key in secret_keys(spec.options):
            found[key] = f"${{{name.upper().replace('-', '_').replace('.', '_')}_{key.upper()}}}"
        else:
            found[key] = _yaml(spec.options.model_fields[key], _ask(f"{key}: {told.get(key, '')}".rstrip(": ")))
    return found


def _required(spec: ProviderSpec[Any]) -> set[str]:
    return {key for key, field in spec.options.model_fields.items() if field.is_required()}


def _ask_provider() -> str:
    if _can_ask():
        for name in providers.names():
            click.echo(f"  {name:<20} {_summary(name)}", err=True)
    return _ask("provider: which kind of bill")


def _ask(question: str, default: str | None = None) -> str:
    if not _can_ask():
        if default is not None:
            return default
        key = question.partition(":")[0]
        hint = "--provider" if key == "provider" else f"--set {key}=…"
        raise click.UsageError(f"{key} is needed and there is nobody to ask. hint: give {hint}")
    answer: str = click.prompt(question, default=default, err=True)
    return answer


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if not re.fullmatch(r"\w+=.*", pair, re.DOTALL):
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
    return dict(pair.split("=", 1) for pair in pairs)


def _yaml(field: FieldInfo | None, answer: str) -> str:
    """An answer as it stands in the file: text as text, anything else as the YAML it is."""
    if re.fullmatch(r"\$\{\w+(:-[^}]*)?\}", answer):
        return answer
    plain = field is None or field.annotation is str or field.annotation == (str | None)
    value = answer if plain else yaml.safe_load(answer)
    written: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return written.removesuffix("\n").removesuffix("\n...")


def _told(draft: _Draft, config: Config, output: Path) -> Iterator[str]:
    """What it takes, and what to do next."""
    spec, options = draft.spec, config.sources[0].options
    if spec.policy:
        yield f"\nThe smallest policy that it needs:\n\n{spec.policy(options)}"
    elif spec.permissions:
        yield f"\nIt needs: {'; '.join(spec.permissions)}"
    yield f"\n{_price(config)}"
    unset = [name for name in re.findall(r"\$\{(\w+)\}", draft.text()) if name not in os.environ]
    if unset:
        yield f"\nSet before starting: {', '.join(unset)}"
    named = "" if output == Path(DEFAULT) else f" --config {output}"
    yield f"\nNext:\n  cloudspend test-access{named}\n  cloudspend serve{named}"


def _price(config: Config) -> str:
    """What asking costs, as `cloudspend plan` has it; nobody is asked."""
    [plan] = planned(config, one_shot_clock().now())
    if plan.total.free:
        return "Asking is free."
    usd = plan.total.usd.quantize(_CENT, context=RATIO)
    price = f"about {text(usd)} USD" if usd else f"less than {_CENT} USD"
    return (
        f"Asking costs {price} a month ({plan.polls} polls, {plan.total.requests} calls);"
        " `cloudspend plan` shows how, `api_budget` caps it."
    )


def _summary(name: str) -> str:
    """The first sentence of the provider's module."""
    module = sys.modules[providers.spec(name).options.__module__]
    return " ".join((module.__doc__ or "").split("\n\n")[0].split())
