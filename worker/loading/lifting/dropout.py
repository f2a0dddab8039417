"""Dropout of every kind. It is off in the uploaded network and works again in training mode."""

from torch import nn

from worker.loading.lifting.call import Call, shape_of
from worker.loading.lifting.layer import Layer, lifts

CHANNELWISE = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}


@lifts("dropout")
def dropout(call: Call) -> Layer | None:
    return Layer(nn.Dropout(call["p"]), (call["input"],)) if call.are_constant("p") else None


@lifts("alpha_dropout")
def alpha_dropout(call: Call) -> Layer | None:
    return Layer(nn.AlphaDropout(call["p"]), (call["input"],)) if call.are_constant("p") else None


@lifts("feature_alpha_dropout")
def feature_alpha_dropout(call: Call) -> Layer | None:
    return Layer(nn.FeatureAlphaDropout(call["p"]), (call["input"],)) if call.are_constant("p") else None


@lifts("feature_dropout")
def feature_dropout(call: Call) -> Layer | None:
    kind = CHANNELWISE.get(len(shape_of(call["input"])), nn.Dropout)
    return Layer(kind(call["p"]), (call["input"],)) if call.are_constant("p") else None
