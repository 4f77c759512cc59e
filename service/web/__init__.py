"""What a request passes before and after an endpoint."""
