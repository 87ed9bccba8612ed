# Included by CMake after every project() of llama.cpp, see config.toml beside this file.

# ggml's AMX kernels end the process with a segmentation fault on the first matrix on some machines with Intel's matrix
# extensions (Sapphire Rapids and later; ggml-org/llama.cpp#20824, ollama/ollama#17205). Without this macro ggml leaves them
# out and takes its AVX-512 VNNI kernels.
if (CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    add_compile_options(-U__AMX_INT8__)
endif()

# What llama.cpp's own programs share is built along with the library, takes half of the time, and no work waits for it:
# not optimised, it takes half as long. An older CMake cannot put a call off and builds them as they come.
if (PROJECT_NAME STREQUAL "llama.cpp" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang"
        AND NOT CMAKE_VERSION VERSION_LESS 3.19)
    function(leave_shared_parts_unoptimised)
        foreach (part llama-common llama-common-base cpp-httplib)
            if (TARGET ${part})
                target_compile_options(${part} PRIVATE -O0)
            endif()
        endforeach()
    endfunction()
    # At the end of the folder that is being read: the targets are not there yet.
    cmake_language(DEFER CALL leave_shared_parts_unoptimised)
endif()
