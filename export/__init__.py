"""Export of a trained student to the bundle that the service runs, and the native op in it."""
