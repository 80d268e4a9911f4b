"""`python -m tireg_cli` is `tireg`."""

from tireg_cli.main import main

main()
