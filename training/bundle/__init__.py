"""From a run to a bundle, and back: the student as it is served, and what is read from a bundle to train on."""
