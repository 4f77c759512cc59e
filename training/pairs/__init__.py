"""Sentence pairs: mined for the pair teacher, edited, and packed with their labels."""
