# Where the build's libraries come from; included once by the top-level CMakeLists.txt. Nothing is downloaded or
# generated here: toolchains/bootstrap fills one cached prefix beforehand, and this file only asks that script
# where it is. A library is added by a find_package line here, a Debian package or a step in bootstrap, and a row
# in the table of toolchains/README.md.
#
# Targets for the rest of the tree: DNNL::dnnl, xsimd, xtensor, nlohmann_json::nlohmann_json, CLI11::CLI11,
# ZLIB::ZLIB, qama_md (SHA-256 of libmd), qama_sodium (Ed25519 of libsodium), qama_png, qama_jpeg, GTest::gtest, GTest::gmock, GTest::gtest_main,
# benchmark::benchmark; where they are found, qama_webp, qama_gif, qama_tiff.

option(QAMA_CORE_ONLY "The C API for what is in memory, without a program: no library but headers is needed" OFF)
option(QAMA_STATIC_DEPS "Link zlib, libmd and the image libraries from their static archives" ${QAMA_STATIC})

# Which implementation linear layers have: oneDNN's generated code, which is for x86-64, or the kernels of
# ops/simd/packed_linear.h. The latter are better on ARM cores without SVE (toolchains/README.md has the figures) and
# need no oneDNN at all.
set(linear packed)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(linear onednn)
endif()
set(QAMA_LINEAR ${linear} CACHE STRING "Linear layers: onednn or packed")
if(NOT QAMA_LINEAR MATCHES "^(onednn|packed)$")
  message(FATAL_ERROR "QAMA_LINEAR is '${QAMA_LINEAR}', expected onednn or packed")
endif()

if(CMAKE_CROSSCOMPILING AND QAMA_LINEAR STREQUAL onednn)
  message(FATAL_ERROR "QAMA_LINEAR is onednn, expected packed: bootstrap builds no oneDNN for another machine")
endif()

