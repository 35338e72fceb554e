"""The tags of a FOCUS charge, as SQL: the asked keys only, from a map, from a list of pairs, or from JSON text."""

from __future__ import annotations

import re

from exporter.costs.engine import literal

NO_TAGS = "CAST(MAP {} AS MAP(VARCHAR, VARCHAR))"


def mapped(keys: tuple[str, ...]) -> str:
    """A map of the asked keys that a charge has, from the columns `t0`, `t1`, … with their values."""
    entries = ", ".join(
        f"{{'k': {literal(key)}, 'v': t{i}}}" for key, i in sorted(zip(keys, range(len(keys)), strict=True))
    )
    return f"map_from_entries(list_filter([{entries}], lambda tag: tag.v IS NOT NULL))"


def value(column: str, type_: str, given: str, key: str) -> str:
    """The value of one key. `column` is the cell as it is, `given` its text, null where it says nothing.

    The key matches with spaces around it, since real bills carry both `org` and ` org`; the exact key goes first.
    """
    if type_.startswith("MAP"):
        loose = f"list_filter(map_keys({column}), lambda k: trim(k) = {literal(key.strip())})[1]"
        return f"coalesce(CAST({column}[{literal(key)}] AS VARCHAR), CAST({column}[{loose}] AS VARCHAR))"
    if type_.startswith("STRUCT") and type_.endswith("[]"):  # Google's labels: [{key, value}, …]
        pairs = [
            f"CAST(list_filter({column}, lambda tag: {match})[1].value AS VARCHAR)"
            for match in (f"tag.key = {literal(key)}", f"trim(tag.key) = {literal(key.strip())}")
        ]
        return f"coalesce({', '.join(pairs)})"
    # Azure's native exports leave out the outer braces.
    whole = f"try_cast(CASE WHEN starts_with({given}, '{{') THEN {given} ELSE '{{' || {given} || '}}' END AS JSON)"
    exact = f"json_extract_string({whole}, {literal(_path(key))})"
    # The key as it stands there, spaces and all; JSON's own escapes (\\" and \\\\) stay as they are.
    spaced = re.escape(key.strip().replace("\\", "\\\\").replace('"', '\\"'))
    pattern = literal(rf'"(\s*{spaced}\s*)"\s*:')
    there = f"regexp_extract({given}, {pattern}, 1)"
    near = " OR ".join(f"contains({given}, {literal(text)})" for text in (f" {key.strip()}", f"{key.strip()} "))
    loose = f"json_extract_string({whole}, '$.\"' || {there} || '\"')"
    # In steps, so that a row pays for the search only where its text looks as if there were something to find.
    return f"CASE WHEN {exact} IS NOT NULL THEN {exact} WHEN ({near}) AND {there} <> '' THEN {loose} END"


def _path(key: str) -> str:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{quoted}"'
