"""The one line of the schema's history."""
