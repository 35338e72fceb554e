"""The table of what must be shown names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def named() -> set[tuple[str, str]]:
    return set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (HERE / "README.md").read_text("utf-8")))


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_table_names_exists() -> None:
    assert len(named()) > 20
    assert {(path, test) for path, test in named() if test not in names_in(ROOT / path)} == set()


def test_every_test_of_this_folder_is_in_the_table() -> None:
    mine = {(f"tests/acceptance/{path.name}", test) for path in HERE.glob("test_*.py") for test in names_in(path)}
    assert {each for each in mine - named() if each[0] != "tests/acceptance/test_readme.py"} == set()
