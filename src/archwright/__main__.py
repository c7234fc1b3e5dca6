"""`python -m archwright` is the command."""

from archwright.cli import main

if __name__ == "__main__":
    main()
