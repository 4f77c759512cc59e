"""The work of the commands around minimal pairs."""
