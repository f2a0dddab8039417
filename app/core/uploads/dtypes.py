"""The element types of tensors and arrays, and what each format calls them."""

from typing import NamedTuple


class Dtype(NamedTuple):
    """`safetensors` and `npy` are empty where an upload may not hold the type in that format."""

    name: str
    size: int
    safetensors: str = ""
    npy: str = ""
    storage: str = ""


ALL = (
    Dtype("float64", 8, "F64", "<f8", "DoubleStorage"),
    Dtype("float32", 4, "F32", "<f4", "FloatStorage"),
    Dtype("float16", 2, "F16", "<f2", "HalfStorage"),
    Dtype("bfloat16", 2, "BF16", "", "BFloat16Storage"),
    Dtype("int64", 8, "I64", "<i8", "LongStorage"),
    Dtype("int32", 4, "I32", "<i4", "IntStorage"),
    Dtype("int16", 2, "I16", "<i2", "ShortStorage"),
    Dtype("int8", 1, "I8", "|i1", "CharStorage"),
    Dtype("uint64", 8, "U64", "<u8"),
    Dtype("uint32", 4, "U32", "<u4"),
    Dtype("uint16", 2, "U16", "<u2"),
    Dtype("uint8", 1, "U8", "|u1", "ByteStorage"),
    Dtype("bool", 1, "BOOL", "|b1", "BoolStorage"),
    Dtype("complex128", 16, storage="ComplexDoubleStorage"),
    Dtype("complex64", 8, storage="ComplexFloatStorage"),
    Dtype("complex32", 4),
    Dtype("float8_e4m3fn", 1),
    Dtype("float8_e4m3fnuz", 1),
    Dtype("float8_e5m2", 1),
    Dtype("float8_e5m2fnuz", 1),
    Dtype("float8_e8m0fnu", 1),
    Dtype("float4_e2m1fn_x2", 1),
    Dtype("qint8", 1, storage="QInt8Storage"),
    Dtype("quint8", 1, storage="QUInt8Storage"),
    Dtype("qint32", 4, storage="QInt32Storage"),
    Dtype("quint4x2", 1, storage="QUInt4x2Storage"),
    Dtype("quint2x4", 1, storage="QUInt2x4Storage"),
)
BY_NAME = {dtype.name: dtype for dtype in ALL}
BY_STORAGE = {dtype.storage: dtype for dtype in ALL if dtype.storage} | {"UntypedStorage": BY_NAME["uint8"]}
BY_SAFETENSORS = {dtype.safetensors: dtype for dtype in ALL if dtype.safetensors}
BY_NPY = {dtype.npy: dtype for dtype in ALL if dtype.npy}
