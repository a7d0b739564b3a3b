"""Floating IPs: addresses of the outside that lead to ports inside."""
