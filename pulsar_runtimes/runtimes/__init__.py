"""The contract between pfrun and its backends, and the look-up of a backend by name."""
