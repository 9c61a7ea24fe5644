"""A runtime factory for pfrun that runs each Python function instance as a plain child process."""
