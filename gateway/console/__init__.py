"""The back office (后台) of the agency's staff: pages and a JSON API over the ledger, in a process of its own.

operations.py lists what can be done; pages and API are two ways to the same entries, with the same powers.
"""
