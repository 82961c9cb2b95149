# WebAssembly: Debian's emscripten, tests run in Node. A module has vectors of 128 bits or none (QAMA_WASM_SIMD): one that
# holds them is refused as a whole where there are none. Libraries are those of emscripten; headers of no architecture
# (xsimd, nlohmann-json) are the host's.
set(EMSCRIPTEN_SYSTEM_PROCESSOR wasm32)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
include(/usr/share/emscripten/cmake/Modules/Platform/Emscripten.cmake)
# With fetch(), which newer ones have, Node is taken for a page.
set(CMAKE_CROSSCOMPILING_EMULATOR node --no-experimental-fetch)
# Where Debian keeps what emscripten's linker asks Node for; a Node that is not Debian's does not look there.
set(CMAKE_CXX_LINKER_LAUNCHER ${CMAKE_COMMAND} -E env NODE_PATH=/usr/share/nodejs)

# What its C++ library of that year lacks.
set(CMAKE_CXX_FLAGS_INIT "-include ${CMAKE_CURRENT_LIST_DIR}/emscripten/libcxx.h")
if(NOT DEFINED QAMA_WASM_SIMD)
  set(QAMA_WASM_SIMD ON)
endif()
set(QAMA_WASM_SIMD ${QAMA_WASM_SIMD} CACHE BOOL "WebAssembly with vectors of 128 bits")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QAMA_WASM_SIMD)
if(QAMA_WASM_SIMD)
  string(APPEND CMAKE_C_FLAGS_INIT " -msimd128")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -msimd128")
endif()
