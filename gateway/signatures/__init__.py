"""Signatures over whole requests: keys.py says by whose, freshness.py how old, templates.py and messages.py over what.

Channels use these through the gateway package; tokens/ has the signatures of tokens.
"""
