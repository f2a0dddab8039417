"""What a network's answers lose when one layer is changed.

yardstick    the examples, what the network answers to them, and how far other answers are off
changes      what is done to a layer: units or weights taken away, weights in fewer bits
by_layer     all layers, changed in all ways
"""
