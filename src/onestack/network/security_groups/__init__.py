"""Security groups: what may reach a port, and what may leave it."""
