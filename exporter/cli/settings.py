"""Which configuration a command runs with: a file, or the built-in demo."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from exporter.clock import Clock
from exporter.config.load import load, read
from exporter.config.schema import Config
from exporter.polling.sources import Registry

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = "cloudspend.yml"
ENVIRONMENT = "CLOUDSPEND_CONFIG"

DATE = click.DateTime(["%Y-%m-%d"])
"""A UTC day on the command line."""

DEMO = """\
store: {path: ./cloudspend-demo}
sources:
  - {name: demo, provider: demo, tags: [team, env]}
  - {name: focus-sample, provider: demo_focus, hours: true}
"""


def configuration(command: F) -> F:
    """Add `--config` and `--demo` to a command."""
    command = click.option(
        "--demo", is_flag=True, help="Use an invented estate and a real sample bill, kept in ./cloudspend-demo."
    )(command)
    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        envvar=ENVIRONMENT,
        show_envvar=True,
        help=f"Configuration file.  [default: ./{DEFAULT}]",
    )(command)


def chosen(file: Path | None, *, demo: bool) -> Config:
    """The configuration that the options mean. ConfigError with every mistake in it."""
    if demo and file is None:
        return load(DEMO, Registry(), file="demo", folder=Path.cwd(), environment={})
    return read(file or Path(DEFAULT), Registry(), os.environ)


def one_shot_clock() -> Clock:
    """The clock of a command that ends by itself: it may stand still."""
    return Clock.from_environment(may_freeze=True)
