"""`python -m gateway.cli` is `tongguan`."""

from gateway.cli import main

main()
