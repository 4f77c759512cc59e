"""The graphs of a bundle: traced modules, int8 layers, shared weights."""
