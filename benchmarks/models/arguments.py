"""What every bench of the models may be told."""

import argparse
from pathlib import Path


def parser(described: str, results: str) -> argparse.ArgumentParser:
    """`results` is the name of the folder in which they are kept, unless another one is given."""
    told = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("models", nargs="*", help="names; all where none is given")
    told.add_argument("--folder", type=Path, default=Path(".models"), help="with manifest.json, models and data")
    told.add_argument("--results", type=Path, default=Path("var/benchmarks", results))
    told.add_argument("--table", action="store_true", help="measure nothing, print what is known")
    return told
