"""`cmow-dedupe` on a million rows, its threshold, and the libraries that could find its nearest texts."""
