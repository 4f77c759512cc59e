"""Benchmarks and demonstrations of the running service. They speak HTTP; only ``dispatch`` runs it in process."""
