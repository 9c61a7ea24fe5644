"""The function service: what is registered, and that this worker runs it."""
