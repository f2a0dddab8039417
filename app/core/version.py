"""This installation's version, read when the process starts: a child in the sandbox may not be able to."""

from importlib.metadata import version

VERSION = version("modelpress")
