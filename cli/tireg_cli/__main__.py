"""`python -m tireg_cli` is `tireg`."""

from tireg_cli.launch import main

main()
