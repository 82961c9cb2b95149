# Any 32-bit ARM from ARMv7-A on, hard float, as Debian's armhf: NEON is used where the machine has it.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
