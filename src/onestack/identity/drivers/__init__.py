"""Drivers: the kinds of directories that users and groups may live in."""
