"""Unified identity without HTTP: logins under way, sessions, notices, the routed question, what was withdrawn."""
