"""Kinds of minimal pairs, by what decides: roles, order, amounts, polarity, switches, and real sentences."""
