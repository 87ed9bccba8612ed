# Included by CMake after every project() of llama.cpp, see config.toml beside this file.
#
# ggml's AMX kernels end the process with a segmentation fault on the first matrix on some machines with Intel's matrix
# extensions (Sapphire Rapids and later; ggml-org/llama.cpp#20824, ollama/ollama#17205). Without this macro ggml leaves them
# out and takes its AVX-512 VNNI kernels.
if (CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    add_compile_options(-U__AMX_INT8__)
endif()
