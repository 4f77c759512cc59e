"""Benchmarks and demonstrations of the running service; ``dispatch`` and ``compare`` also run it in process."""
