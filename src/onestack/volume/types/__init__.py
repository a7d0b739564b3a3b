"""Volume types: what kinds of volumes a cloud offers."""
