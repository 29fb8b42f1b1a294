"""A gateway's store, read beside the running gateway without touching it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import orjson

from askonce.evaluation.sets import BadFile
from askonce.evaluation.tuning import FeatureRecord
from askonce.pipeline.account import state_name
from askonce.stores import audits as audit_rows
from askonce.stores.meta import kept_value
from askonce.stores.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from askonce.model import Audit

__all__ = ["read_audits", "read_store"]

_BUSY_TIMEOUT_S: Final = 5.0
_AUDITS_AT_ONCE: Final = 2_000
_COSTS: Final = """
SELECT feature, avg(cost_nanousd) / 1e9 FROM entries WHERE cost_nanousd IS NOT NULL GROUP BY feature
"""


def read_store(path: Path) -> list[FeatureRecord]:
    """What the store knows of each feature that it has audits of, by name.

    Raises:
        BadFile: There is no such file, it isn't askonce's, it is of another version, or it can't be read.
    """
    with _opened(path) as connection:
        return _records(connection)


def read_audits(path: Path) -> Iterator[Audit]:
    """The store's audits one after another, oldest first: there may be many. Raises as `read_store` does."""
    with _opened(path) as connection:
        yield from _audits(connection)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise BadFile(path, None, "no such store")
    try:
        with closing(_open(path)) as connection:
            version = SCHEMA.version_of(connection)
            if version != SCHEMA.version:
                raise BadFile(
                    path,
                    None,
                    f"has schema {version}, not {SCHEMA.version}: a gateway of this version renews it",
                )
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise BadFile(path, None, str(error)) from None


def _records(connection: sqlite3.Connection) -> list[FeatureRecord]:
    costs: dict[str, float] = dict(connection.execute(_COSTS).fetchall())
    features: dict[str, list[Audit]] = {}
    for audit in _audits(connection):
        features.setdefault(audit.feature, []).append(audit)
    return [
        FeatureRecord(name, features[name], _requests(connection, name), costs.get(name))
        for name in sorted(features)
    ]


def _requests(connection: sqlite3.Connection, feature: str) -> int | None:
    """Those that the tier was asked about; None where nobody has counted them."""
    state = kept_value(connection, state_name(feature))
    return None if state is None else int(orjson.loads(state)["requests"])


def _open(path: Path) -> sqlite3.Connection:
    """Read-only; where no gateway runs there is no log beside the file, and nothing that could change it."""
    running = path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?mode=ro{'' if running else '&immutable=1'}"
    return sqlite3.connect(address, timeout=_BUSY_TIMEOUT_S, uri=True)


def _audits(connection: sqlite3.Connection) -> Iterator[Audit]:
    after = 0
    while True:
        after, batch = audit_rows.find(connection, None, after, _AUDITS_AT_ONCE)
        yield from batch
        if not after:
            return
