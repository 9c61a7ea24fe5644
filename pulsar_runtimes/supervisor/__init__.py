"""When to start, restart and give up instances."""
