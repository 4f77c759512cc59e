"""The encoder's fused CPU kernels for training, and their binding."""
