"""Migrations: servers' ways from one host, or one size, to another."""
