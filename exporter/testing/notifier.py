"""The contract that every channel of notifications keeps: inherit it, name settings and a double.

class TestHook(NotifierContract):
    def double(self) -> Double:
        return WebhookDouble()

    def settings(self, double: Double) -> ChannelSettings:
        return WebhookSettings(name="hook", type="webhook", url=double.url)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporter.config.notify import ChannelSettings
from exporter.errors import NotifyError, Refused, TooMany, Unreachable
from exporter.notify import connect
from exporter.notify.message import Message
from exporter.testing.doubles import HTML, Answer, Double

WHEN = datetime(2024, 3, 15, 12, tzinfo=UTC)
HOSTILE = '<!channel> <at id="all"></at> *bold* _x_ `y` [l](http://evil.example) & "q" \'s\' \\ {title} \u202e ☃ |'
"""A name as somebody could give it to a resource."""


def sample(**changes: Any) -> Message:
    """A message such as a finding makes."""
    values: dict[str, Any] = {
        "key": "0123456789abcdef",
        "fingerprint": "f00d",
        "status": "open",
        "kind": "anomaly",
        "severity": "high",
        "title": "EC2 - Other in us-east-1 (aws) costs more than expected",
        "sentence": "EC2 - Other in us-east-1 (aws) cost 225.69 USD on 14 March 2024, 206.67 more than expected.",
        "when": WHEN,
        "facts": (("expected a day", "19.01 USD"), ("actual", "225.69 USD")),
        "lines": ("NAT gateway / us-east-1: +206.74 USD",),
        "links": (("cloudspend", "https://costs.example.org/"),),
        "source": "aws-prod",
    }
    return Message(**values | changes)


class NotifierContract:
    """What `Notifier` promises, over a double that speaks the vendor's protocol."""

    has_retry_after = True
    """Whether the vendor says for how long to wait."""
    reads_answers = True
    """Whether a page of HTML in place of its answer is no acknowledgement."""

    def double(self) -> Double:
        """The vendor on loopback, not yet entered."""
        raise NotImplementedError

    def settings(self, double: Double, **changes: Any) -> ChannelSettings:
        """Settings that fit the double."""
        raise NotImplementedError

    def secrets(self, double: Double) -> list[str]:
        """What must not be shown."""
        return [double.path.rpartition("/")[2]]

    @pytest.fixture
    def there(self) -> Iterator[Double]:
        """The double, running."""
        with self.double() as double:
            yield double

    def test_a_message_arrives_with_all_that_it_says(self, there: Double) -> None:
        """Title, sentence, facts, lines and links are in it."""
        message = sample()
        connect(self.settings(there)).send(message)
        assert len(there.taken) == 1
        shown = "\n".join(there.texts())
        said = (message.title, message.sentence, *message.lines, *(value for _, value in message.facts))
        assert [text for text in said if text not in shown] == []
        assert message.links[0][1] in shown

    @pytest.mark.parametrize("status", ["open", "worsened", "resolved", "firing"])
    @pytest.mark.parametrize("severity", ["info", "critical"])
    def test_every_kind_of_message_is_taken(self, there: Double, status: str, severity: str) -> None:
        """Whatever its status and severity, and with nothing but a sentence."""
        bare = sample(status=status, severity=severity, facts=(), lines=(), links=(), source="")
        connect(self.settings(there)).send(bare)
        assert len(there.taken) == 1

    def test_a_message_of_any_length_is_taken(self, there: Double) -> None:
        """The channel's limits are kept by leaving lines out."""
        long = sample(
            title="t" * 5_000,
            sentence="s" * 20_000,
            lines=tuple(f"line {number} " + "x" * 200 for number in range(1_000)),
            facts=tuple((f"fact {number}", "v" * 3_000) for number in range(40)),
            links=tuple((f"link {number}", f"https://costs.example.org/{number}") for number in range(20)),
        )
        connect(self.settings(there)).send(long)
        assert len(there.taken) == 1

    def test_names_cannot_mention_anybody_or_break_the_form(self, there: Double) -> None:
        """What somebody called a resource is text and nothing else."""
        hostile = sample(title=HOSTILE, sentence=HOSTILE, lines=(HOSTILE,), facts=((HOSTILE, HOSTILE),))
        connect(self.settings(there)).send(hostile)
        assert len(there.taken) == 1

    def test_one_connection_takes_many_messages(self, there: Double) -> None:
        """A notifier is used again."""
        notifier = connect(self.settings(there))
        for number in range(3):
            notifier.send(sample(key=f"{number}"))
        assert len(there.taken) == 3

    def test_refused_is_told_with_a_hint_and_no_second_try(self, there: Double) -> None:
        """Wrong settings: nobody tries again before they are changed."""
        error = self.told(there, there.refusing())
        assert isinstance(error, Refused)
        assert not error.retry
        assert error.hint

    def test_too_many_is_told_with_its_rest(self, there: Double) -> None:
        """A full channel says for how long."""
        error = self.told(there, there.throttling(17))
        assert error.retry
        if self.has_retry_after:
            assert isinstance(error, TooMany)
            assert error.retry_after == timedelta(seconds=17)

    def test_a_fault_of_the_channel_is_tried_again(self, there: Double) -> None:
        """An error of the channel's own."""
        error = self.told(there, there.failing())
        assert isinstance(error, Unreachable)
        assert error.retry

    def test_a_page_in_place_of_an_answer_is_no_acknowledgement(self, there: Double) -> None:
        """A proxy's page with status 200."""
        if not self.reads_answers:
            pytest.skip("any answer of 2xx acknowledges")
        assert isinstance(self.told(there, HTML), Unreachable)

    def test_a_redirect_is_not_followed(self, there: Double) -> None:
        """A message does not go where an answer points."""
        with self.double() as elsewhere:
            error = self.told(there, Answer(302, headers={"Location": elsewhere.url}))
            assert isinstance(error, NotifyError)
            assert elsewhere.received == []

    def test_a_channel_that_is_not_there_is_unreachable(self) -> None:
        """Nobody listens."""
        with self.double() as double:
            settings = self.settings(double)
        with pytest.raises(Unreachable) as caught:
            connect(settings).send(sample())
        self.keeps_secrets(caught.value, double)

    def test_a_channel_that_does_not_answer_is_given_up_in_time(self, there: Double) -> None:
        """It listens and says nothing."""
        there.hold()
        with pytest.raises(Unreachable):
            connect(self.settings(there, timeout=timedelta(seconds=1))).send(sample())

    def test_settings_show_no_secret(self, there: Double) -> None:
        """Neither in a log nor in a traceback."""
        assert not any(secret in repr(self.settings(there)) for secret in self.secrets(there))

    def told(self, there: Double, answer: Answer) -> NotifyError:
        """The error behind an answer; it shows no secret."""
        there.then(answer)
        with pytest.raises(NotifyError) as caught:
            connect(self.settings(there)).send(sample())
        assert there.taken == []
        self.keeps_secrets(caught.value, there)
        return caught.value

    def keeps_secrets(self, error: NotifyError, double: Double) -> None:
        """AssertionError where an error shows a secret."""
        assert not any(secret in f"{error} {error!r}" for secret in self.secrets(double))
