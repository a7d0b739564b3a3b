"""Lets `python -m onestack.cli` do what `onestack` does."""

from onestack.cli import main

if __name__ == "__main__":
    main()
