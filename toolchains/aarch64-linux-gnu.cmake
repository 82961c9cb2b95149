# Cross-compiles for 64-bit ARM (generic ARMv8-A) with Debian's cross compiler; the programs run under qemu. What the
# target needs beside its C library comes from `toolchains/bootstrap --target aarch64-linux-gnu`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Notes about an interface that GCC 10 changed, in headers of others.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)

# One word, because it goes into test programs too; the core is chosen when it runs (QEMU_CPU).
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/qemu-aarch64)

# Libraries of the target only; headers of no architecture (CLI11, nlohmann-json) are the host's packages, and
# Debian's cross compiler reads /usr/include behind its own.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
