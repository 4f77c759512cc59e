"""Who runs when, and with whom: admission, batches, deadlines."""
