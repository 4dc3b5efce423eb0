"""Carrying requests to business systems: `direct` into the external zone, `ferry` across the gatekeeper."""
