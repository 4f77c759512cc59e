"""`cmow-dedupe` on a million rows, and the libraries that could find its nearest texts."""
