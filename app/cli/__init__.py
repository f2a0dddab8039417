"""The command `modelpress`: `service.py` runs the service, every other file is one noun of a running one.

Commands import what they need when they run, so that `modelpress --help` answers at once.
"""

from app.cli.root import main

__all__ = ["main"]
