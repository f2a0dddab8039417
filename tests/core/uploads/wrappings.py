"""Contents that only count inside a file whose frame is right, and the frames: damage to a content gets past them."""

import json
from collections.abc import Callable

from tests.core.uploads.pickle_builder import MODULE_CODE, legacy, pickled, safetensors, script, tensor, torch_zip
from tests.core.uploads.program_builder import exported_program, model
from tests.core.uploads.samples_of_datasets import npy
from tests.core.uploads.samples_of_images import images, jpeg
from tests.core.uploads.zip_builder import Member, zip_file

PICKLE = pickled({"state_dict": {"w": tensor(), "b": tensor()}, "epoch": 3, "names": ["a", 1.5, None, True, b"x"]})
SAFETENSORS = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"a":"b"}}'

WRAPPED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "pickle": (PICKLE, torch_zip),
    "script-pickle": (pickled(tensor()), lambda content: script(changed={"data.pkl": content})),
    "constants": (pickled((tensor(),)), lambda content: script(changed={"constants.pkl": content})),
    "code": (MODULE_CODE.replace("BODY", 'getattr(x, "w")').encode(), lambda content: script(code=content)),
    "program": (json.dumps(model()).encode(), exported_program),
    "legacy": (legacy(), bytes),
    "safetensors": (SAFETENSORS, lambda content: safetensors(content, bytes(8))),
    "image": (jpeg(), lambda content: images("", None, a=content).content),
    "npy": (npy(), lambda content: zip_file(Member("x.npy", content))),
}
