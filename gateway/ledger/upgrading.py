"""Brings a database to the newest schema with Alembic, in the transaction of whoever asks."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Take every step that is missing, in the transaction that is open on this connection.

    Args:
        connection: of the ledger's database.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def known_schemas() -> list[str]:
    """Every schema there ever was, the newest first."""
    return [step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
