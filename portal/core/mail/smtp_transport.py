"""Handing letters over: to the server of MAIL_URL, or without one into files that an admin can open."""

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import SplitResult, unquote

TIMEOUT = 15  # seconds


class TemporaryMailError(Exception):
    """The server did not take it; later it may. The text has no address in it."""


class PermanentMailError(Exception):
    """The server refuses this letter for good."""


class MailTransport:
    """One connection for a batch of letters, opened with the first. `smtp://`, `smtp+starttls://`, `smtps://`."""

    def __init__(self, url: SplitResult, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._server: smtplib.SMTP | None = None
        self._dead = ""

    def send(self, message: EmailMessage, name: str) -> None:
        """Hand one letter over. Raises TemporaryMailError or PermanentMailError."""
        if not self._url.hostname:
            self._to_file(message, name)
            return
        if self._dead:
            raise TemporaryMailError(self._dead)
        try:
            if self._server is None:
                self._server = self._connect()
            self._server.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            code = next(iter(refused.recipients.values()))[0]
            raise (PermanentMailError if code >= 500 else TemporaryMailError)(
                f"the server refused the recipient ({code})"
            ) from None
        except smtplib.SMTPAuthenticationError as refused:
            self._give_up(f"the server refused the password of MAIL_URL ({refused.smtp_code})")
        except smtplib.SMTPResponseException as refused:
            self._give_up(f"the server answered {refused.smtp_code}")
        except (smtplib.SMTPException, OSError) as problem:
            self._give_up(f"no mail server ({type(problem).__name__})")

    def close(self) -> None:
        """Say good-bye, if there is still somebody to hear it."""
        if self._server is not None:
            try:
                self._server.quit()
            except (smtplib.SMTPException, OSError):
                self._server.close()

    def _give_up(self, reason: str) -> None:
        """The rest of the batch need not knock again: each would wait for the same time-out."""
        self._dead = reason
        raise TemporaryMailError(reason) from None

    def _connect(self) -> smtplib.SMTP:
        host, secure = self._url.hostname or "", ssl.create_default_context()
        if self._url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, self._url.port or 465, timeout=TIMEOUT, context=secure)
        else:
            server = smtplib.SMTP(host, self._url.port or 587, timeout=TIMEOUT)
            if self._url.scheme == "smtp+starttls":
                server.starttls(context=secure)
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))
        return server

    def _to_file(self, message: EmailMessage, name: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / f"{name}.eml").write_bytes(message.as_bytes())
