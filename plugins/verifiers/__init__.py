"""Verifiers: whose credential it is."""
