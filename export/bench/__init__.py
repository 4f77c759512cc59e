"""Benchmarks of the ops and of the way from text to embedding."""
