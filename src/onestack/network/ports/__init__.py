"""Ports: where something is connected to a network."""
