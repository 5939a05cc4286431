"""One-time codes of an authenticator app (TOTP, RFC 6238: 6 digits, 30 seconds), and recovery codes on paper."""

import hmac
import secrets

import pyotp
import segno
from sqlalchemy import delete, or_, select, update

from portal.accounts.models import RecoveryCode, User
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.crypto import (
    DecryptionError,
    decrypt_for_row,
    encrypt_for_row,
    hmac_hex,
    hmac_hex_all_keys,
)
from portal.core.db import db, execute_rowcount, write_transaction

TOTP_STEP_SECONDS = 30
RECOVERY_CODE_COUNT = 10
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_totp_secret(user: User, sealed: str = "") -> tuple[str, str]:
    """A new secret: plain for the page and encrypted for its form, since viewing the page stores nothing. With `sealed`
    it is the same as before, if that was made for this user."""
    try:
        return decrypt_for_row(sealed, _encryption_context(user)), sealed
    except DecryptionError:
        secret = pyotp.random_base32()
        return secret, encrypt_for_row(secret, _encryption_context(user))


def totp_qr_svg(user: User, secret: str) -> str:
    """The secret as a QR code, an inline `<svg>` without styles."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Silid")
    svg = segno.make(uri, micro=False).svg_inline(scale=5, border=2, dark="#000", light="#fff")
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)  # the page shows the secret as text below it


def enable_totp_codes(user: User, sealed: str, code: str) -> list[str] | None:
    """Enable one-time codes after a correct code of the app; returns the recovery codes, which are shown once. None if
    the code is wrong."""
    try:
        step = _matching_step(decrypt_for_row(sealed, _encryption_context(user)), code)
    except DecryptionError:
        return None
    if user.has_codes or step is None:
        return None
    with write_transaction():
        user.totp_secret_encrypted, user.totp_last_step = sealed, step
        user.totp_enabled_at = clock.now()
        audit_log.record_action(AuditAction.ENABLED_TOTP, AuditSubject.USER, user.id, by=user.id)
        return _new_recovery_codes(user)


def disable_totp_codes(user: User, by: User) -> None:
    """Disable one-time codes, by the user or by an admin."""
    with write_transaction() as session:
        user.totp_secret_encrypted = user.totp_enabled_at = user.totp_last_step = None
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
        audit_log.record_action(AuditAction.DISABLED_TOTP, AuditSubject.USER, user.id, by=by.id)


def regenerate_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes; returns the new ones."""
    with write_transaction():
        audit_log.record_action(AuditAction.REGENERATED_RECOVERY_CODES, AuditSubject.USER, user.id, by=user.id)
        return _new_recovery_codes(user)


def verify_sign_in_code(user: User, code: str) -> bool:
    """True for an unused code of the app, or an unused recovery code, which is then consumed."""
    code = "".join(code.split()).replace("-", "").lower()
    return _verify_app_code(user, code) if code.isdigit() else _consume_recovery_code(user, code)


def _matching_step(secret: str, code: str) -> int | None:
    """The time step whose code it is: this one, the previous or the next, as clocks differ."""
    code = "".join(code.split())
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return None
    app = pyotp.TOTP(secret)
    now = int(clock.now().timestamp()) // TOTP_STEP_SECONDS
    return next((s for s in (now, now - 1, now + 1) if hmac.compare_digest(app.at(s * TOTP_STEP_SECONDS), code)), None)


def _verify_app_code(user: User, code: str) -> bool:
    if not user.has_codes:
        return False
    step = _matching_step(decrypt_for_row(user.totp_secret_encrypted or "", _encryption_context(user)), code)
    if step is None:
        return False
    with write_transaction():
        row_count = execute_rowcount(
            update(User)
            .where(User.id == user.id, or_(User.totp_last_step.is_(None), User.totp_last_step < step))
            .values(totp_last_step=step)
            .execution_options(synchronize_session=False)
        )
    return row_count == 1


def _consume_recovery_code(user: User, code: str) -> bool:
    if not user.has_codes:
        return False
    with write_transaction():
        row_count = execute_rowcount(
            update(RecoveryCode)
            .where(
                RecoveryCode.user_id == user.id,
                RecoveryCode.code_hash.in_(hmac_hex_all_keys(_hash_input(user, code))),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=clock.now())
        )
        is_used = row_count == 1
        if is_used:
            audit_log.record_action(AuditAction.USED_RECOVERY_CODE, AuditSubject.USER, user.id, by=user.id)
    return bool(is_used)


def count_unused_recovery_codes(user: User) -> int:
    """The number of unused recovery codes."""
    rows = select(RecoveryCode.id).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return len(db.session.scalars(rows).all())


def _new_recovery_codes(user: User) -> list[str]:
    codes = ["".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODE_COUNT)]
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.add_all(RecoveryCode(user_id=user.id, code_hash=hmac_hex(_hash_input(user, code))) for code in codes)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _hash_input(user: User, code: str) -> str:
    return f"recovery\0{user.id}\0{code}"


def _encryption_context(user: User) -> str:
    return f"users/{user.id}/totp"
