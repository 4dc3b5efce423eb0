"""Unified identity: what has been withdrawn, and later login, sessions and single logout."""
