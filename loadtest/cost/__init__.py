"""What a request costs beyond the model."""
