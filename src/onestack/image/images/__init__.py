"""Images: what is known of them, and their data."""
