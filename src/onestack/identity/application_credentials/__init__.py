"""Application credentials: programs act for a user, with some of its roles on one project."""
