# Cross-compiles for 64-bit ARM (generic ARMv8-A) with Debian's cross compiler; the programs run under qemu. What the
# target needs beside its C library comes from `toolchains/bootstrap --target aarch64-linux-gnu`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# The core that tests run on: -DQAMA_QEMU_CPU=cortex-a53, cortex-a72, cortex-a76 or max.
set(QAMA_QEMU_CPU cortex-a72 CACHE STRING "Core that qemu shows to the tests")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -cpu ${QAMA_QEMU_CPU} -L /usr/aarch64-linux-gnu)

# Libraries of the target only; headers of no architecture (CLI11, nlohmann-json, stb) are the host's packages, and
# Debian's cross compiler reads /usr/include behind its own.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
