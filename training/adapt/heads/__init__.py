"""The fit of a head: what it reads, how long it is fitted, and what its answers are worth then."""
