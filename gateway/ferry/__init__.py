"""The simulated gatekeeper (网闸): whole, inspected messages between two units, never a session (docs/ferry.md)."""
