"""Minimal pairs by construction: sentences that differ in order, polarity or number, with labels that follow."""
