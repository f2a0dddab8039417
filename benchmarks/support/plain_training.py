"""The loop that one writes without this project: the same updates, the same validation, the best weights kept."""

import copy
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
HELD_BACK = 0.1


class MnistCNN(nn.Module):
    """The network of examples/train_mnist_cnn.py."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3), nn.Linear(1600, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.max_pool2d(self.conv1(images).relu(), 2)
        return self.fc(torch.flatten(nn.functional.max_pool2d(self.conv2(features).relu(), 2), 1))


def load(folder: Path) -> tuple[nn.Module, Tensor, Tensor]:
    network = MnistCNN()
    network.load_state_dict(torch.load(folder / "mnist_cnn.state_dict.pt", weights_only=True))
    with np.load(folder / "mnist5k.npz") as arrays:
        return network, torch.from_numpy(arrays["x_train"]).float(), torch.from_numpy(arrays["y_train"]).long()


def train(network: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    order = torch.randperm(len(x))
    held_back = round(HELD_BACK * len(x))
    judged, seen, learned = order[:held_back], order[held_back : 2 * held_back], order[held_back:]
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    updates = epochs * -(-len(learned) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: (1 + cos(pi * update / updates)) / 2)
    best, kept = accuracy(network, x[judged], y[judged]), copy.deepcopy(network.state_dict())
    for _ in range(epochs):
        network.train()
        for batch in learned[torch.randperm(len(learned))].split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = cross_entropy(network(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            loss.item()
        accuracy(network, x[seen], y[seen])
        if (quality := accuracy(network, x[judged], y[judged])) >= best:
            best, kept = quality, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    network.eval()
    chosen = [network(batch).argmax(1) for batch in x.split(BATCH_SIZE)]
    return float((torch.cat(chosen) == y).float().mean())
