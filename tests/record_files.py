"""Records of a process that runs, read while it writes (gateway/records/sink.py)."""

import json


def records_in(file):
    """What a file of JSON lines holds so far, as data; half a line, which is being written, is none yet.

    Empty lines are skipped, as docs/records.md asks of readers.
    """
    whole = file.read_bytes().rpartition(b"\n")[0] if file.exists() else b""
    return [json.loads(line) for line in whole.splitlines() if line]
