"""What every stage shares: options, losses, optimisers, checkpoints and the loop itself."""
