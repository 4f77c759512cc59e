"""Files of rows: read, checked, written, and gone on with."""
