"""The student: encoder, heads, and its packed batches."""
