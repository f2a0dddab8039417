"""Every reason for which a file is refused, by its code."""

from app.core.errors import Invalid

TITLES = {
    "empty_file": "The file is empty",
    "truncated_file": "The file ends too early",
    "unknown_format": "The file's format is not known",
    "unsupported_format": "The file's format is not supported",
    "malformed_archive": "The zip archive is not well formed",
    "archive_member": "The archive holds a file that does not belong there",
    "archive_too_large": "The archive unpacks to too much",
    "checksum_mismatch": "The file was damaged",
    "malformed_pickle": "The pickle is not well formed",
    "pickle_not_allowed": "The pickle asks for more than tensors",
    "pickled_module": "The file holds a whole pickled module",
    "not_a_state_dict": "The file holds no state dict",
    "malformed_tensor": "A tensor does not fit its data",
    "unsupported_tensor": "A tensor is of a kind that is not supported",
    "malformed_torchscript": "The TorchScript archive is not well formed",
    "code_not_allowed": "The TorchScript code does what is not allowed",
    "malformed_exported_program": "The torch.export program is not well formed",
    "program_not_allowed": "The torch.export program does what is not allowed",
    "malformed_safetensors": "The safetensors file is not well formed",
    "malformed_array": "An array is not well formed",
    "unsupported_array": "An array is of a kind that is not supported",
    "dataset_names": "The arrays' names are not those of a data set",
    "dataset_shapes": "The arrays' shapes don't fit together",
    "image_folders": "The archive's folders are not those of a data set of images",
    "image_malformed": "An image can't be read",
    "image_sizes": "The images' size is not known",
    "image_too_large": "An image is too large",
    "transform_not_taken": "The data set has no images to transform",
}


def refusal(code: str, detail: str) -> Invalid:
    return Invalid(detail, code=code, title=TITLES[code])


def big_endian() -> Invalid:
    return refusal(
        "unsupported_format", "The file was written on a big-endian machine: save it on a little-endian one."
    )


def quoted(text: object) -> str:
    """Untrusted text for a sentence: short, on one line, without control characters."""
    shown = ascii(text if isinstance(text, str) else str(type(text).__name__))
    return shown if len(shown) <= 100 else shown[:96] + "...'"
