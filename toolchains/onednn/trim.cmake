# Leaves out of oneDNN's build what the primitives chosen in toolchains/bootstrap cannot reach. oneDNN compiles
# every source whatever its options say, and only registers less; three quarters of the compiling would be
# for objects that no program ever links. Read through CMAKE_PROJECT_INCLUDE; it acts when oneDNN's own
# CMakeLists have run. All of src/common stays, so the whole C API links.
#
# When a primitive is added and a program misses a symbol, add the source that defines it to a list below.

# Directories and names of src/cpu that any product of matrices needs; every *_list.cpp, because the engine asks
# each of them, if only to hear that it is empty.
set(qama_keep_directories "/jit_utils/|/gemm/|/matmul/|/brgemm/|/injectors/|/utils/")
set(qama_keep_files
  "_list\\.cpp$" "inner_product" "/cpu_(engine|concat|sum|reducer|barrier|isa_traits)\\.cpp$"
  "/cpu_reorder(_regular_f32_f32)?\\.cpp$" "/b?float16\\.cpp$" "/platform\\.cpp$" "ref_eltwise\\.cpp$"
  "binary_injector_utils" "primitive_attr_postops" "(scale|zero_point)_utils" "batch_normalization_utils"
  "amx_tile_configure" "jit_generator" "jit_uni_reorder" "jit_transpose_utils" "fp(8|16)cvt"
  "jit_brgemm_(post_ops|primitive_conf|transpose_utils)" "scale_precompute" "convert_xf16" "sparse_decompress")
set(qama_drop_files "gemm_bf16_(matmul|inner)" "gemm_x8s8s32x_(matmul|inner)" "sparse_matmul")

function(qama_trim)
  list(JOIN qama_keep_files "|" keep)
  list(JOIN qama_drop_files "|" drop)
  foreach(target dnnl_cpu dnnl_cpu_x64 dnnl_cpu_aarch64)
    if(NOT TARGET ${target})
      continue()
    endif()
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "${qama_keep_directories}|${keep}")
    list(FILTER sources EXCLUDE REGEX "${drop}")
    set_target_properties(${target} PROPERTIES SOURCES "${sources}")
  endforeach()
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL qama_trim)
