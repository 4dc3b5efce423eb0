"""Channels: who calls, and with which credential."""
