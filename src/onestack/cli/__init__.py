"""The onestack command."""


def main() -> None:
    """Entry point."""
