"""A real SMTP server on loopback: TLS, STARTTLS and logins, and replies as a test scripts them."""

from __future__ import annotations

import ssl
from collections import deque
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.neighbours import free_port


@dataclass
class Mail:
    """A server for one user. `mails` is what it acknowledged, `recipients` for whom."""

    folder: Path
    security: str = "starttls"
    username: str = "costs"
    password: str = "hush-hush"
    port: int = field(default_factory=free_port)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    data_replies: deque[str] = field(default_factory=deque)
    """Replies to the next messages; it takes them where there are none."""
    refuse: dict[str, str] = field(default_factory=dict)
    """Recipient → reply."""

    def __enter__(self) -> Self:
        authority = trustme.CA()
        self.ca_file = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        words: dict[str, Any] = {}
        if self.security != "plain":
            # Of TLS from the start it does not know, and so thinks that there is none.
            started = self.security == "starttls"
            words = {"authenticator": self._login, "auth_required": started, "auth_require_tls": started}
        if self.security == "starttls":
            words |= {"tls_context": context, "require_starttls": True}
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if self.security == "tls" else None,
            **words,
        )
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    def _login(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = (data.login.decode(), data.password.decode()) == (self.username, self.password)
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(  # noqa: N802  aiosmtpd finds it by this name
        self, server: SMTP, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802  the same
        if self.data_replies:
            return self.data_replies.popleft()
        found = message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"
