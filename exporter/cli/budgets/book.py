"""Budgets in their YAML: created, changed and deleted there, with comments and order kept.

A file is written only once the whole configuration holds with it, and then whole or not at all. What is not part of
the budget stays as it is, byte for byte, wherever YAML allows to tell the two apart (`cut.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.cli.budgets import cut
from exporter.config import budget_files
from exporter.config.budget_files import KEY
from exporter.config.budgets import BudgetSettings
from exporter.config.document import Document, Origin, Place, parse
from exporter.config.environment import substitute
from exporter.config.load import load
from exporter.config.schema import Config, ProviderModels
from exporter.errors import CloudspendError, ConfigError, Problem
from exporter.polling.sources import resolve
from exporter.store.files import make_folder, storing, sync_folder, write_durably

FOLDER = "budgets.d"
"""Beside the configuration: where budgets go that have no place yet."""

Fields = Mapping[str, Any]
"""Key of a budget → its value as YAML has it; None takes the key out."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What was written."""

    config: Config
    """As it is now."""
    path: Path
    """The file that changed; gone where nothing was left in it."""
    watched: bool
    """Whether a running daemon sees it by itself."""


class Book:
    """The budgets of one configuration file."""

    def __init__(self, file: Path, models: ProviderModels, environment: Mapping[str, str]) -> None:
        """ConfigError where the configuration cannot be used as it is, or is a spreadsheet."""
        if file.suffix.lower() == ".csv":
            hint = "name a YAML configuration with --config"
            raise ConfigError((Problem("", "a CSV file holds sources alone", hint=hint),), str(file))
        self._file = file
        self._models = models
        self._environment = environment
        self._text = _read(file)
        self._home = budget_files.folder_of(file, environment)
        if self._home is not None and not self._home.exists():
            with storing(self._home):
                make_folder(self._home)
        self.config = self._loaded(self._text, {})

    def create(self, name: str, fields: Fields) -> Edit:
        """Add a budget: a file of its own in the folder, or an entry of the list. ConfigError where it is wrong."""
        if any(budget.name == name for budget in self.config.budgets):
            raise CloudspendError(f"there is a budget {name!r} already. hint: cloudspend budgets update {name}")
        given = {"name": name, **fields}
        new = {key: given[key] for key in BudgetSettings.model_fields if given.get(key) is not None}
        if self._home is None and self.config.budgets:
            place = (KEY, len(self.config.budgets))
            return self._write(self._file, cut.appended(self._text, place, new), name)
        text, home = self._text, self._home
        if home is None:  # there were none
            home = self._file.parent.absolute() / FOLDER
            text = cut.pointed(self._text, KEY, FOLDER)
        path = home / f"{name}.yml"
        if path.exists():
            raise CloudspendError(f"{path} is there already. hint: give the budget another name")
        return self._write(path, cut.made(new), name, text)

    def update(self, name: str, fields: Fields) -> Edit:
        """Change keys of a budget. ConfigError where it is wrong then; CloudspendError where there is none."""

        def change(budget: MutableMapping[str, Any]) -> None:
            for key, value in fields.items():
                if value is None:
                    budget.pop(key, None)
                elif isinstance(value, Mapping) and isinstance(budget.get(key), MutableMapping):
                    budget[key].clear()
                    budget[key].update(value)
                else:
                    budget[key] = cut.yaml_value(value)

        return self._edit(name, lambda text, place: cut.changed(text, place, change))

    def delete(self, name: str) -> Edit:
        """Take a budget out, and its file where nothing else is in it. CloudspendError where there is none."""
        return self._edit(name, cut.without)

    def _edit(self, name: str, by: Callable[[str, Place], str | None]) -> Edit:
        origin = self._origin(name)
        path = Path(origin.file)
        return self._write(path, by(_read(path), origin.place), name)

    def _origin(self, name: str) -> Origin:
        """Where a budget stands."""
        names = [budget.name for budget in self.config.budgets]
        if name not in names:
            known = f"one of {', '.join(names)}" if names else "there is none yet: cloudspend budgets create"
            raise CloudspendError(f"there is no budget {name!r}. hint: {known}")
        place: Place = (KEY, names.index(name))
        return self._document().elsewhere.get(place, Origin(str(self._file), place))

    def _document(self) -> Document:
        document = substitute(parse(self._text, str(self._file)), self._environment)
        return budget_files.gathered(document, self._file.parent.absolute(), self._environment)

    def _write(self, path: Path, content: str | None, name: str, text: str | None = None) -> Edit:
        """Write `content` to a file of budgets, or to the configuration itself, and `text` to the latter."""
        text = self._text if text is None else text
        mine = path == self._file
        whole = content if mine and content is not None else text
        config = self._loaded(whole, {} if mine else {path: content})
        if _others(config, name) != _others(self.config, name):
            raise CloudspendError(f"{path} cannot be changed without changing more than {name}. hint: edit it by hand")
        with storing(path):
            if not path.parent.exists():
                make_folder(path.parent)
            if content is None:
                path.unlink()
                sync_folder(path.parent)
            else:
                write_durably(path, content.encode())
            if not mine and text != self._text:  # last: it names what is there by now
                write_durably(self._file, text.encode())
        return Edit(config, path, self._home is not None)

    def _loaded(self, text: str, instead: budget_files.Instead) -> Config:
        config = load(
            text,
            self._models,
            file=str(self._file),
            folder=self._file.parent,
            environment=self._environment,
            instead=instead,
        )
        resolve(config)
        return config


def _others(config: Config, name: str) -> Config:
    """All that a configuration says but for one budget."""
    return config.model_copy(update={"budgets": tuple(budget for budget in config.budgets if budget.name != name)})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problem = Problem("", "there is no such file", hint="name another with --config")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("", f"cannot be read: {error}")
    raise ConfigError((problem,), str(path))
