"""Directories: domains whose users and groups are kept elsewhere, and shown here as rows."""
