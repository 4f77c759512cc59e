"""Load that lasts or hurts: overload, soak, stop, conformance, a killed worker."""
