"""The processors and the native libraries of this machine."""
