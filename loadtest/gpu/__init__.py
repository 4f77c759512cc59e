"""Kernels, sessions and DistilBERT on a GPU: ``python -m loadtest.gpu``."""
