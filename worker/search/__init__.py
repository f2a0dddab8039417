"""Finding a recipe that keeps to a budget: READ THIS FIRST.

space.py      what may be tried of a model: choices -> a recipe; the choices to begin with
sampling.py   the next choices, by what the earlier trials came to (Optuna)
advancing.py  what a search does next, each time one of its jobs has ended

Nothing is kept in memory from one time to the next: a search is rebuilt from its jobs. Torch is never imported here.
"""
