"""Files to rows: formats, labels, where data and models come from, and how a result came to be."""
