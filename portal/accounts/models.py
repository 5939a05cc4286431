"""Tables of schools, users, their sessions, links and sign-in failures."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from flask_login import UserMixin
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.codes import AccountRequestState
from portal.core.db import Model, UuidPrimaryKey, one_of_check

Role = Literal["teacher", "admin"]
Scope = Literal["school", "division", "region"]


class School(UuidPrimaryKey, Model):
    """A school of the region."""

    __tablename__ = "schools"
    __table_args__ = (
        CheckConstraint("attendance_retention_years BETWEEN 2 AND 10", name="attendance_retention_years"),
    )

    deped_id: Mapped[str] = mapped_column(String(6), unique=True)
    name: Mapped[str]
    division: Mapped[str]
    region: Mapped[str] = mapped_column(default="Region I")
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]  # accepts no new users or classes; existing rows stay
    attendance_retention_years: Mapped[
        int | None
    ]  # for how many school years after its own attendance is kept; None: without limit


_PARTICLES = {"DE", "DEL", "DELA", "DELOS", "DELAS", "LA", "LAS", "LOS", "SAN", "STA.", "STO.", "SANTA", "SANTO", "Y"}
_EXTENSIONS = {"JR", "JR.", "SR", "SR.", "II", "III", "IV"}


def surname_of(full_name: str) -> str:
    """The surname of a full name: "Delos Santos" of "Joy B. Delos Santos Jr."."""
    words = [word for word in full_name.split() if word.rstrip(",").upper() not in _EXTENSIONS] or full_name.split()
    start = len(words) - 1
    while start > 1 and words[start - 1].rpartition("-")[2].upper() in _PARTICLES:
        start -= 1
    return " ".join(words[start:]).rstrip(",")


class User(UuidPrimaryKey, UserMixin, Model):
    """A teacher or an admin; learners have no account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('teacher', 'admin')", name="role"),
        CheckConstraint("scope IN ('school', 'division', 'region')", name="scope"),
        CheckConstraint("(role = 'admin') = (scope IS NOT NULL)", name="admins_have_a_scope"),
        CheckConstraint("scope IS NULL OR scope = 'region' OR school_id IS NOT NULL", name="scope_has_a_place"),
    )

    email: Mapped[str] = mapped_column(String(254), unique=True)
    full_name: Mapped[str]
    role: Mapped[str]
    scope: Mapped[str | None]
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id"), index=True)
    password_hash: Mapped[str | None]
    confirmed_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(default="en")
    created_at: Mapped[datetime]
    totp_secret_encrypted: Mapped[str | None]  # secret of the authenticator app; in use once `totp_enabled_at` is set
    totp_enabled_at: Mapped[datetime | None]
    totp_last_step: Mapped[int | None]  # time step of the last accepted code: it and earlier ones are refused

    school: Mapped[School | None] = relationship(lazy="joined")

    _token: ClassVar[str | None] = None  # token of the session that loaded this user; not a column

    @property
    def is_active(self) -> bool:
        """True if the address is confirmed and the account is not deactivated."""
        return self.deactivated_at is None and self.confirmed_at is not None

    @property
    def is_admin(self) -> bool:
        """True for admins of any scope."""
        return self.role == "admin"

    @property
    def has_codes(self) -> bool:
        """True if one-time codes are enabled."""
        return self.totp_enabled_at is not None

    @property
    def surname(self) -> str:
        return surname_of(self.full_name)

    @property
    def school_name(self) -> str:
        return self.school.name if self.school else ""

    @property
    def session_token(self) -> str | None:
        """Token of the session that loaded this user; None for a user loaded otherwise."""
        return self._token

    @session_token.setter
    def session_token(self, token: str) -> None:
        self.__dict__["_token"] = token

    def get_id(self) -> str:
        """The session token, which Flask-Login stores in the cookie instead of the user id, so that a session can be
        revoked."""
        if self.session_token is None:
            raise RuntimeError("a user without a session cannot be kept in a cookie")
        return self.session_token


class UserSession(UuidPrimaryKey, Model):
    """A signed-in browser. The cookie has the token, this row only its hash."""

    __tablename__ = "user_sessions"
    __table_args__ = (Index("ix_user_sessions_user_id_ended_at", "user_id", "ended_at"),)

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    remembered: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    user_agent: Mapped[str] = mapped_column(default="")

    user: Mapped[User] = relationship(lazy="joined")


class OneTimeLink(UuidPrimaryKey, Model):
    """A single-use, short-lived link, mailed or handed over. Only its hash is stored."""

    __tablename__ = "one_time_links"
    __table_args__ = (
        CheckConstraint("purpose IN ('invite', 'reset', 'email')", name="purpose"),
        CheckConstraint("(purpose = 'email') = (new_email IS NOT NULL)", name="a_new_address_when_it_changes"),
        Index("ix_one_time_links_user_id_purpose", "user_id", "purpose"),
    )

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(10))
    new_email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ExternalIdentity(UuidPrimaryKey, Model):
    """A Google or Microsoft account with which a user signs in. Identified by issuer and subject only, since an address
    may be reassigned to another person."""

    __tablename__ = "external_identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class UsedOidcState(Model):
    """Hash of an OIDC `state` that was used in a callback: each works once."""

    __tablename__ = "used_oidc_states"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailure(Model):
    """A wrong password or code. `account_hash` is an HMAC of the address typed, so that unknown addresses count
    alike."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        Index("ix_sign_in_failures_account_hash_failed_at", "account_hash", "failed_at"),
        Index("ix_sign_in_failures_client_hash_failed_at", "client_hash", "failed_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    account_hash: Mapped[str | None] = mapped_column(String(64))
    client_hash: Mapped[str] = mapped_column(String(64))
    failed_at: Mapped[datetime]


class AccountRequest(UuidPrimaryKey, Model):
    """A request for an account, decided by an admin of the school.

    `issuer` and `subject` are set if Google or Microsoft verified the address: the account is then linked to that
    identity.
    """

    __tablename__ = "account_requests"
    __table_args__ = (CheckConstraint(one_of_check("state", AccountRequestState), name="state"),)

    email: Mapped[str] = mapped_column(String(254), unique=True)
    full_name: Mapped[str] = mapped_column(String(120))
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id"), index=True)
    language: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(10), default=AccountRequestState.PENDING)
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    issuer: Mapped[str | None] = mapped_column(String(255))
    subject: Mapped[str | None] = mapped_column(String(255))

    school: Mapped[School | None] = relationship(lazy="joined")


class PendingAuthRequest(UuidPrimaryKey, Model):
    """A request of a signed-out visitor (password reset or account); `request_encrypted` is set until it is
    processed."""

    __tablename__ = "pending_auth_requests"
    __table_args__ = (
        CheckConstraint("kind IN ('password', 'account')", name="kind"),
        Index("ix_pending_auth_requests_client_hash_requested_at", "client_hash", "requested_at"),
        Index("ix_pending_auth_requests_address_hash_requested_at", "address_hash", "requested_at"),
    )

    kind: Mapped[str] = mapped_column(String(10))
    address_hash: Mapped[str] = mapped_column(String(64))
    client_hash: Mapped[str] = mapped_column(String(64))
    request_encrypted: Mapped[str | None]
    requested_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]


class RecoveryCode(UuidPrimaryKey, Model):
    """Replaces a one-time code when the phone is lost. Single use."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("ix_recovery_codes_user_id", "user_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]
