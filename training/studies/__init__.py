"""What explains the model: ablations, curves, figures, and the speed of the training op."""
