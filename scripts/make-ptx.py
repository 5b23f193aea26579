#!/usr/bin/env python3
"""Compiles native/kernels/move.cu to PTX and writes it into native/kernels/move_ptx.h.

    python3 scripts/make-ptx.py            after a change of the kernel
    python3 scripts/make-ptx.py --check    whether the header is what the kernel gives

Needs no GPU and no CUDA toolkit: NVIDIA's run-time compiler comes from PyPI into a temporary virtual environment
(23 MB). It is an old one on purpose: a driver loads PTX of its own age and older only. 11.8 writes PTX 7.8, which
drivers from 520 on take; for compute_70, which they compile further for whichever GPU they find.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile
import venv

COMPILER = "nvidia-cuda-nvrtc-cu11==11.8.89"
OPTIONS = ["--gpu-architecture=compute_70", "--std=c++17"]
KERNELS = pathlib.Path(__file__).resolve().parent.parent / "native" / "kernels"
SOURCE = KERNELS / "move.cu"
HEADER = KERNELS / "move_ptx.h"

TEMPLATE = """\
// Made by scripts/make-ptx.py from native/kernels/move.cu, with {compiler} and {options}.
// Do not edit: change the .cu and run the script.
#pragma once

namespace kvo {{

// Of the function kvo_move, for cuModuleLoadData.
inline constexpr char kMovePtx[] = R"ptx({ptx})ptx";

}}  // namespace kvo
"""


def fetch(folder):
    """Installs the compiler below `folder` and returns its library's path."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--only-binary", ":all:", COMPILER], check=True)
    return next(folder.glob("lib/python*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.*"))


def text_of(library, size_name, get_name, program):
    size = ctypes.c_size_t()
    if getattr(library, size_name)(program, ctypes.byref(size)) != 0:
        raise SystemExit(f"make-ptx: {size_name} failed")
    text = ctypes.create_string_buffer(size.value)
    if getattr(library, get_name)(program, text) != 0:
        raise SystemExit(f"make-ptx: {get_name} failed")
    return text.value.decode()


def compiled(library_path, source):
    """The PTX of `source`, as the compiler writes it."""
    # The compiler looks for its built-ins by name alone; they are found where they are loaded already.
    for built_ins in library_path.parent.glob("libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(built_ins), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(library_path))
    program = ctypes.c_void_p()
    if library.nvrtcCreateProgram(ctypes.byref(program), source, b"move.cu", 0, None, None) != 0:
        raise SystemExit("make-ptx: nvrtcCreateProgram failed")
    options = (ctypes.c_char_p * len(OPTIONS))(*(option.encode() for option in OPTIONS))
    failed = library.nvrtcCompileProgram(program, len(OPTIONS), options)
    log = text_of(library, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", program)
    # Warnings too: none passes.
    if failed != 0 or log.strip():
        raise SystemExit(f"make-ptx: {SOURCE}:\n{log}")
    return text_of(library, "nvrtcGetPTXSize", "nvrtcGetPTX", program)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the header is another")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="make-ptx-") as folder:
        ptx = compiled(fetch(pathlib.Path(folder)), SOURCE.read_bytes())
    header = TEMPLATE.format(compiler=COMPILER, options=" ".join(OPTIONS), ptx=ptx)
    if not check:
        HEADER.write_text(header)
        print(f"make-ptx: wrote {HEADER}")
    elif not HEADER.exists() or HEADER.read_text() != header:
        sys.exit(f"make-ptx: {HEADER} is not what {SOURCE.name} gives: run scripts/make-ptx.py")
    else:
        print(f"make-ptx: {HEADER.name} is what {SOURCE.name} gives")


main()
