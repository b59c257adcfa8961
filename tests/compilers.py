"""Whether torch finds a C++ compiler here, with which it compiles for a CPU."""

import pytest
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler


def has_compiler() -> bool:
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="compiling for a CPU needs a C++ compiler")
