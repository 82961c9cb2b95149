# Writes build_info.h; touched only when something changed. Run by the target qama_build_info (build_info.cmake):
#   cmake -DSOURCE=... -DTEMPLATE=... -DOUTPUT=... -DQAMA_COMPILER=... -DQAMA_FLAGS=... -P revision.cmake
# An archive of toolchains/source-archive says itself what it is: the tree around it may be another one's.
set(QAMA_REVISION "")
if(EXISTS ${SOURCE}/REVISION)
  file(STRINGS ${SOURCE}/REVISION QAMA_REVISION LIMIT_COUNT 1)
else()
  execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                  OUTPUT_VARIABLE QAMA_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT QAMA_REVISION)
  set(QAMA_REVISION "unknown")
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
