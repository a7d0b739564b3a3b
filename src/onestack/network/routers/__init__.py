"""Routers: how networks reach each other, and the world outside."""
