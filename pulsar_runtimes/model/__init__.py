"""Frozen data, names and errors that every layer shares. Standard library only."""
