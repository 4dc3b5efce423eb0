"""What can be measured, in the order of the report; a new measure is one module here and one line below."""

from __future__ import annotations

from collections.abc import Sequence

from bench.context import Measure
from bench.measures.bulk import Bulk
from bench.measures.ferry import Ferry
from bench.measures.idle import Idle
from bench.measures.latency import Latency
from bench.measures.reauthorization import Reauthorization
from bench.measures.refusal import Refusal
from bench.measures.sessions import Sessions
from bench.measures.sizes import Grants, Items
from bench.measures.startup import Startup
from bench.measures.throughput import Throughput

MEASURES: Sequence[Measure] = (
    Throughput(),
    Latency(),
    Ferry(),
    Sessions(),
    Items(),
    Grants(),
    Reauthorization(),
    Idle(),
    Bulk(),
    Startup(),
    Refusal(),
)
