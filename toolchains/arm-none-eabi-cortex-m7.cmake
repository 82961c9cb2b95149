# Cortex-M7 on Arm's MPS2 with image AN500, which qemu emulates.
set(QAMA_CORE cortex-m7)
set(QAMA_BOARD mps2-an500)
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
