"""What a network's answers lose when one layer is changed.

yardstick    the examples, what the network answers to them, and how far other answers are off
"""
