"""What is in a SQLite file of ours over time: how a new one is made, and an older one brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Schema"]


class Schema(NamedTuple):
    """A kind of file.

    Attributes:
        application_id: Four bytes in the file's header, which tell it from any other SQLite file.
        steps: What makes version 1 of an empty file, version 2 of version 1, and so on: SQL statements.
    """

    application_id: int
    steps: tuple[str, ...]

    @property
    def version(self) -> int:
        """`PRAGMA user_version` of an up-to-date file."""
        return len(self.steps)

    def version_of(self, connection: sqlite3.Connection) -> int:
        """A file's version, 0 of a new one.

        Raises OSError for another program's file and for one that a later version of askonce wrote, left untouched.
        """
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if connection.execute("PRAGMA application_id").fetchone()[0] == self.application_id:
            if not 1 <= version <= self.version:
                raise OSError(
                    f"it has schema {version}, this version of askonce knows those up to {self.version}"
                )
            return int(version)
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise OSError("it is another program's SQLite file")
        return 0

    def bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Takes a file to the present schema, whole or not at all. Raises sqlite3.Error, and OSError as `version_of`."""
        version = self.version_of(connection)
        if version == self.version:
            return
        connection.execute("BEGIN IMMEDIATE")
        for step in self.steps[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self.application_id}")
        connection.execute(f"PRAGMA user_version = {self.version}")
        connection.execute("COMMIT")
