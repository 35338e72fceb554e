"""From the text of a configuration file to a `Config`, or to every problem in it at once; and back for the worker.

YAML or CSV ─ parse ─ ${ENV} ─ budgets.d ─ token_file ─ models ─→ Config ─ dump ─→ worker's stdin ─ restore ─→ Config
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from exporter.config import budget_files, secrets, sheet
from exporter.config.document import Document, parse
from exporter.config.environment import substitute
from exporter.config.problems import Translator
from exporter.config.schema import Config, ProviderModels
from exporter.config.shape import shape_of
from exporter.errors import ConfigError, Problem

EXAMPLE = "start from config.example.yml"


def read(path: Path, models: ProviderModels, environment: Mapping[str, str]) -> Config:
    """Read a configuration file. ConfigError for one that cannot be read, and as `load`."""
    hint = None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        message, text = "is not UTF-8 text", None
    except FileNotFoundError:
        message, text, hint = "there is no such file", None, f"name another with --config, or {EXAMPLE}"
    except OSError as error:
        message, text = f"cannot be read: {error.strerror or 'no reason given'}", None
    if text is None:
        raise ConfigError((Problem("", message, hint=hint),), str(path))
    return load(text, models, file=str(path), folder=path.parent, environment=environment)


def load(
    text: str,
    models: ProviderModels,
    *,
    file: str = "configuration",
    folder: Path,
    environment: Mapping[str, str],
    instead: budget_files.Instead = MappingProxyType({}),
) -> Config:
    """Read a configuration: YAML, or CSV where `file` ends in .csv; references to `environment`, secrets from files,
    relative paths from `folder`.

    `instead`: files of budgets as they would be, to see whether they could be.

    ConfigError with every problem there is, in the order of the file; `file` is its name in messages. The log of this
    process masks the secrets from now on.
    """
    folder = folder.absolute()
    given = sheet.parse(text, file, models) if file.lower().endswith(sheet.SUFFIX) else parse(text, file)
    document = substitute(given, environment)
    if not isinstance(document.value, dict):
        raise ConfigError(tuple(one.problem for one in (*document.found, *_no_mapping(document))), file)
    document = budget_files.gathered(document, folder, environment, instead)
    document = secrets.read_files(document, shape_of(document.value, models), folder)
    return _checked(document, models, folder, file)


def restore(text: str, models: ProviderModels) -> Config:
    """The configuration that `dump` wrote, with its secrets known to this process' log. ConfigError as `load`."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError((Problem("", "is no configuration that was handed over"),), "standard input")
    return _checked(Document(value), models, None, "standard input")


def dump(config: Config) -> str:
    """The whole configuration as JSON, **secrets included**, for a worker's standard input and nothing else."""
    return json.dumps(_plain(config.model_dump(by_alias=True), lambda secret: secret), ensure_ascii=False)


def masked(config: Config) -> dict[str, Any]:
    """The whole configuration for people, as it would stand in a file, each secret as `<secret>`."""
    shown: dict[str, Any] = secrets.masked(_plain(config.model_dump(by_alias=True), lambda _: secrets.MASK))
    return shown


def _checked(document: Document, models: ProviderModels, folder: Path | None, file: str) -> Config:
    shape = shape_of(document.value, models)
    translator = Translator(document, shape, secrets.known(document, shape))
    found = [*document.found, *translator.repeated_names()]
    try:
        config = Config.model_validate(document.value, context={"models": models, "folder": folder})
    except ValidationError as error:
        found += translator.problems(error.errors(include_url=False))
    if found:  # outside of the handler: pydantic's error repeats the values
        found.sort(key=lambda one: one.order)
        raise ConfigError(tuple(one.problem for one in found), file)
    return config


def _no_mapping(document: Document) -> tuple[Any, ...]:
    empty = document.value is None
    message = "is empty" if empty else "must be a mapping with keys such as store and sources"
    return () if document.found else (document.problem((), message, EXAMPLE),)


def _plain(value: Any, secret: Callable[[Any], Any]) -> Any:
    """A dumped model as JSON has it, each secret as `secret` writes it."""
    if isinstance(value, dict):
        return {str(_plain(key, secret)): _plain(inner, secret) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, secret) for inner in value]
    if isinstance(value, Secret | SecretStr):
        return secret(value.get_secret_value())
    if isinstance(value, SecretBytes):
        return secret(value.get_secret_value().decode())
    return to_jsonable_python(value)
