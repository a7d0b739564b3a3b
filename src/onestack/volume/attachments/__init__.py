"""Attachments: which server uses a volume, and how it reaches it."""
