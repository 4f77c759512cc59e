"""The report of a comparison: bars, charts, tables and the page."""
