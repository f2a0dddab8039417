"""TorchScript archives that keep their own forward, because it can't be rebuilt: what they change when they run, and
networks whose layers are edited here while the archive goes on calling them."""
