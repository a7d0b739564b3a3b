"""The ground floor: what every service stands on; it knows no service."""
