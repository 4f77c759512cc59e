"""``python -m training.adapt``."""

from training.adapt.command import main

main()
