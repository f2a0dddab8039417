"""What of a network can be taken away together, and taking it away.

analysis.py    walks the graph once and says, for every index of every parameter, with which others it must go
rules/         what each operator does to the dimensions of a tensor, one file for each family
groups.py      the removable units: channels, neurons, heads, hidden units, and the slices of parameters they own
criteria.py    how much a unit matters
selection.py   which units go, for a ratio in a scope
removal.py     cutting parameters, and mending the sizes that a graph has baked in
ladder.py      full -> feed-forward and heads -> feed-forward -> nothing, each step verified
pruning.py     `prune`: all of it, for one amount
"""
