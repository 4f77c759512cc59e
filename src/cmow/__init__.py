"""Scores sentence pairs, similarity and entailment, with a matrix-embedding student instead of a transformer."""
