"""The contestants; each module is imported only in the process of its side."""
