"""The service and the bulk command on a Ray cluster."""
