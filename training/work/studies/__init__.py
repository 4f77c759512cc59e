"""The work of the studies."""
