"""The page at `/`: what is running, from where, how fresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from exporter import __version__

_PATHS = ("/metrics", "/config", "/-/healthy", "/-/ready")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cloudspend</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin-bottom: 0; }}
table {{ border-collapse: collapse; width: 100%; margin: 1.5rem 0; }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.up {{ color: #1a7f37; }} .down {{ color: #cf222e; }} .wait {{ color: #9a6700; }}
small {{ opacity: .75; }}
</style>
</head>
<body>
<h1>cloudspend</h1>
<small>version {version}</small>
<p>{links}</p>
{notice}<table>
<thead><tr><th>source</th><th>provider</th><th>state</th><th>settled until</th><th>last success</th><th>next poll</th>
<th>rows</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p><small>All times UTC. A day settles when its source no longer moves it.</small></p>
</body>
</html>
"""


def page(facts: Sequence[dict[str, Any]], notice: str | None = None) -> str:
    """The landing page over `Board.facts`. `notice` stands above the table."""
    return _PAGE.format(
        version=escape(__version__),
        links=" · ".join(f'<a href="{path}">{path}</a>' for path in _PATHS),
        notice=f'<p class="down">{escape(notice)}</p>\n' if notice else "",
        rows="\n".join(map(_row, facts)),
    )


def standing(fact: dict[str, Any]) -> str:
    """What a source waits for, in words: for the page and for /-/ready."""
    if since := fact["polling_since"]:
        return f"waiting for its first poll, which runs since {_minute(since)} UTC"
    return f"waiting for its first poll, due {_minute(fact['next_poll'])} UTC"


def _row(fact: dict[str, Any]) -> str:
    if fact["up"]:
        state = '<span class="up">up</span>'
    elif fact["failed"]:
        reason, message = escape(fact["failed"]), escape(fact["message"] or "")
        hint = f"<br><small>{escape(fact['hint'])}</small>" if fact["hint"] else ""
        state = f'<span class="down">{reason}</span><br><small>{message}</small>{hint}'
    else:
        state = f'<span class="wait">{standing(fact)}</span>'
    settled = str(fact["settled"] or "–")[:16].replace("T", " ")
    cells = [escape(fact["source"]), escape(fact["provider"]), state, settled]
    cells += [_minute(at) if at else "–" for at in (fact["last_success"], fact["next_poll"])]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + f'<td class="n">{fact["rows"]:,}</td></tr>'


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
