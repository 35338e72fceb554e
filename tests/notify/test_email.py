"""E-mail, through a real SMTP server with TLS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from exporter.config.notify import EmailSettings
from exporter.errors import Refused, Rejected, Unreachable
from exporter.notify import connect
from exporter.testing.notifier import HOSTILE, sample
from tests.neighbours import free_port
from tests.notify.smtp import Mail

BOTH = ("a@example.com", "b@example.com")


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    with Mail(tmp_path) as server:
        yield server


def settings(mail: Mail, **changes: Any) -> EmailSettings:
    values = {"name": "mail", "type": "email", "host": "localhost", "port": mail.port, "security": mail.security}
    values |= {"sender": "costs@example.com", "recipients": BOTH, "ca_file": mail.ca_file}
    if mail.security != "plain":
        values |= {"username": mail.username, "password": mail.password}
    return EmailSettings(**values | changes)


def parts(letter: EmailMessage) -> tuple[str, str]:
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls", "plain"])
def test_a_message_arrives_as_plain_text_and_html(tmp_path: Path, security: str) -> None:
    with Mail(tmp_path, security) as mail:
        connect(settings(mail)).send(sample())
    (letter,) = mail.mails
    assert mail.recipients == [list(BOTH)]
    assert letter["Subject"] == "[HIGH] EC2 - Other in us-east-1 (aws) costs more than expected"
    assert letter["Message-ID"] == "<0123456789abcdef@example.com>"
    assert (letter["From"], letter["To"]) == ("cloudspend <costs@example.com>", "a@example.com, b@example.com")
    for body in parts(letter):
        for words in ("206.67 more than expected", "225.68", "NAT gateway / us-east-1: +206.74 USD"):
            assert words.replace("225.68", "225.69") in body
        assert "https://costs.example.org/" in body


def test_a_second_try_has_the_same_id_and_what_belongs_together_is_one_thread(mail: Mail) -> None:
    notifier = connect(settings(mail))
    notifier.send(sample())
    notifier.send(sample())
    notifier.send(sample(key="other", status="resolved"))
    ids, threads = [letter["Message-ID"] for letter in mail.mails], {letter["References"] for letter in mail.mails}
    assert ids[0] == ids[1] != ids[2]
    assert len(threads) == 1


def test_names_cannot_add_headers_or_markup(mail: Mail) -> None:
    connect(settings(mail)).send(sample(title=f"a\r\nBcc: evil@example.com\n{HOSTILE}", lines=(HOSTILE,)))
    (letter,) = mail.mails
    assert letter["Bcc"] is None
    _, html = parts(letter)
    assert "<at" not in html
    assert '<a href="http://evil' not in html


def test_a_wrong_password_is_told_and_not_tried_again(mail: Mail) -> None:
    with pytest.raises(Refused, match=r"refuses the login: 535 .*hint: check username and password") as caught:
        connect(settings(mail, password="wrong-one")).send(sample())
    assert "wrong-one" not in str(caught.value)


def test_a_certificate_of_a_stranger_is_not_trusted(mail: Mail) -> None:
    with pytest.raises(Refused, match=r"certificate is not trusted.*ca_file"):
        connect(settings(mail, ca_file=None)).send(sample())


def test_a_server_that_offers_no_encryption_gets_no_password(tmp_path: Path) -> None:
    with Mail(tmp_path, "plain") as mail, pytest.raises(Refused, match="STARTTLS"):
        connect(settings(mail, security="starttls", username="costs", password="hush-hush")).send(sample())
    assert mail.mails == []


@pytest.mark.parametrize("reply", ["451 try later", "452 too much mail", "421 closing"])
def test_not_now_is_tried_again(mail: Mail, reply: str) -> None:
    mail.data_replies.append(reply)
    notifier = connect(settings(mail))
    with pytest.raises(Unreachable, match=reply[:3]):
        notifier.send(sample())
    notifier.send(sample())
    assert len(mail.mails) == 1


def test_a_message_that_is_refused_for_good_is_put_aside(mail: Mail) -> None:
    mail.data_replies.append("554 looks like spam")
    with pytest.raises(Rejected, match="554 looks like spam"):
        connect(settings(mail)).send(sample())


def test_a_recipient_who_has_it_does_not_get_it_again(mail: Mail) -> None:
    mail.refuse = {"b@example.com": "450 greylisted"}
    notifier = connect(settings(mail))
    with pytest.raises(Unreachable) as caught:
        notifier.send(sample())
    assert caught.value.done == ("a@example.com",)
    mail.refuse = {}
    notifier.send(sample(done=caught.value.done))
    assert mail.recipients == [["a@example.com"], ["b@example.com"]]


def test_a_recipient_who_does_not_exist_is_told_and_the_others_have_it(mail: Mail) -> None:
    mail.refuse = {"b@example.com": "550 no such user"}
    with pytest.raises(Rejected, match=r"b@example\.com: 550 no such user") as caught:
        connect(settings(mail)).send(sample())
    assert caught.value.done == ("a@example.com",)
    mail.refuse |= {"a@example.com": "550 no such user"}
    with pytest.raises(Refused, match="every recipient"):
        connect(settings(mail)).send(sample())


def test_a_server_that_is_away_is_tried_again(mail: Mail) -> None:
    with pytest.raises(Unreachable, match="refused"):
        connect(settings(mail, port=free_port())).send(sample())


def test_the_wrong_kind_of_encryption_is_told(mail: Mail) -> None:
    with pytest.raises(Unreachable, match="security: tls"):
        connect(settings(mail, security="tls", timeout=timedelta(seconds=5))).send(sample())
