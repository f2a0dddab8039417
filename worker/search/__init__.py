"""Finding a recipe that keeps to a budget: READ THIS FIRST.

choosing.py     choices, and who makes them
space.py        what may be tried of a model: choices -> a recipe
precisions.py   of that, what is done to its numbers
suggestions.py  the next choices: what is known to work, the best networks in other precisions, then
sampling.py     what follows from what the earlier trials came to (Optuna)
stopping.py     whether a trial that is still in training is hopeless (Optuna)
advancing.py    what a search does next, each time one of its jobs has ended

Nothing is kept in memory from one time to the next: a search is rebuilt from its jobs. Torch is never imported here.
"""
