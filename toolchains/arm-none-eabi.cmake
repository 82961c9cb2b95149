# What the toolchain files of boards share; they set QAMA_BOARD and QAMA_CORE first. Debian's compiler for Cortex-M
# without an operating system, with newlib: packages gcc-arm-none-eabi, libnewlib-arm-none-eabi and
# libstdc++-arm-none-eabi-newlib (toolchains/bootstrap --with boards).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
# A test program needs a system to link.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# newlib's int32_t is long; everywhere else it is int, and overloads depend on it.
set(CMAKE_CXX_FLAGS_INIT "-Wno-psabi -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -U__INT32_TYPE__ -D__INT32_TYPE__=int -U__UINT32_TYPE__ -D__UINT32_TYPE__=unsigned")
set(CMAKE_C_FLAGS_INIT "-mcpu=${QAMA_CORE} -mthumb -mfloat-abi=hard")
string(PREPEND CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} ")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QAMA_BOARD QAMA_CORE)
