"""What workers share for a while: sessions, what was used once, and what was withdrawn.

local.py serves one worker. shared.py serves any number of workers and instances with Redis, and is imported only where
gateway.yaml says `state: redis`. lending.py chooses.
"""

from gateway.state.feed import DenySet, Feed, LocalFeed
from gateway.state.local import LocalState, State
from gateway.state.memory import MemoryStore

__all__ = ["DenySet", "Feed", "LocalFeed", "LocalState", "MemoryStore", "State"]
