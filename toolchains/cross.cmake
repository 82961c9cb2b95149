# What the toolchain files of other machines share; they set CMAKE_SYSTEM_PROCESSOR and CMAKE_LIBRARY_ARCHITECTURE first.
# Debian's cross compiler of that name compiles; the programs run under qemu. What the target needs beside its C library
# comes from `toolchains/bootstrap --target TRIPLET`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${CMAKE_LIBRARY_ARCHITECTURE}-gcc)
set(CMAKE_CXX_COMPILER ${CMAKE_LIBRARY_ARCHITECTURE}-g++)
# Notes about an interface that GCC 10 changed, in headers of others.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)

# One word, because it goes into test programs too; the core is chosen when it runs (QEMU_CPU).
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/emulate)

# Libraries of the target only; headers of no architecture (CLI11, nlohmann-json) are the host's packages, and
# Debian's cross compiler reads /usr/include behind its own.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
