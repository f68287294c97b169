# llhttp, the HTTP/1.1 parser, as target `llhttp`.
#
# Debian 13 has it as a library. Debian 12 has it only as C sources inside node-llhttp, outside the
# default include path; they are compiled here, as they come, with warnings off.

pkg_check_modules(packaged_llhttp QUIET IMPORTED_TARGET GLOBAL libllhttp)

if(packaged_llhttp_FOUND)
    add_library(llhttp ALIAS PkgConfig::packaged_llhttp)
else()
    set(llhttp_sources /usr/share/llhttp)
    set(llhttp_headers /usr/share/include/llhttp)
    if(NOT EXISTS "${llhttp_sources}/llhttp.c" OR NOT EXISTS "${llhttp_headers}/llhttp.h")
        message(FATAL_ERROR
            "llhttp is missing: expected libllhttp for pkg-config (Debian 13: libllhttp-dev), or "
            "${llhttp_sources}/llhttp.c and ${llhttp_headers}/llhttp.h (Debian 12: node-llhttp)")
    endif()
    add_library(llhttp STATIC
        "${llhttp_sources}/api.c" "${llhttp_sources}/http.c" "${llhttp_sources}/llhttp.c")
    target_include_directories(llhttp SYSTEM PUBLIC "${llhttp_headers}")
    # Strict: what the grammar forbids is refused, not guessed at.
    target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    target_compile_options(llhttp PRIVATE -w)
endif()
