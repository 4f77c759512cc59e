"""How a command begins and how it ends: options, threads, signals, one line where something is wrong."""
