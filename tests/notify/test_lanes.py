"""Which channels a message takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exporter.config import load
from exporter.config.notify import EmailSettings, FeishuSettings, SlackSettings
from exporter.notify.lanes import Lanes, lanes
from exporter.polling.sources import Registry
from exporter.testing.notifier import sample

BOT = {"name": "bot", "type": "feishu", "url": "https://open.feishu.cn/general"}
MAIL = {"name": "mail", "type": "email", "host": "h", "sender": "c@example.com", "recipients": ["a@example.com"]}
OUT = {"name": "out", "type": "log"}


def made(folder: Path, *channels: dict[str, Any], source: dict[str, Any] | None = None, budget: Any = None) -> Lanes:
    whole: dict[str, Any] = {
        "store": {"path": "data"},
        "sources": [
            {"name": "aws-prod", "provider": "demo"} | (source or {}),
            {"name": "other", "provider": "demo_focus"},
        ],
        "notify": {"channels": list(channels)},
    }
    if budget:
        whole["budgets"] = [{"name": "all", "amount": 100, "channels": budget}]
    return lanes(load(json.dumps(whole), Registry(), folder=folder, environment={}))


def test_everybody_hears_everything_unless_told_otherwise(tmp_path: Path) -> None:
    found = made(tmp_path, BOT, OUT)
    assert found.of(sample()) == ("bot", "out")
    assert found.of(sample(severity="info", kind="alert", status="resolved")) == ("bot", "out")


def test_a_channel_takes_what_it_asks_for(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        OUT | {"name": "high", "min_severity": "high"},
        OUT | {"name": "budgets", "kinds": ["budget"]},
        OUT | {"name": "others", "sources": ["other"]},
        OUT | {"name": "begins", "resolved": False},
    )
    assert found.of(sample(severity="high")) == ("high", "begins")
    assert found.of(sample(severity="low", kind="budget", source="")) == ("budgets", "begins")
    assert found.of(sample(severity="low", source="other", status="resolved")) == ("others",)


def test_a_source_with_a_bot_of_its_own_tells_that_one(tmp_path: Path) -> None:
    own = {"webhook_url": "https://open.feishu.cn/own", "webhook_secret": "hush-hush"}
    found = made(tmp_path, BOT, OUT, source=own)
    assert found.of(sample(source="aws-prod")) == ("out", "bot/aws-prod")
    assert found.of(sample(source="other")) == found.of(sample(source="")) == ("bot", "out")
    settings = found.named["bot/aws-prod"]
    assert isinstance(settings, FeishuSettings)
    assert settings.url is not None
    assert settings.secret is not None
    assert settings.url.get_secret_value() == "https://open.feishu.cn/own"
    assert settings.secret.get_secret_value() == "hush-hush"


def test_bots_of_sources_need_no_other_channel(tmp_path: Path) -> None:
    found = made(tmp_path, source={"webhook_url": "https://open.feishu.cn/own"})
    assert found.of(sample(source="aws-prod")) == ("feishu/aws-prod",)
    assert found.of(sample(source="other")) == ()


def test_a_bot_without_an_address_is_there_for_the_sources_alone(tmp_path: Path) -> None:
    pattern = {"name": "bot", "type": "feishu", "min_severity": "high"}
    found = made(tmp_path, pattern, source={"webhook_url": "https://open.feishu.cn/own"})
    assert found.of(sample(source="aws-prod")) == ("bot/aws-prod",)
    assert found.of(sample(source="aws-prod", severity="low")) == found.of(sample(source="other")) == ()


def test_a_budget_names_who_hears_of_it_by_name_or_by_address(tmp_path: Path) -> None:
    asked = ["mail", "log", "email:cfo@example.com", "slack:https://hooks.slack.com/services/x"]
    found = made(tmp_path, MAIL | {"min_severity": "critical"}, OUT, budget=asked)
    shown = tuple(name for name in found.named if name != "out")
    assert shown[:3] == ("mail", "log", "email:cfo@example.com")
    assert "hooks" not in shown[3]
    assert found.of(sample(channels=shown)) == shown
    assert found.of(sample(severity="low")) == ("out",)
    letter, chat = found.named["email:cfo@example.com"], found.named[shown[3]]
    assert isinstance(letter, EmailSettings)
    assert letter.recipients == ("cfo@example.com",)
    assert isinstance(chat, SlackSettings)


def test_a_budget_that_names_nobody_who_is_still_there_is_told_to_everybody(tmp_path: Path) -> None:
    assert made(tmp_path, OUT).of(sample(channels=("gone",))) == ("out",)
