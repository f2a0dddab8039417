"""How large the parts of an upload may be. The size of the file itself is the receiver's limit."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

CHUNK_BYTES = MIB

ARCHIVE_MEMBERS = 16_384
DIRECTORY_BYTES = 16 * MIB

PICKLE_BYTES = 32 * MIB
PICKLE_OPCODES = 500_000
PICKLE_NESTING = 200

TENSORS = 10_000
TENSOR_NAME_LENGTH = 512
TENSOR_RANK = 16
TENSOR_ELEMENTS = 1 << 48
# Tied weights are written once for each name; a file whose tensors overlap more than this has another purpose.
CONVERTED_TO_UPLOADED_RATIO = 4

# The format allows 100 MB; this holds as many tensors as are accepted, with names of the longest kind.
SAFETENSORS_HEADER_BYTES = 16 * MIB

CODE_FILE_BYTES = 8 * MIB
BESIDE_RECORDS_BYTES = 64 * MIB
CODE_NESTING = 200

PROGRAM_BYTES = 32 * MIB
EXPRESSION_LENGTH = 8192
EXPRESSION_NESTING = 100

NPY_HEADER_BYTES = 10_000
ARRAYS = 128
# Deflate reaches 1 : 1032; arrays that carry information stay far below this.
INFLATED_TO_UPLOADED_RATIO = 50
INFLATED_BYTES_ALWAYS_ALLOWED = 64 * MIB
INFLATED_BYTES = 16 * GIB

IMAGE_BYTES = 32 * MIB
# Camera files have their description and a preview before the size.
IMAGE_HEADER_BYTES = MIB
IMAGE_PIXELS = 1 << 25
# Without a size to which they are resized.
IMAGE_SIDE = 1024
