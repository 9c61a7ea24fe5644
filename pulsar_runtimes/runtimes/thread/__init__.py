"""Instances as threads of the worker."""
