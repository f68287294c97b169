# The language, the warnings and the hardening every target gets.
#
# Assertions are part of the product and stay on in every build type, so NDEBUG is never defined:
# CMake's own flags for Release would define it, hence they are replaced here.

set(FG_SANITIZE "" CACHE STRING "Sanitizers to build with: empty, address, thread or fuzz")
set_property(CACHE FG_SANITIZE PROPERTY STRINGS "" address thread fuzz)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

set(CMAKE_C_FLAGS_DEBUG "-O0 -g3")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

# Position-independent executables; without the check CMake compiles so but does not link so.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_compile_options(-fno-omit-frame-pointer)

if(FG_SANITIZE STREQUAL "")
    add_compile_options(-fstack-protector-strong)
    # Fortified calls need the optimiser; Debian's gcc 12 warns where it is off.
    add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    add_link_options(LINKER:-z,relro,-z,now)
    # Layers are libraries, and the hottest functions are called across them: a released program is optimised as a
    # whole. Objects are kept fit for both, so that unit tests link in a moment (see fg_whole()).
    add_compile_options($<$<CONFIG:Release>:-flto=auto> $<$<CONFIG:Release>:-ffat-lto-objects>)
else()
    # A sanitizer replaces fortification and the stack protector, and -O1 keeps it fast enough.
    if(FG_SANITIZE STREQUAL "address")
        set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
    elseif(FG_SANITIZE STREQUAL "thread")
        set(sanitizers -fsanitize=thread)
    elseif(FG_SANITIZE STREQUAL "fuzz")
        # -no-link: only fg_fuzzer() brings libFuzzer's main.
        set(sanitizers -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
    else()
        message(FATAL_ERROR
            "FG_SANITIZE is \"${FG_SANITIZE}\"; expected empty, \"address\", \"thread\" or \"fuzz\"")
    endif()
    add_compile_options(-O1 ${sanitizers})
    add_link_options(${sanitizers})
endif()

# Warnings are for this project's own code: linked by fg_library() and its kin, not by llhttp.
add_library(fg_options INTERFACE)
target_compile_definitions(fg_options INTERFACE
    _GNU_SOURCE
    FG_VERSION="${PROJECT_VERSION}")
target_include_directories(fg_options INTERFACE "${PROJECT_SOURCE_DIR}/include")
target_compile_options(fg_options INTERFACE
    -Werror -Wall -Wextra
    -Wshadow -Wconversion -Wcast-qual -Wpointer-arith -Wwrite-strings -Wvla -Wundef
    -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wimplicit-fallthrough -Wunused-result
    -Wno-missing-field-initializers) # a row of a table may leave out its last fields
if(FG_SANITIZE MATCHES "^(address|thread)$")
    # The instrumented code confuses gcc's flow and range analysis; the plain builds still judge.
    target_compile_options(fg_options INTERFACE -Wno-maybe-uninitialized -Wno-format-truncation)
endif()
