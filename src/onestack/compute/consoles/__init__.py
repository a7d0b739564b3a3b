"""Consoles: what guests print, and their screens, in a browser."""
