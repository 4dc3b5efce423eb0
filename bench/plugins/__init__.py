"""Parts that only the benchmark's configuration names."""
