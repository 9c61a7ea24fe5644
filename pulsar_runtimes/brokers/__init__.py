"""Brokers that a worker starts for itself when its configuration names no ``pulsarServiceUrl``."""
