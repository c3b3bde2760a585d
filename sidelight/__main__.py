"""`python -m sidelight`."""

from sidelight.cli import main

main()
