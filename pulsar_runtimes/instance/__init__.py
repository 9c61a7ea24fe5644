"""The Python function instance: a child's main program, and what the thread backend runs inside the worker."""
