"""Named recipes. Each is a list of choices; the first whose every step the model and the data allow is taken."""

from collections.abc import Collection
from typing import Literal

from app.core.recipes import TECHNIQUES, DynamicQuantization, StaticQuantization, Step
from app.core.schemas import Schema

PresetName = Literal["small", "fast", "safe"]


class Preset(Schema):
    name: PresetName
    summary: str
    choices: tuple[tuple[Step, ...], ...]

    def steps(self, available: Collection[str], *, has_data: bool) -> tuple[Step, ...]:
        """The first choice that works; the last one has no step and always does."""
        for steps in self.choices:
            if all(s.technique in available and (has_data or not TECHNIQUES[s.technique].needs_data) for s in steps):
                return steps
        return ()


PRESETS: dict[PresetName, Preset] = {
    "small": Preset(
        name="small",
        summary="The smallest file: int8 weights wherever the runtime has kernels for them.",
        choices=((StaticQuantization(),), (DynamicQuantization(),), ()),
    ),
    "fast": Preset(
        name="fast",
        summary="The shortest time for one call: calibrated int8 with data, else int8 linear and LSTM layers.",
        choices=((StaticQuantization(examples=200),), (DynamicQuantization(),), ()),
    ),
    "safe": Preset(
        name="safe",
        summary="No weight is changed: the network as it is, in the faster runtime.",
        choices=((),),
    ),
}
