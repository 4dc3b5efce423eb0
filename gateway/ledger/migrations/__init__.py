"""Alembic's folder: env.py runs what is in versions/. upgrading.py is the only caller."""
