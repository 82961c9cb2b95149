# What makes a fault in a program harder to use, and what makes two builds of one revision equal; included once by the
# top-level CMakeLists.txt. tests/install/hardened.py reads it back from what was built. SECURITY.md says what it gives.
option(QAMA_HARDENED "Stack protector, checked C functions, control-flow marks, read-only relocations" ON)

# Without paths of this machine: what __FILE__ and the debugger's information say begins at the root of the sources.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
if(QAMA_DEPS_PREFIX_DIR)
  add_compile_options(-ffile-prefix-map=${QAMA_DEPS_PREFIX_DIR}=deps)
endif()

# _GLIBCXX_ASSERTIONS is not among them: it ends the process, where this project promises an error.
if(QAMA_HARDENED AND NOT QAMA_SANITIZED)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  # What is checked is known to an optimising compiler only.
  add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # Signed return addresses are 0.5 % of the program: -mbranch-protection=bti needs marks of its own in their place.
    add_compile_options(-mbranch-protection=standard)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-fcf-protection=full)
  endif()
  add_link_options(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
endif()

# qama_static_program(TARGET): one file with the C library in it, position-independent all the same, so that its
# addresses differ from run to run. Debian 12's C library cannot do the latter on 32-bit ARM and on RISC-V.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=rcrt1.o
  OUTPUT_VARIABLE qama_static_pie_start OUTPUT_STRIP_TRAILING_WHITESPACE)
set(qama_static -static)
if(IS_ABSOLUTE "${qama_static_pie_start}")
  set(qama_static -static-pie)
endif()
function(qama_static_program target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_options(${target} PRIVATE ${qama_static})
endfunction()
