# Cortex-M55 on Arm's MPS3 with image AN547, which qemu emulates.
set(QAMA_CORE cortex-m55)
set(QAMA_BOARD mps3-an547)
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
