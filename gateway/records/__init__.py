"""What is remembered of every request and of the gateway itself: records, log, metrics (docs/records.md)."""
