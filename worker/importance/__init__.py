"""What can be asked of a network and its data before something is taken away: how much does each weight, each unit
matter? Shared by all pruning techniques."""
