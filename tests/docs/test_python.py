"""The page on Python runs as it stands: each block prints what the page says, in one process after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from exporter.config import load
from exporter.polling.sources import Registry, resolve
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "use-from-python.md"
SHEET = ROOT / "docs" / "how-to" / "spreadsheet-configuration.md"
NOW = "2024-03-15T12:00:00Z,frozen"

_SHOWN = re.compile(r"^```python\n(?P<code>.*?)^```\n\n```text\n(?P<said>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_what_the_page_says_is_what_python_prints(tmp_path: Path, update_golden: bool) -> None:
    text = PAGE.read_text()
    [configuration] = [block.code for block in blocks(text) if block.language == "yaml"]
    (tmp_path / "cloudspend.yml").write_text(configuration)
    shown = list(_SHOWN.finditer(text))
    assert len(shown) == text.count("```python") == 3
    came = [printed(match["code"], tmp_path) for match in shown]
    if update_golden:
        answers = iter(came)
        PAGE.write_text(_SHOWN.sub(lambda match: f"```python\n{match['code']}```\n\n```text\n{next(answers)}```", text))
        return
    assert came == [match["said"] for match in shown]
    assert [path.name for path in (tmp_path / "hours").iterdir()] == ["demo_2024-03-15-12.json"]


def printed(code: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CLOUDSPEND_NOW": NOW}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_on_the_page_is_a_configuration() -> None:
    [table] = [block.code for block in blocks(SHEET.read_text()) if block.language == "csv"]
    environment = {name: f"value-of-{name}" for name in re.findall(r"\$\{(\w+)\}", table)}
    environment |= {name: "https://bot.example/hook" for name in environment if name.endswith("_BOT")}
    config = load(table, Registry(), file="accounts.csv", folder=ROOT, environment=environment)
    assert [source.spec.name for source in resolve(config)] == ["aws_cost_explorer", "aws_cost_explorer", "focus"]
    assert [source.display_name for source in config.sources] == ["Production", "Shop in China", None]
