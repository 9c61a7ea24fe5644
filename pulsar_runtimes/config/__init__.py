"""YAML and JSON text to typed values, or one good list of errors. The only door to ``yaml``."""
