# Writes build_info.h; touched only when something changed. Run by the target qama_build_info (build_info.cmake):
#   cmake -DSOURCE=... -DTEMPLATE=... -DOUTPUT=... -DQAMA_COMPILER=... -DQAMA_FLAGS=... -P revision.cmake
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE QAMA_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT QAMA_REVISION)
  set(QAMA_REVISION "unknown")
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
