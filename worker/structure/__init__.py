"""What of a network can be taken away together, and taking it away.

rounds.py      `prune_in_rounds`: START HERE, the whole of a step: prune, train, prune again
pruning.py     `prune`: one round: full -> feed-forward and heads -> feed-forward -> nothing (`ladder.py`)
candidates.py  a network with a step: its groups, their scores, the network without some of them, verified
analysis.py    walks the graph and says, for every index of every parameter, with which others it must go (`atoms.py`)
rules/         what each operator does to the dimensions of a tensor, one file for each family
groups.py      the units that can go: channels, neurons, heads, hidden units, and the slices of parameters they own
criteria.py    how much a unit matters
elimination.py how much to the layers that read it, if their other weights make up for it
damage.py      how much to the network's answers, for what it costs
amounts.py     how many units a group loses (`search.py`: for a target), `selection.py`: which
removal.py     cutting parameters, and with `sizes.py` the sizes that a graph holds as numbers
reconstruction.py solving the weights that read what went anew

An operator that units should be followed through is one function in `rules/`: it gets the marks of its operands'
dimensions and gives those of its answer, joining what must go together. Everything else follows.
"""
