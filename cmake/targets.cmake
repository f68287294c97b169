# How a folder declares its targets. SOURCES are relative to the folder.
#
#   fg_library(fg_ring SOURCES ring.c LINKS fg_base USES liburing)
#   fg_program(flashgate SOURCES main.c LINKS fg_gateway)           -> build/PRESET/bin/flashgate
#   fg_unit_test(test_ring SOURCES test_ring.c LINKS fg_ring)       -> build/PRESET/tests/test_ring
#   fg_benchmark(limits SOURCES limits.c LINKS fg_ratelimit)       -> build/PRESET/bench/limits
#   fg_fuzzer(fuzz_http SOURCES fuzz_http.c LINKS fg_http)          -> build/fuzz/fuzzers/fuzz_http
#   fg_embed_text(fg_inventory scripts/purchase.lua fg_purchase_lua)
#
# LINKS are passed on to whoever links the library, USES stay its own: fg_ring's users do not see
# liburing. A folder's private headers lie beside its sources and nobody else finds them, but those who
# link a library that SHOWS_HEADERS: a part of one program, which is no library for others; unit
# tests and fuzzers may, as "core/ring/private.h", for they also test what is inside.

function(fg_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SHOWS_HEADERS" "" "SOURCES;LINKS;USES")
    fg_check_arguments(fg_library ${name} "${arg_UNPARSED_ARGUMENTS}" "${arg_SOURCES}")
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    if(arg_SHOWS_HEADERS)
        target_include_directories(${name} INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
    target_link_libraries(${name} PUBLIC ${arg_LINKS} PRIVATE ${arg_USES} fg_options)
endfunction()

function(fg_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "ALLOCATES" "" "SOURCES;LINKS;USES")
    fg_check_arguments(fg_program ${name} "${arg_UNPARSED_ARGUMENTS}" "${arg_SOURCES}")
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ${arg_LINKS} ${arg_USES} fg_options Threads::Threads)
    # jemalloc, for those that allocate all the time. A sanitizer brings its own allocator and would not see through
    # another one. Linked whatever the linker thinks: with link-time optimisation it sees no call of malloc in time
    # and leaves a library out that nobody else needs.
    if(arg_ALLOCATES AND FG_SANITIZE STREQUAL "")
        target_link_libraries(${name} PRIVATE jemalloc)
        target_link_options(${name} PRIVATE -Wl,--no-as-needed)
    endif()
    fg_whole(${name})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# Links a program as one piece (release only), or says that it need not be.
function(fg_whole name)
    target_link_options(${name} PRIVATE $<$<CONFIG:Release>:-flto=auto>)
endfunction()

function(fg_in_parts name)
    target_link_options(${name} PRIVATE $<$<CONFIG:Release>:-fno-lto>)
endfunction()

function(fg_unit_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS;USES")
    fg_check_arguments(fg_unit_test ${name} "${arg_UNPARSED_ARGUMENTS}" "${arg_SOURCES}")
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE
        "${CMAKE_CURRENT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE
        ${arg_LINKS} ${arg_USES} cmocka fg_options Threads::Threads)
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    fg_in_parts(${name})
endfunction()

function(fg_benchmark name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS;USES")
    fg_check_arguments(fg_benchmark ${name} "${arg_UNPARSED_ARGUMENTS}" "${arg_SOURCES}")
    add_executable(bench_${name} ${arg_SOURCES})
    target_include_directories(bench_${name} PRIVATE "${PROJECT_SOURCE_DIR}") # they measure parts, too
    target_link_libraries(bench_${name} PRIVATE
        ${arg_LINKS} ${arg_USES} fg_options Threads::Threads)
    set_target_properties(bench_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
    fg_whole(bench_${name})
endfunction()

function(fg_fuzzer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS;USES")
    fg_check_arguments(fg_fuzzer ${name} "${arg_UNPARSED_ARGUMENTS}" "${arg_SOURCES}")
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE
        "${CMAKE_CURRENT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ${arg_LINKS} ${arg_USES} fg_options Threads::Threads)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzzers")
endfunction()

# Makes a text file part of a target: `#include "SYMBOL.h"` declares `const char SYMBOL[]`, ended by
# a zero byte, and `const size_t SYMBOL_bytes`, its length without that byte.
function(fg_embed_text target file symbol)
    set(source "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    if(NOT EXISTS "${source}")
        message(FATAL_ERROR "fg_embed_text(${target} ...): no file ${source}")
    endif()
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded")
    set(script "${PROJECT_SOURCE_DIR}/cmake/embed.cmake")
    add_custom_command(
        OUTPUT "${folder}/${symbol}.c" "${folder}/${symbol}.h"
        COMMAND "${CMAKE_COMMAND}" "-DTEXT=${source}" "-DSYMBOL=${symbol}" "-DFOLDER=${folder}"
                -P "${script}"
        DEPENDS "${source}" "${script}"
        COMMENT "Embedding ${file}"
        VERBATIM)
    target_sources(${target} PRIVATE "${folder}/${symbol}.c" "${folder}/${symbol}.h")
    target_include_directories(${target} PRIVATE "${folder}")
endfunction()

# A mistyped keyword must not vanish in silence.
function(fg_check_arguments function name unknown sources)
    if(NOT unknown STREQUAL "")
        message(FATAL_ERROR
            "${function}(${name} ...): did not expect \"${unknown}\"; expected SOURCES, LINKS, USES")
    endif()
    if(sources STREQUAL "")
        message(FATAL_ERROR "${function}(${name} ...): expected SOURCES")
    endif()
endfunction()
