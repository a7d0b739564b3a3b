"""Metadata definitions: what may be said of images, flavours and volumes, and what it means."""
