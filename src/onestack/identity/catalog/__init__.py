"""The catalogue: regions, services and endpoints."""
