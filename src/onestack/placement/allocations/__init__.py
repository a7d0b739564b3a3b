"""Allocations: who has been given how much of what."""
