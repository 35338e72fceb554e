"""Messages as e-mail: plain and HTML, by SMTP with STARTTLS, TLS or neither."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from exporter.config.notify import EmailSettings
from exporter.errors import NotifyError, Refused, Rejected, Unreachable
from exporter.notify.message import Message, plain

_PORTS = {"starttls": 587, "tls": 465, "plain": 25}
_COLOURS = {"info": "#0969da", "low": "#0969da", "medium": "#9a6700", "high": "#bc4c00", "critical": "#cf222e"}
_OVER = "#1a7f37"


def connect(settings: EmailSettings) -> Email:
    """The notifier of a channel of type `email`."""
    return Email(settings)


class Email:
    """One SMTP server and who hears through it. A connection lives for one message."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._where = f"SMTP server {settings.host}:{settings.port or _PORTS[settings.security]}"

    def send(self, message: Message) -> None:
        """Send it to whoever does not have it. Raises NotifyError; its `done` names those who have it now."""
        left = [each for each in self._settings.recipients if each not in message.done]
        if not left:
            return
        letter = composed(message, self._settings.sender, self._settings.recipients)
        try:
            with self._server() as server:
                refused = server.send_message(letter, self._settings.sender, left)
                with suppress(OSError, smtplib.SMTPException):  # it has the message, whatever its goodbye
                    server.quit()
        except (OSError, smtplib.SMTPException) as error:
            raise self._meaning(error, message) from None
        if refused:
            raise self._partly(refused, tuple(each for each in left if each not in refused), message)

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        """A connection with encryption and login, as configured."""
        settings, timeout = self._settings, self._settings.timeout.total_seconds()
        port = settings.port or _PORTS[settings.security]
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, port, timeout=timeout, context=self._context())
        else:
            server = smtplib.SMTP(settings.host, port, timeout=timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._context())
            if settings.password is not None:
                server.login(settings.username, settings.password.get_secret_value())
            yield server
        finally:
            server.close()

    def _context(self) -> ssl.SSLContext:
        path = self._settings.ca_file
        try:
            return ssl.create_default_context(cafile=str(path) if path else None)
        except (OSError, ssl.SSLError) as error:
            raise Refused(f"{self._where}: cannot read {path}: {error}") from None

    def _meaning(self, error: Exception, message: Message) -> NotifyError:
        """Whatever goes wrong with SMTP, as NotifyError."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._partly(error.recipients, (), message)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            hint = "set `security` to what the server offers, or leave username and password out"
            return Refused(f"{self._where}: {error}", hint=hint)
        if isinstance(error, smtplib.SMTPResponseException):
            return self._by_code(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = "name the authority that signed it in ca_file, and give `host` as the certificate has it"
            return Refused(f"{self._where}: its certificate is not trusted: {error.verify_message}", hint=hint)
        if isinstance(error, ssl.SSLError):
            hint = "port 465 wants security: tls, port 587 starttls"
            return Unreachable(f"{self._where}: no TLS: {error.reason}", hint=hint)
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self._where}: no answer in time")
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Unreachable(f"{self._where}: {said}")

    def _by_code(self, error: smtplib.SMTPResponseException) -> NotifyError:
        """4xx is for now, 5xx is for good."""
        what, hint = "it", "check host, port and security"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            what, hint = "the login", "check username and password"
        elif isinstance(error, smtplib.SMTPSenderRefused):
            what, hint = "the sender", "check `sender`"
        told = f"{self._where}: refuses {what}: {error.smtp_code} {_words(error.smtp_error)}"
        if error.smtp_code < 500:
            return Unreachable(told)
        return Rejected(told) if isinstance(error, smtplib.SMTPDataError) else Refused(told, hint=hint)

    def _partly(self, refused: Mapping[str, tuple[int, bytes]], done: tuple[str, ...], message: Message) -> NotifyError:
        """What it means that recipients were refused; the others have the message."""
        told = "; ".join(f"{who}: {code} {_words(said)}" for who, (code, said) in sorted(refused.items()))
        if any(code < 500 for code, _ in refused.values()):
            # Those who are refused for good are asked with the others once more: one try says the same as two.
            return Unreachable(f"{self._where}: not now for {told}", done=done)
        if done or message.done:
            return Rejected(f"{self._where}: refuses some recipients: {told}", done=done)
        return Refused(f"{self._where}: refuses every recipient: {told}", hint="check `recipients`")


def composed(message: Message, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The mail for a message. A second try has the same Message-ID, so that a mail program shows one."""
    letter = EmailMessage()
    domain = sender.rpartition("@")[2]
    letter["Subject"] = " ".join(message.heading.split())[:200]
    letter["From"] = Address("cloudspend", addr_spec=sender)
    letter["To"] = tuple(Address(addr_spec=each) for each in recipients)
    # Real time: mail servers distrust letters from another year.
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = f"<{message.key}@{domain}>"
    letter["Auto-Submitted"] = "auto-generated"
    # What is about the same thing stands in one thread.
    letter["References"] = f"<{re.sub('[^A-Za-z0-9.-]', '_', message.fingerprint)}.about@{domain}>"
    letter.set_content(f"{plain(message)}\n\n-- \ncloudspend, {message.when:%Y-%m-%d %H:%M} UTC\n")
    letter.add_alternative(html(message), subtype="html")
    return letter


def html(message: Message) -> str:
    """The message for mail programs that show HTML: no images, no scripts, nothing fetched."""
    colour = _OVER if message.over else _COLOURS[message.severity]
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#57606a">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in message.facts
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in message.lines)
    links = " · ".join(f'<a href="{escape(url)}">{escape(words)}</a>' for words, url in message.links)
    parts = [
        f'<h2 style="margin:0 0 8px;font-size:18px;color:{colour}">{escape(message.heading)}</h2>',
        f"<p>{escape(message.sentence)}</p>",
        f'<table style="border-collapse:collapse">{rows}</table>' if rows else "",
        f"<ul>{lines}</ul>" if lines else "",
        f"<p>{links}</p>" if links else "",
        f'<p style="color:#57606a;font-size:12px">cloudspend, {message.when:%Y-%m-%d %H:%M} UTC</p>',
    ]
    style = "font:14px/1.5 system-ui,sans-serif;max-width:640px"
    return f'<!doctype html><html><body style="{style}">{"".join(parts)}</body></html>'


def _words(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:160]
