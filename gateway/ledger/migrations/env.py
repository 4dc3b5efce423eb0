"""Run by Alembic; upgrading.py has opened the transaction in which everything happens or nothing."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
