"""One-time codes from an app on the phone (RFC 6238, 6 digits, 30 seconds), and recovery codes on paper."""

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

TOTP_STEP_SECONDS = 30  # seconds
RECOVERY_CODE_COUNT = 10  # codes on paper
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_totp_secret(user: User, sealed: str = "") -> tuple[str, str]:
    """A secret that the person's app may learn, plain for the page and sealed for its form: looking at the page
    stores nothing. With `sealed` it is the same as before, if it was offered to this person."""
    try:
        return decrypt_for_row(sealed, _row(user)), sealed
    except DecryptionError:
        secret = pyotp.random_base32()
        return secret, encrypt_for_row(secret, _row(user))


def totp_qr_svg(user: User, secret: str) -> str:
    """The secret as a QR code: an `<svg>` that needs no style of its own."""
    address = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Silid")
    drawing = segno.make(address, micro=False).svg_inline(scale=5, border=2, dark="#000", light="#fff")
    return drawing.replace("<svg ", '<svg aria-hidden="true" ', 1)  # the letters stand below it


def enable_totp_codes(user: User, sealed: str, code: str) -> list[str] | None:
    """Begin to ask for codes, once the app has shown a right one. The recovery codes, shown this once."""
    try:
        step = _step(decrypt_for_row(sealed, _row(user)), code)
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
    """Ask for no codes any more: by the person, or by an admin when phone and paper are lost."""
    with write_transaction() as session:
        user.totp_secret_encrypted = user.totp_enabled_at = user.totp_last_step = None
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
        audit_log.record_action(AuditAction.DISABLED_TOTP, AuditSubject.USER, user.id, by=by.id)


def regenerate_recovery_codes(user: User) -> list[str]:
    """New recovery codes in place of the old ones."""
    with write_transaction():
        audit_log.record_action(AuditAction.REGENERATED_RECOVERY_CODES, AuditSubject.USER, user.id, by=user.id)
        return _new_recovery_codes(user)


def verify_sign_in_code(user: User, code: str) -> bool:
    """True for a code of the app that was not used before, or an unused recovery code, which is then used up."""
    code = "".join(code.split()).replace("-", "").lower()
    return _by_app(user, code) if code.isdigit() else _by_recovery(user, code)


def _step(secret: str, code: str) -> int | None:
    """The half minute whose code it is: this one, the last or the next, as clocks differ."""
    code = "".join(code.split())
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return None
    app = pyotp.TOTP(secret)
    now = int(clock.now().timestamp()) // TOTP_STEP_SECONDS
    return next((s for s in (now, now - 1, now + 1) if hmac.compare_digest(app.at(s * TOTP_STEP_SECONDS), code)), None)


def _by_app(user: User, code: str) -> bool:
    if not user.has_codes:
        return False
    step = _step(decrypt_for_row(user.totp_secret_encrypted or "", _row(user)), code)
    if step is None:
        return False
    with write_transaction():
        taken = execute_rowcount(
            update(User)
            .where(User.id == user.id, or_(User.totp_last_step.is_(None), User.totp_last_step < step))
            .values(totp_last_step=step)
            .execution_options(synchronize_session=False)
        )
    return taken == 1


def _by_recovery(user: User, code: str) -> bool:
    if not user.has_codes:
        return False
    with write_transaction():
        taken = execute_rowcount(
            update(RecoveryCode)
            .where(
                RecoveryCode.user_id == user.id,
                RecoveryCode.code_hash.in_(hmac_hex_all_keys(_named(user, code))),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=clock.now())
        )
        used = taken == 1
        if used:
            audit_log.record_action(AuditAction.USED_RECOVERY_CODE, AuditSubject.USER, user.id, by=user.id)
    return bool(used)


def count_unused_recovery_codes(user: User) -> int:
    """How many recovery codes are unused."""
    rows = select(RecoveryCode.id).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return len(db.session.scalars(rows).all())


def _new_recovery_codes(user: User) -> list[str]:
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODE_COUNT)]
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.add_all(RecoveryCode(user_id=user.id, code_hash=hmac_hex(_named(user, code))) for code in codes)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _named(user: User, code: str) -> str:
    return f"recovery\0{user.id}\0{code}"


def _row(user: User) -> str:
    return f"users/{user.id}/totp"
