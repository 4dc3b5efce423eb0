"""The parts that YAML can name. Each is one file (settings, class, done) and uses only what `gateway` re-exports."""
