"""onestack: OpenStack, done right, in one Python package."""

__version__ = "0.1.0"
