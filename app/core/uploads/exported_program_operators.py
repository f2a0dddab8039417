"""The functions that a torch.export program may call. torch looks each up by its path, such as `torch.os.system`."""

import re

from app.core.uploads.exported_program_expressions import not_allowed
from app.core.uploads.refusals import quoted
from app.core.uploads.torchscript_operators import is_allowed, names_in

_ATEN = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]{1,100})\.[A-Za-z][A-Za-z0-9_]{0,60}")
# What exporting makes and TorchScript doesn't name.
_EXPORTED = names_in(
    """
    sym_size sym_numel sym_stride sym_storage_offset sym_constrain_range sym_constrain_range_for_size _assert_scalar
    lift_fresh_copy _local_scalar_dense convolution _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _scaled_dot_product_flash_attention_for_cpu _cdist_forward _embedding_bag
    _fused_rms_norm
    """
)
_OF_SIZES = names_in(
    """
    _operator.add _operator.sub _operator.mul _operator.floordiv _operator.truediv _operator.mod _operator.pow
    _operator.neg _operator.pos _operator.eq _operator.ne _operator.lt _operator.le _operator.gt _operator.ge
    _operator.and_ _operator.or_ _operator.not_ _operator.getitem _operator.lshift _operator.rshift math.floor math.ceil
    math.trunc torch.sym_int torch.sym_float torch.sym_max torch.sym_min torch.sym_not torch.sym_ite torch._sym_sqrt
    """
)
_BLOCKS = names_in("torch.ops.higher_order.wrap_with_set_grad_enabled torch.ops.higher_order.wrap_with_autocast")


def checked_target(text: str) -> str:
    """The same text; Invalid when a network needs no such function."""
    found = _ATEN.fullmatch(text)
    if not (found and (found[1] in _EXPORTED or is_allowed("torch", found[1]))) and text not in _OF_SIZES | _BLOCKS:
        raise not_allowed(f"{quoted(text)} is called, which is not among the operators that networks need")
    return text
