"""`python -m app.cli`: how `serve` starts its API, whatever the search path holds."""

from app.cli.root import main

main()
