"""Projects, and the domains and trees that they form."""
