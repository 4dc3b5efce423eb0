"""Identity platforms of other provinces and of the line, simulated well enough to succeed and to fail as they do.

One file each; the gateway's plugins/platforms/ are the counterparts. `sandbox.platforms` runs all of them.
"""

from sandbox.dialects.making import create_dialects, create_national

__all__ = ["create_dialects", "create_national"]
