"""This student, DistilBERT and the field, side by side: ``python -m loadtest.compare``.

Every side lives in a process of its own (``worker``), so that its memory, its load time and its threads are its own.
Sides take turns on the same texts, round after round (``rounds``).
"""
