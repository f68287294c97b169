# The few functions every folder's CMakeLists.txt is made of.
#
#   fg_library(NAME SOURCES a.c b.c LINKS fg_base)     a folder's static library
#   fg_program(NAME SOURCES main.c LINKS fg_gateway)   a program, in bin/
#   fg_unit_test(NAME SOURCES test_x.c LINKS fg_base)  a cmocka program, known to ctest
#   fg_embed_text(TARGET FILE SYMBOL)                  FILE as `const char SYMBOL[]` in a source of TARGET

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(package liburing libxxhash hiredis jemalloc libfyaml jansson sqlite3 cmocka)
    pkg_check_modules(${package} REQUIRED IMPORTED_TARGET ${package})
endforeach()
include(llhttp)

set(FG_WARNINGS
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wunused-result
    -Werror)

# What every target of ours is compiled with.
function(fg_target NAME)
    target_compile_features(${NAME} PUBLIC c_std_17)
    target_compile_definitions(${NAME} PRIVATE _GNU_SOURCE)
    target_compile_options(${NAME} PRIVATE ${FG_WARNINGS} -fno-omit-frame-pointer)
    target_include_directories(${NAME} PUBLIC ${PROJECT_SOURCE_DIR}/include)
endfunction()

function(fg_library NAME)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_library(${NAME} STATIC ${ARG_SOURCES})
    fg_target(${NAME})
    target_include_directories(${NAME} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${NAME} PUBLIC ${ARG_LINKS} Threads::Threads)
endfunction()

function(fg_program NAME)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${NAME} ${ARG_SOURCES})
    fg_target(${NAME})
    target_link_libraries(${NAME} PRIVATE ${ARG_LINKS} Threads::Threads)
    if(FG_JEMALLOC)
        target_link_libraries(${NAME} PRIVATE PkgConfig::jemalloc)
    endif()
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

function(fg_unit_test NAME)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${NAME} ${ARG_SOURCES})
    fg_target(${NAME})
    target_link_libraries(${NAME} PRIVATE ${ARG_LINKS} PkgConfig::cmocka)
    # A test may look into a folder's private headers.
    target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${NAME} PROPERTIES TIMEOUT 120)
endfunction()

function(fg_embed_text TARGET FILE SYMBOL)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${SYMBOL}.c)
    add_custom_command(
        OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -DFILE=${CMAKE_CURRENT_SOURCE_DIR}/${FILE} -DSYMBOL=${SYMBOL}
                -DOUT=${out} -P ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
        DEPENDS ${FILE} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
        VERBATIM)
    target_sources(${TARGET} PRIVATE ${out})
endfunction()
