"""Memory that glibc keeps instead of giving it back to the system, and when it does give it back.

A layer's activations go and come again with each batch. By default they are mapped anew each time, and every page of
them faults: an eighth of what training a small convolutional network takes. Processes that measure don't do this, since
those in which a file will run don't either.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 128 << 20
_LARGEST_IN_THE_HEAP = 32 << 20  # glibc takes no more


def keep_freed_memory() -> None:
    """Elsewhere than on glibc nothing happens, here and below."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
        set_option(_MMAP_THRESHOLD, _LARGEST_IN_THE_HEAP)


def give_back_freed_memory() -> None:
    """Before other work begins: what one runtime has left would stay beside what the next one takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
