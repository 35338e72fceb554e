"""What the pages about notifications show is what the exporter takes and sends."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import load
from exporter.notify import connect
from exporter.notify.lanes import lanes
from exporter.polling.sources import Registry
from exporter.testing.doubles import WebhookDouble
from exporter.testing.notifier import sample

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGES = sorted(HOW_TO.glob("notify-*.md"))
ENVIRONMENT = {
    **dict.fromkeys(("FEISHU_URL", "FEISHU_AWS_URL"), "https://open.feishu.cn/open-apis/bot/v2/hook/x"),
    **dict.fromkeys(("FEISHU_SECRET", "FEISHU_AWS_SECRET", "HOOK_SECRET", "ICINGA_PASSWORD"), "hush-hush"),
    "APPRISE_URL": "json://localhost/x",
}


def blocks(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)):
            found.append(pytest.param(block, id=f"{page.stem}-{number}"))
    return found


@pytest.mark.parametrize("block", [each for each in blocks("yaml") if "receivers:" not in each.values[0]])
def test_every_configuration_on_a_page_is_one(block: str, tmp_path: Path) -> None:
    for name in set(re.findall(r"/run/secrets/([\w-]+)", block)):
        (tmp_path / name).write_text("https://hooks.slack.com/services/x")
    sources = "" if "sources:\n" in block else "sources: [{name: demo, provider: demo}]\n"
    text = block.replace("/run/secrets/", f"{tmp_path}/") + sources
    config = load(text, Registry(), folder=tmp_path, environment=ENVIRONMENT)
    assert lanes(config).named
    for settings in lanes(config).named.values():
        connect(settings)


def test_the_receiver_on_the_page_is_that_of_the_shipped_file() -> None:
    [block] = [each.values[0] for each in blocks("yaml") if "receivers:" in each.values[0]]
    shipped = yaml.safe_load((HOW_TO.parents[1] / "alertmanager" / "alertmanager.yml").read_text())
    [receiver] = yaml.safe_load(block)["receivers"]
    [same] = [each for each in shipped["receivers"] if each["name"] == receiver["name"]]
    assert receiver["webhook_configs"][0]["url"] == same["webhook_configs"][0]["url"]


def test_the_look_at_a_signature_on_the_page_takes_ours_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = [each.values[0] for each in blocks("python")]
    room: dict[str, Any] = {}
    exec(block, room)  # noqa: S102  it stands in our own page
    settings = {"name": "hook", "type": "webhook", "secret": "hush-hush"}
    with WebhookDouble() as hook:
        text = yaml.safe_dump(
            {
                "sources": [{"name": "demo", "provider": "demo"}],
                "notify": {"channels": [{**settings, "url": hook.url}]},
            }
        )
        config = load(text, Registry(), folder=Path(), environment={})
        connect(config.notify.channels[0]).send(sample())
    [request] = hook.taken
    headers = {
        "X-Cloudspend-" + name: request.headers[f"x-cloudspend-{name.lower()}"] for name in ("Timestamp", "Signature")
    }
    is_ours = room["is_ours"]
    assert is_ours("hush-hush", headers, request.body)
    assert not is_ours("another", headers, request.body)
    assert not is_ours("hush-hush", headers, request.body + b" ")
    late = time.time() + 400
    monkeypatch.setattr(time, "time", lambda: late)
    assert not is_ours("hush-hush", headers, request.body)
