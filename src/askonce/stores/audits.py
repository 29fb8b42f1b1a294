"""Audits as rows of the file, and how many of them are kept."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from askonce.model import Audit
from askonce.stores.rows import users_from

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    from askonce.model import Owner

__all__ = ["KEPT_PER_FEATURE", "anonymise", "anonymised", "append", "find", "trim", "trim_all"]

KEPT_PER_FEATURE: Final = 20_000
"""Audits of a feature beyond these go, oldest first."""
_AUDIT_BYTES: Final = 512
"""An audit's bytes in the file, its place in the index included: about."""
_SHARE: Final = 8
"""One part in so many of the file's budget may be audits."""
_COLUMNS: Final = (
    "feature, at, question, answer, request_id, source, judge, correct, propensity, probability, threshold, "
    "reason, evidence, engine, tenant, users"
)
_INSERT: Final = f"INSERT INTO audits ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - constants
_FIND: Final = f"SELECT id, {_COLUMNS} FROM audits WHERE id > :after ORDER BY id LIMIT :count"  # noqa: S608 - constants
_FIND_OF: Final = (
    f"SELECT id, {_COLUMNS} FROM audits "  # noqa: S608 - constants
    "WHERE feature = :feature AND id > :after ORDER BY id LIMIT :count"
)
_TRIM_FEATURE: Final = """
DELETE FROM audits WHERE feature = :feature AND id <= (
    SELECT id FROM audits WHERE feature = :feature ORDER BY id DESC LIMIT 1 OFFSET :kept)
"""
_TRIM_ALL: Final = "DELETE FROM audits WHERE id IN (SELECT id FROM audits ORDER BY id LIMIT ?)"
_REFERENCES: Final = "SELECT id, question, answer, tenant, users FROM audits"
_ANONYMISE: Final = "UPDATE audits SET question = x'', request_id = '', tenant = '', users = x'' WHERE id = ?"
_LARGEST: Final = float(np.finfo(np.float16).max)


def append(connection: sqlite3.Connection, audit: Audit) -> None:
    """Inserts an audit. Raises what SQLite raises for a text that it can't express."""
    connection.execute(_INSERT, _row(audit))


def find(
    connection: sqlite3.Connection, feature: str | None, after: int, count: int
) -> tuple[int, list[Audit]]:
    """The next `count` audits of a feature, or of all, and where to go on (0 at the end)."""
    named = {"feature": feature, "after": after, "count": count}
    found = connection.execute(_FIND if feature is None else _FIND_OF, named).fetchall()
    return (found[-1][0] if found else 0), [_audit(row[1:]) for row in found]


def trim(connection: sqlite3.Connection, features: Iterable[str]) -> int:
    """Drops these features' oldest audits beyond `KEPT_PER_FEATURE`; returns how many."""
    parameters = [{"feature": feature, "kept": KEPT_PER_FEATURE} for feature in features]
    return connection.executemany(_TRIM_FEATURE, parameters).rowcount if parameters else 0


def trim_all(connection: sqlite3.Connection, count: int, max_bytes: int) -> int:
    """Drops the oldest of `count` audits beyond their share of the file's budget; returns how many.

    Else a small file could fill with audits, for which every answer would be evicted.
    """
    over = count - max_bytes // (_SHARE * _AUDIT_BYTES)
    return connection.execute(_TRIM_ALL, (over,)).rowcount if over > 0 else 0


def anonymise(connection: sqlite3.Connection, owner: Owner, keys: Collection[bytes]) -> int:
    """Leaves of an owner's audits their verdicts alone, and of others' nothing that leads to those keys.

    Returns how many of the owner's there were.
    """
    count = 0
    for identity, question, answer, tenant, users in connection.execute(_REFERENCES).fetchall():
        owned = owner.owns(tenant, users_from(users)) or question in keys
        if owned:
            connection.execute(_ANONYMISE, (identity,))
            count += 1
        if answer in keys:
            connection.execute("UPDATE audits SET answer = x'' WHERE id = ?", (identity,))
    return count


def anonymised(audit: Audit, owner: Owner, keys: Collection[bytes]) -> Audit:
    """The same for an audit that isn't in the file yet."""
    if owner.owns(audit.tenant, audit.users) or audit.question in keys:
        audit = replace(audit, question=b"", request_id="", tenant="", users=())
    return replace(audit, answer=b"") if audit.answer in keys else audit


def _row(audit: Audit) -> tuple[Any, ...]:
    evidence = audit.evidence
    if evidence is not None:
        # Beyond the largest float16 there is only infinity, which no sum survives; NaN stays what it is.
        evidence = np.clip(evidence, -_LARGEST, _LARGEST).astype("<f2")
    return (
        audit.feature,
        float(audit.at),
        audit.question,
        audit.answer,
        audit.request_id,
        audit.source,
        audit.judge,
        int(audit.right),
        float(audit.propensity),
        float(audit.probability),
        float(audit.threshold),
        audit.reason,
        None if evidence is None else evidence.tobytes(),
        audit.engine,
        audit.tenant,
        b"".join(audit.users),
    )


def _audit(row: tuple[Any, ...]) -> Audit:
    feature, at, question, answer, request_id, source, judge, correct, *numbers, reason, blob = row[:-3]
    engine, tenant, users = row[-3:]
    # SQLite keeps NaN as NULL.
    propensity, probability, threshold = (math.nan if number is None else number for number in numbers)
    return Audit(
        feature=feature,
        at=at,
        question=question,
        answer=answer,
        request_id=request_id,
        source=source,
        judge=judge,
        right=bool(correct),
        propensity=propensity,
        probability=probability,
        threshold=threshold,
        reason=reason,
        evidence=None if blob is None else np.frombuffer(blob, "<f2").astype(np.float32),
        engine=engine,
        tenant=tenant,
        users=users_from(users),
    )
