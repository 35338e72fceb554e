"""What is particular to a channel: the words of its answers, its signature, its templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.config.notify import (
    AppriseSettings,
    FeishuSettings,
    IcingaSettings,
    LogSettings,
    SlackSettings,
    WebhookSettings,
)
from exporter.errors import NotifyError, Refused, Rejected, TooMany, Unreachable
from exporter.notify import connect
from exporter.notify.feishu import LARGEST, body, sign
from exporter.notify.message import Message
from exporter.testing.doubles import HTML, Answer, FeishuDouble, IcingaDouble, SlackDouble, WebhookDouble
from exporter.testing.notifier import HOSTILE, sample

# --- Feishu ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bot() -> Iterator[FeishuDouble]:
    with FeishuDouble("s1gn-secret") as double:
        yield double


def feishu(bot: FeishuDouble, **changes: Any) -> FeishuSettings:
    return FeishuSettings(**{"name": "bot", "type": "feishu", "url": bot.url, "secret": "s1gn-secret"} | changes)


def told(bot: FeishuDouble, answer: Answer | None = None, **changes: Any) -> NotifyError:
    bot.then(*filter(None, [answer]))
    with pytest.raises(NotifyError) as caught:
        connect(feishu(bot, **changes)).send(sample())
    return caught.value


def test_the_signature_of_a_bot_is_the_documented_one() -> None:
    # Made with: printf "" | openssl dgst -sha256 -hmac "$(printf "1599360473\nsecret-of-the-bot")" -binary | base64
    assert sign("secret-of-the-bot", 1599360473) == "2PE4uTmB1h/7dFVGadA1h/B5Q1ATlub+S6wT43bap30="


def test_a_bot_that_wants_another_signature_refuses_us_and_the_hint_names_secret_and_clock(bot: FeishuDouble) -> None:
    error = told(bot, secret="another")
    assert isinstance(error, Refused)
    assert "19021" in str(error)
    assert "signing secret" in str(error.hint)
    assert "clock" in str(error.hint)


def test_a_clock_that_is_off_is_told_by_how_much_and_tried_again_since_clocks_heal(bot: FeishuDouble) -> None:
    error = told(bot, bot.skewed(3 * 3600))
    assert isinstance(error, Unreachable)
    assert error.hint == (
        "this machine's clock is 3 hours ahead of that of Feishu, and signatures hold for an hour: set it right"
    )
    behind = told(bot, bot.skewed(-4000)).hint
    assert "67 minutes behind" in str(behind)


@pytest.mark.parametrize("code", [11232, 9499])
def test_a_bot_that_gets_too_much_is_given_a_rest(bot: FeishuDouble, code: int) -> None:
    assert isinstance(told(bot, bot.said(code, "frequency limited")), TooMany)


@pytest.mark.parametrize("code", [19001, 19022, 19024])
def test_a_bot_that_cannot_be_used_refuses_with_a_hint(bot: FeishuDouble, code: int) -> None:
    error = told(bot, bot.said(code, "no"))
    assert isinstance(error, Refused)
    assert error.hint


def test_an_error_inside_feishu_and_a_page_are_tried_again(bot: FeishuDouble) -> None:
    assert isinstance(told(bot, bot.said(2200, "internal error")), Unreachable)
    assert isinstance(told(bot, HTML), Unreachable)
    assert isinstance(told(bot, Answer(200, "")), Unreachable)
    assert isinstance(told(bot, Answer(502, "<html>bad gateway", "text/html")), Unreachable)


def test_a_code_that_nobody_knows_is_about_the_message(bot: FeishuDouble) -> None:
    assert isinstance(told(bot, bot.said(10208, "card content is illegal")), Rejected)


def test_an_older_answer_that_has_a_status_code_only_is_understood(bot: FeishuDouble) -> None:
    bot.then(Answer(200, '{"StatusCode":0,"StatusMessage":"success"}', takes=True))
    connect(feishu(bot)).send(sample())
    assert isinstance(told(bot, Answer(200, '{"StatusCode":19001,"StatusMessage":"bad"}')), Refused)


def test_a_card_keeps_to_its_size_and_says_what_is_left_out() -> None:
    message = sample(lines=tuple(f"line {number} " + "漢" * 100 for number in range(400)))
    made = body(message, "", None, 0)
    assert len(made) <= LARGEST
    shown = json.loads(made)["card"]["elements"][3]["text"]["content"].splitlines()
    assert shown[-1] == f"and {400 - len(shown) + 1} more"


def test_a_card_is_green_when_it_is_over_and_red_when_it_is_high(bot: FeishuDouble) -> None:
    notifier = connect(feishu(bot))
    for changes in ({}, {"status": "resolved"}, {"severity": "critical"}):
        notifier.send(sample(**changes))
    colours = [request.json["card"]["header"]["template"] for request in bot.taken]
    assert colours == ["red", "green", "carmine"]


# --- Slack -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (404, "no_service", Refused),
        (403, "invalid_token", Refused),
        (410, "channel_is_archived", Refused),
        (400, "invalid_blocks", Rejected),
        (500, "rollup_error", Unreachable),
        (503, "503", Unreachable),
    ],
)
def test_slack_says_what_is_wrong_in_a_word(status: int, word: str, kind: type[NotifyError]) -> None:
    with SlackDouble() as slack:
        slack.then(Answer(status, word, "text/plain"))
        with pytest.raises(kind, match=word):
            connect(SlackSettings(name="c", type="slack", url=slack.url)).send(sample())


def test_slack_is_given_the_rest_that_it_asks_for() -> None:
    with SlackDouble() as slack:
        slack.then(slack.throttling(30))
        with pytest.raises(TooMany) as caught:
            connect(SlackSettings(name="c", type="slack", url=slack.url)).send(sample())
    assert caught.value.retry_after == timedelta(seconds=30)


def test_nobody_is_mentioned_in_slack() -> None:
    with SlackDouble() as slack:
        connect(SlackSettings(name="c", type="slack", url=slack.url)).send(sample(sentence=HOSTILE, lines=(HOSTILE,)))
        assert "<!channel>" not in slack.taken[0].body.decode()


# --- webhook ---------------------------------------------------------------------------------------------------------


def hook(double: WebhookDouble, **changes: Any) -> WebhookSettings:
    return WebhookSettings(**{"name": "h", "type": "webhook", "url": double.url} | changes)


def test_a_template_is_filled_with_texts_and_with_lists() -> None:
    template = {"text": "{title} ({severity})", "all": "{facts}", "n": [1, "{status}"], "plain": "no braces {}"}
    with WebhookDouble() as double:
        connect(hook(double, body=template)).send(sample(title='a "quoted" {status}'))
        assert double.taken[0].json == {
            "text": 'a "quoted" {status} (high)',
            "all": {"expected a day": "19.01 USD", "actual": "225.69 USD"},
            "n": [1, "open"],
            "plain": "no braces {}",
        }


def test_a_request_names_its_message_and_carries_our_headers() -> None:
    with WebhookDouble("s") as double:
        connect(hook(double, secret="s", headers={"X-Team": "platform"})).send(sample())
        headers = double.taken[0].headers
    assert headers["idempotency-key"] == "0123456789abcdef"
    assert headers["x-team"] == "platform"
    assert headers["content-type"] == "application/json"


def test_a_wrong_secret_is_refused() -> None:
    with WebhookDouble("s") as double, pytest.raises(Refused):
        connect(hook(double, secret="t")).send(sample())


@pytest.mark.parametrize(
    ("header", "rest"), [("17", 17), ("Fri, 15 Mar 2024 12:00:30 GMT", 30), ("soon", None), ("999999999", 12 * 3600)]
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str, rest: int | None) -> None:
    with WebhookDouble() as double:
        # An instant is read against the clock of the other side, however wrong it is.
        double.then(Answer(503, headers={"Retry-After": header, "Date": "Fri, 15 Mar 2024 12:00:00 GMT"}))
        with pytest.raises(Unreachable) as caught:
            connect(hook(double)).send(sample())
    assert caught.value.retry_after == (None if rest is None else timedelta(seconds=rest))


# --- Icinga ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 2),
        ({"severity": "critical"}, 2),
        ({"severity": "medium"}, 1),
        ({"severity": "info"}, 0),
        ({"status": "resolved"}, 0),
        ({"status": "resolved", "standing": "medium"}, 1),
        ({"severity": "low", "standing": "critical"}, 2),
        ({"kind": "test"}, 0),
    ],
)
def test_the_service_shows_the_worst_of_what_is_open(changes: dict[str, Any], status: int) -> None:
    with IcingaDouble("u", "p4ssword", "cloud!costs-aws-prod") as icinga:
        settings = IcingaSettings(
            name="i",
            type="icinga",
            url=icinga.url,
            username="u",
            password="p4ssword",
            host="cloud",
            service="costs-{source}",
            ttl=timedelta(days=1),
        )
        connect(settings).send(sample(**changes))
        found, output = icinga.states["cloud!costs-aws-prod"]
        assert icinga.taken[0].json["ttl"] == 86400
    assert found == status
    assert "|" not in output


def icinga_told(*answers: Answer) -> NotifyError:
    """The error of a channel whose service does not exist, or behind an answer."""
    with IcingaDouble("u", "p4ssword") as icinga:
        icinga.then(*answers)
        values = {"url": icinga.url, "username": "u", "password": "p4ssword", "host": "cloud"}
        with pytest.raises(NotifyError) as caught:
            connect(IcingaSettings(name="i", type="icinga", **values)).send(sample())
    return caught.value


def results(*each: tuple[float, str], status: int = 200) -> Answer:
    return Answer(status, json.dumps({"results": [{"code": code, "status": words} for code, words in each]}))


@pytest.mark.parametrize(
    "answers",
    [
        (),
        (Answer(404, '{"error":404.0,"status":"No objects found."}'),),
        (results(),),
    ],
)
def test_a_service_that_does_not_exist_is_a_wrong_address_whatever_status_says_so(answers: tuple[Answer, ...]) -> None:
    error = icinga_told(*answers)
    assert isinstance(error, Refused)
    assert str(error) == (
        'Icinga: there is no service cloud!cloudspend. hint: define it with check_command = "passive",'
        " or correct host and service of the channel"
    )


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(500, '{"error":500.0,"status":"Internal error"}'), Unreachable),
        (results((500.0, "still starting"), status=500), Unreachable),
        (results((409.0, "newer result already there"), status=409), Rejected),
        (results((403.0, "Passive checks are disabled"), status=403), Refused),
        (Answer(403, '{"error":403.0,"status":"Missing permission"}'), Refused),
        (Answer(200, '{"error":200.0}'), Unreachable),
        (Answer(200, '{"results":[1]}'), Rejected),
    ],
)
def test_icinga_that_is_broken_is_not_icinga_that_is_asked_wrongly(answer: Answer, kind: type[NotifyError]) -> None:
    error = icinga_told(answer)
    assert type(error) is kind
    assert error.hint or kind is not Refused


# --- log, Apprise ----------------------------------------------------------------------------------------------------


def test_the_log_has_a_line_for_each_message(caplog: pytest.LogCaptureFixture) -> None:
    connect(LogSettings(name="out", type="log")).send(sample())
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert vars(record)["fields"]["sentence"] == sample().sentence


# What Apprise imports is its own business.
old_modules = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def apprise(message: Message, url: str) -> None:
    connect(AppriseSettings(name="x", type="apprise", url=url)).send(message)


@old_modules
def test_any_service_of_apprise_takes_a_message() -> None:
    with WebhookDouble() as double:
        apprise(sample(), double.url.replace("http://", "json://"))
        (request,) = double.taken
    assert sample().title in request.json["title"]
    assert "NAT gateway" in request.json["message"]


@old_modules
def test_apprise_that_fails_is_tried_again_and_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with WebhookDouble() as double:
        double.always = Answer(500)
        with pytest.raises(Unreachable, match="answered 500") as caught:
            apprise(sample(), double.url.replace("http://", "json://"))
    assert "t0ken" not in f"{caught.value} {caplog.text}"


@old_modules
def test_a_url_that_apprise_does_not_know_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match="does not understand"):
        apprise(sample(), "nosuchservice://t0ken")
    assert "t0ken" not in caplog.text


def test_channels_are_imported_when_they_are_used(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, exporter.app; print([m for m in sys.modules if m in ('smtplib', 'apprise', 'requests')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
