"""Verdicts: what the model's answers come to, in steps of which each asks only about what the last one left open."""
