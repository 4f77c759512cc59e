"""The work of the paper's own method."""
