"""Which single weights to remove.

weights    those that pruning may touch, and their zeros
criteria   a score for each weight: the lowest go
patterns   what is removed as one: single weights or blocks; and so many of each M neighbours
ranking    scores -> the weights to remove, for an amount
storage    how large the file is that stores no zeros
"""
