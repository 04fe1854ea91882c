"""`python -m fairlora`."""

from fairlora.cli import main

main()
