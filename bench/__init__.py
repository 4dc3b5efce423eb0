"""Side-by-side measurements of Tongguan against its peers; ``docs/performance.md`` tells the results."""
