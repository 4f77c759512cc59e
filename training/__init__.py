"""Training of the student: data, teacher, encoder ops, optimiser and one entry point per stage."""
