"""Servers: guests, from their creation to their end."""
