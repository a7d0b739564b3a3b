"""OAuth 1.0a: users let consumers act for them, with some of their roles on one project."""
