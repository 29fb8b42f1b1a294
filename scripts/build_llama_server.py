"""Builds llama.cpp's `llama-server`, for the tests that talk to a real LLM server, and prints where it is.

The source is the one that the sdist of llama-cpp-python (MIT) carries; pip fetches it, and cmake and ninja. It takes a C++ compiler,
four minutes of two cores, and 500 MB of disk meanwhile; what stays is one program of 40 MB in `.cache/llama`, ignored by git, which
later runs find there.

    python scripts/build_llama_server.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from hashlib import sha256
from pathlib import Path
from typing import Final

SDIST: Final = "llama_cpp_python-0.3.36"
REQUIREMENT: Final = (
    "llama-cpp-python==0.3.36"
    " --hash=sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e\n"
)
TOOLS: Final = ("cmake==4.4.4", "ninja==1.13.2")
OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    # A model of a megabyte needs no optimiser, and building takes a fifth less without it.
    "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG",
    "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_OPENMP=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
)
TOGETHER: Final = """\
function(compile_together)
    set_target_properties(llama-common mtmd PROPERTIES UNITY_BUILD ON)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/common/json.cpp TARGET_DIRECTORY llama-common
        PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    set_source_files_properties(
        ${CMAKE_SOURCE_DIR}/tools/mtmd/mtmd-helper.cpp ${CMAKE_SOURCE_DIR}/tools/mtmd/mtmd-helper-gen.cpp
        TARGET_DIRECTORY mtmd PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL compile_together)
"""
"""Has cmake put small files together, eight at a time: that halves the build. The files left out can't be with others."""
CACHE: Final = Path(__file__).parents[1] / ".cache" / "llama"


def binary() -> Path:
    """Where the program is, or will be: another source or other options make another one."""
    recipe = sha256("\n".join((REQUIREMENT, *TOOLS, *OPTIONS, TOGETHER)).encode()).hexdigest()[:12]
    return CACHE / f"llama-server-{recipe}"


def build(target: Path) -> None:
    """Builds in a scratch folder beside `target`, and moves the program there once it is whole.

    Raises:
        SystemExit: there is no C++ compiler, or a step fails; its own output says why.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        sys.exit("llama-server needs a C++ compiler: apt-get install g++")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as scratch:
        folder = Path(scratch)
        source = fetch_source(folder)
        tools = install_tools(folder / "tools")
        built = folder / "build"
        together = folder / "together.cmake"
        together.write_text(TOGETHER)
        setup = (
            *("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}"),
            f"-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES={together}",
        )
        run(tools / "cmake", "-S", source, "-B", built, *setup, *OPTIONS)
        cores = len(os.sched_getaffinity(0))
        run(tools / "cmake", "--build", built, "--target", "llama-server", "--parallel", cores)
        (built / "bin" / "llama-server").replace(target)


def fetch_source(folder: Path) -> Path:
    """The sdist's llama.cpp."""
    requirement = folder / "requirement.txt"
    requirement.write_text(REQUIREMENT)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-binary", "llama-cpp-python", "--dest", folder, "-r", requirement)
    inside = f"{SDIST}/vendor/llama.cpp/"
    with tarfile.open(folder / f"{SDIST}.tar.gz") as sdist:
        members = [member for member in sdist if member.name.startswith(inside)]
        sdist.extractall(folder, members, filter="data")
    return folder / inside


def install_tools(folder: Path) -> Path:
    """Installs cmake and ninja in an environment of their own; the folder of its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
    return programs


def run(*command: object) -> None:
    """Runs a step; its output goes to this program's errors, as its own output is the path alone."""
    step = [str(part) for part in command]
    if subprocess.run(step, stdout=sys.stderr, check=False).returncode != 0:  # noqa: S603 - our own steps
        sys.exit(f"failed: {' '.join(step)}")


def main() -> None:
    """Prints the program's path, after building it where it isn't there."""
    target = binary()
    if not target.exists():
        build(target)
    print(target)


if __name__ == "__main__":
    main()
