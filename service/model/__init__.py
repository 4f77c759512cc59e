"""The model: the bundle, its sessions, and what is computed with them."""