# A prefix given by the caller (-DCMAKE_PREFIX_PATH, or QAMA_DEPS_PREFIX in the environment) goes first.
# Distributions, Buildroot and Yocto bring the libraries themselves: with QAMA_BOOTSTRAP=OFF they are looked for in the
# system, and in the folder of headers that an archive of toolchains/source-archive has.
option(QAMA_BOOTSTRAP "Look for libraries where toolchains/bootstrap puts them, too" ON)
if(QAMA_BOOTSTRAP)
  set(qama_remedy "run toolchains/bootstrap once, then configure again")
  set(bootstrap_arguments --print-prefix)
  # Headers have no architecture: those of this machine do.
  if(CMAKE_CROSSCOMPILING AND NOT QAMA_CORE_ONLY)
    list(APPEND bootstrap_arguments --target ${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  execute_process(
    COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/bootstrap ${bootstrap_arguments}
    OUTPUT_VARIABLE QAMA_DEPS_PREFIX_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE bootstrap_result)
else()
  set(qama_remedy "install it, or set QAMA_BOOTSTRAP to ON")
  set(QAMA_DEPS_PREFIX_DIR ${PROJECT_SOURCE_DIR}/third-party)
  set(bootstrap_result 0)
endif()
if(bootstrap_result EQUAL 0)
  list(APPEND CMAKE_PREFIX_PATH "${QAMA_DEPS_PREFIX_DIR}")
  list(APPEND CMAKE_FIND_ROOT_PATH "${QAMA_DEPS_PREFIX_DIR}")
endif()

# A build folder follows the recipe: what was found in the prefix of an older one is looked for again.
if(DEFINED CACHE{QAMA_LAST_PREFIX} AND NOT QAMA_LAST_PREFIX STREQUAL QAMA_DEPS_PREFIX_DIR)
  get_cmake_property(names CACHE_VARIABLES)
  foreach(name IN LISTS names)
    string(FIND "$CACHE{${name}}" "${QAMA_LAST_PREFIX}/" at)
    if(at EQUAL 0)
      unset(${name} CACHE)
    endif()
  endforeach()
endif()
set(QAMA_LAST_PREFIX "${QAMA_DEPS_PREFIX_DIR}" CACHE INTERNAL "Prefix that the last configure run found libraries in")
file(GLOB recipe_files ${CMAKE_CURRENT_LIST_DIR}/onednn/*)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_CURRENT_LIST_DIR}/bootstrap ${recipe_files})

# One sentence that names the remedy, for every library that is not there.
macro(qama_require package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "library '${package} ${ARGN}' not found in the system or in "
                        "'${QAMA_DEPS_PREFIX_DIR}': ${qama_remedy}")
  endif()
endmacro()

if(QAMA_LINEAR STREQUAL onednn)
  qama_require(dnnl 3 CONFIG)
endif()
# ON where linear layers allocate nothing: without oneDNN, or with the one that bootstrap built (toolchains/onednn).
if(QAMA_LINEAR STREQUAL packed OR EXISTS "${dnnl_DIR}/qama-patches")
  set(QAMA_LINEAR_NO_ALLOC ON)
else()
  set(QAMA_LINEAR_NO_ALLOC OFF)
endif()
qama_require(xsimd 13 CONFIG)
qama_require(nlohmann_json 3.11 CONFIG)
# Its destructor takes memory, inside noexcept, so as not to recurse (nlohmann/json issue 4653): where there is none, the
# process ends. A copy of that one header without those lines goes first. It recurses, as deep as a value is: what comes
# from outside is parsed with a bounded depth (hal/base/strict_json.h). And an empty value that becomes an object or an
# array has its type before it has the memory: the copy's destructor bears one that has none.
get_target_property(json_folder nlohmann_json::nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
list(GET json_folder 0 json_folder)
file(READ ${json_folder}/nlohmann/json.hpp json_text)
string(FIND "${json_text}" "            if (t == value_t::array || t == value_t::object)
            {
                // flatten" json_begin)
set(json_end -1)
if(NOT json_begin EQUAL -1)
  string(SUBSTRING "${json_text}" ${json_begin} -1 json_tail)
  string(FIND "${json_tail}" "            switch (t)" json_end)
endif()
if(json_begin EQUAL -1 OR json_end EQUAL -1)
  message(WARNING "nlohmann-json's destructor is not the one that toolchains/deps.cmake knows: tests named OutOfMemory "
                  "say whether it still ends the process where there is no memory")
else()
  string(SUBSTRING "${json_text}" 0 ${json_begin} json_text)
  string(SUBSTRING "${json_tail}" ${json_end} -1 json_tail)
  set(json_header ${CMAKE_BINARY_DIR}/patched/nlohmann/json.hpp)
  set(json_old "")
  if(EXISTS ${json_header})
    file(READ ${json_header} json_old)
  endif()
  string(APPEND json_text "            if ((t == value_t::object && object == nullptr) || (t == value_t::array && array == nullptr))
            {
                return;
            }
${json_tail}")
  if(NOT json_text STREQUAL json_old)
    file(WRITE ${json_header} "${json_text}")
  endif()
  target_include_directories(nlohmann_json::nlohmann_json BEFORE INTERFACE ${CMAKE_BINARY_DIR}/patched)
endif()
if(CMAKE_CROSSCOMPILING AND QAMA_CORE_ONLY)
  # The folder of a system's headers has more than this library, and a compiler for no system reads none of it.
  file(COPY ${json_folder}/nlohmann DESTINATION ${CMAKE_BINARY_DIR}/headers)
  set_target_properties(nlohmann_json::nlohmann_json PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
    "${CMAKE_BINARY_DIR}/patched;${CMAKE_BINARY_DIR}/headers")
endif()
if(QAMA_CORE_ONLY)
  return()
endif()
qama_require(CLI11 2.1 CONFIG)
qama_require(Threads)

set(ZLIB_USE_STATIC_LIBS ${QAMA_STATIC_DEPS})
qama_require(ZLIB)

# Debian 12's archives of libpng and libjpeg for x86-64 are bound to one address, so a shared library cannot hold them:
# libqama.so of a static build links the shared ones, which QAMA_OUTSIDE_LIBRARIES lists.
set(QAMA_OUTSIDE_LIBRARIES)
set(outside)
if(QAMA_STATIC_DEPS AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(outside png jpeg)
endif()

# qama_c_library(<name> <header> <library>...): the target qama_<name> for a C library, static or shared as
# QAMA_STATIC_DEPS says; no target where the library or its header is missing.
function(qama_c_library name header)
  string(TOUPPER ${name} upper)
  set(file ${name})
  if(QAMA_STATIC_DEPS)
    set(file lib${name}.a)
  endif()
  find_library(QAMA_${upper}_LIBRARY NAMES ${file})
  find_path(QAMA_${upper}_INCLUDE_DIR ${header})
  if(NOT QAMA_${upper}_LIBRARY OR NOT QAMA_${upper}_INCLUDE_DIR)
    return()
  endif()
  set(target qama_${name})
  if(name IN_LIST outside)
    find_library(QAMA_${upper}_SHARED_LIBRARY NAMES ${name})
    set(target qama_${name}_archive)
    add_library(qama_${name} INTERFACE IMPORTED GLOBAL)
    target_include_directories(qama_${name} INTERFACE ${QAMA_${upper}_INCLUDE_DIR})
    target_link_libraries(qama_${name} INTERFACE
      $<IF:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>,${QAMA_${upper}_SHARED_LIBRARY},${target}>)
    set(QAMA_OUTSIDE_LIBRARIES ${QAMA_OUTSIDE_LIBRARIES} ${QAMA_${upper}_SHARED_LIBRARY} PARENT_SCOPE)
  endif()
  # With a location, so that CMake knows what an archive needs and names that behind it.
  add_library(${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${QAMA_${upper}_LIBRARY}")
  target_link_libraries(${target} INTERFACE ${ARGN})
  target_include_directories(${target} INTERFACE ${QAMA_${upper}_INCLUDE_DIR})
endfunction()

qama_c_library(md sha2.h)
# Its archive, where there is one: signatures are an option, and no start should load a library for them.
set(static_deps ${QAMA_STATIC_DEPS})
set(QAMA_STATIC_DEPS ON)
qama_c_library(sodium sodium.h)
set(QAMA_STATIC_DEPS ${static_deps})
if(NOT TARGET qama_sodium AND NOT QAMA_STATIC_DEPS)
  qama_c_library(sodium sodium.h)
endif()
qama_c_library(png png.h ZLIB::ZLIB m)
qama_c_library(jpeg jpeglib.h)
foreach(library md sodium png jpeg)
  if(NOT TARGET qama_${library})
    message(FATAL_ERROR "library '${library}' not found in the system or in '${QAMA_DEPS_PREFIX_DIR}': "
                        "${qama_remedy}")
  endif()
endforeach()

# Formats of pictures that a build may do without; a file of one is then refused by its name. TIFF needs half a dozen
# compression libraries, which a static program would carry.
set(QAMA_OPTIONAL_FORMATS webp gif tiff)
set(with_tiff ON)
if(QAMA_STATIC_DEPS)
  set(with_tiff OFF)
endif()
option(QAMA_WITH_WEBP "Read WebP images, where libwebp is found" ON)
option(QAMA_WITH_GIF "Read GIF images, where giflib is found" ON)
option(QAMA_WITH_TIFF "Read TIFF images, where libtiff is found" ${with_tiff})
qama_c_library(webp webp/decode.h m)
# From 1.3 on, what libwebp's encoder calls is an archive of its own; tests write pictures.
if(TARGET qama_webp AND QAMA_STATIC_DEPS)
  find_library(QAMA_SHARPYUV_LIBRARY NAMES libsharpyuv.a)
  if(QAMA_SHARPYUV_LIBRARY)
    target_link_libraries(qama_webp INTERFACE ${QAMA_SHARPYUV_LIBRARY})
  endif()
endif()
qama_c_library(gif gif_lib.h)
if(QAMA_WITH_TIFF)
  qama_c_library(tiff tiffio.h)
endif()

if(QAMA_BUILD_TESTS)
  qama_require(xtensor 0.25 CONFIG)
  qama_require(GTest)
endif()
if(QAMA_BUILD_BENCH)
  qama_require(benchmark CONFIG)
endif()
