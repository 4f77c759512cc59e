"""What load tests share: clients, servers as processes, and the requests that they send."""
