"""Volumes: disks that outlive the servers that use them."""
