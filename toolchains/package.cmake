# The Debian packages: `qama` has program, library, headers, manual pages; `qama-models` the models, for every
# architecture. `toolchains/deb` makes both; included last by the top-level CMakeLists.txt.
include(GNUInstallDirs)

option(QAMA_INSTALL_MODELS "Install the trained models, 45 MB" ON)
if(QAMA_INSTALL_MODELS)
  install(DIRECTORY weights/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/qama/models COMPONENT qama_models
    FILES_MATCHING PATTERN "*.safetensors")
endif()
# The Python package finds the library where the system keeps libraries.
install(DIRECTORY runtime/python/qama DESTINATION lib/python3/dist-packages COMPONENT qama_data
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
install(FILES toolchains/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/qama COMPONENT qama_data)
find_program(QAMA_GZIP gzip)
if(QAMA_GZIP)
  # Without name and time, so that the same sources give the same package.
  set(changelog ${PROJECT_SOURCE_DIR}/toolchains/changelog)
  add_custom_command(OUTPUT changelog.gz
    COMMAND ${QAMA_GZIP} -9nc ${changelog} > ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
    DEPENDS ${changelog} VERBATIM)
  add_custom_target(qama_changelog ALL DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/qama COMPONENT qama_data)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^armv7")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE armhf)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL riscv64)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE riscv64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE amd64)
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME qama)
set(CPACK_PACKAGE_CONTACT "The qama authors <qama@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "inference of transformers with quantum annealing attention")
set(CPACK_PACKAGE_DESCRIPTION
  "The program qama, the library libqama with its C and C++ headers, and its
Python package. Every attention head selects tokens by minimising a quadratic
binary problem; a bit-packed annealer solves it on one core.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL qama qama_data qama_models)
set(CPACK_COMPONENT_QAMA_GROUP program)
set(CPACK_COMPONENT_QAMA_DATA_GROUP program)
set(CPACK_COMPONENT_QAMA_MODELS_GROUP models)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME qama)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS qama-models)
set(CPACK_DEBIAN_MODELS_PACKAGE_NAME qama-models)
set(CPACK_COMPONENT_MODELS_DESCRIPTION
  "Trained models for qama, with the sums that they were released with:
images of digits, clothes and objects, and reviews of films.")
set(CPACK_DEBIAN_MODELS_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_MODELS_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_PROVIDES python3-qama)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS python3-numpy)
# The program of a static build needs none of these; the library does. They are named, because a cross build has no
# packages of its target to look them up in.
if(QAMA_STATIC)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "libc6 (>= 2.34), libgcc-s1 (>= 4.2), libstdc++6 (>= 12)")
  if(QAMA_OUTSIDE_LIBRARIES)
    string(APPEND CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS ", libpng16-16 (>= 1.6.2), libjpeg62-turbo (>= 1.3.1)")
  endif()
else()
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
endif()
include(CPack)
