"""Mail transport: SMTP to the server of MAIL_URL, or without one `.eml` files that an admin can open."""

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import SplitResult, unquote

TIMEOUT = 15  # seconds


class TemporaryMailError(Exception):
    """The server did not accept the mail, but may later. The text contains no address."""


class PermanentMailError(Exception):
    """The server rejects this mail permanently."""


class MailTransport:
    """One connection for a batch of mails, opened with the first. `smtp://`, `smtp+starttls://`, `smtps://`."""

    def __init__(self, url: SplitResult, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._server: smtplib.SMTP | None = None
        self._failure = ""

    def send(self, message: EmailMessage, name: str) -> None:
        """Send one mail. Raises TemporaryMailError or PermanentMailError."""
        if not self._url.hostname:
            self._write_file(message, name)
            return
        if self._failure:
            raise TemporaryMailError(self._failure)
        try:
            if self._server is None:
                self._server = self._connect()
            self._server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise (PermanentMailError if code >= 500 else TemporaryMailError)(
                f"the server refused the recipient ({code})"
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            self._fail_batch(f"the server refused the password of MAIL_URL ({error.smtp_code})")
        except smtplib.SMTPResponseException as error:
            self._fail_batch(f"the server answered {error.smtp_code}")
        except (smtplib.SMTPException, OSError) as error:
            self._fail_batch(f"no mail server ({type(error).__name__})")

    def close(self) -> None:
        """Close the connection, with QUIT if the server still answers."""
        if self._server is not None:
            try:
                self._server.quit()
            except (smtplib.SMTPException, OSError):
                self._server.close()

    def _fail_batch(self, reason: str) -> None:
        """Fail the rest of the batch without a new connection: each mail would wait for the same timeout."""
        self._failure = reason
        raise TemporaryMailError(reason) from None

    def _connect(self) -> smtplib.SMTP:
        host, tls_context = self._url.hostname or "", ssl.create_default_context()
        if self._url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, self._url.port or 465, timeout=TIMEOUT, context=tls_context)
        else:
            server = smtplib.SMTP(host, self._url.port or 587, timeout=TIMEOUT)
            if self._url.scheme == "smtp+starttls":
                server.starttls(context=tls_context)
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))
        return server

    def _write_file(self, message: EmailMessage, name: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / f"{name}.eml").write_bytes(message.as_bytes())
