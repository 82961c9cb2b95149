# build_info.h: revision, compiler and flags of this build, for programs that report where figures come from.
#   qama_use_build_info(<target>)   lets the target's sources include "build_info.h"
set(qama_build_info_directory ${CMAKE_BINARY_DIR}/generated)
string(TOUPPER "${CMAKE_BUILD_TYPE}" qama_build_type)
add_custom_target(qama_build_info
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR}
          -DTEMPLATE=${CMAKE_CURRENT_LIST_DIR}/build_info.h.in
          -DOUTPUT=${qama_build_info_directory}/build_info.h
          "-DQAMA_COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
          "-DQAMA_FLAGS=${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${qama_build_type}} -ffp-contract=off"
          -P ${CMAKE_CURRENT_LIST_DIR}/revision.cmake
  BYPRODUCTS ${qama_build_info_directory}/build_info.h
  VERBATIM)

function(qama_use_build_info target)
  add_dependencies(${target} qama_build_info)
  target_include_directories(${target} PRIVATE ${qama_build_info_directory})
endfunction()
