# The libraries of the system, each as a target under its plain name.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

function(fg_system_library name module)
    pkg_check_modules(${name} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${module})
    add_library(${name} ALIAS PkgConfig::${name})
endfunction()

fg_system_library(liburing liburing)
fg_system_library(hiredis hiredis)
fg_system_library(jemalloc jemalloc)
fg_system_library(libfyaml libfyaml)
fg_system_library(jansson jansson)
fg_system_library(sqlite3 sqlite3)
fg_system_library(xxhash libxxhash)
fg_system_library(cmocka cmocka)
fg_system_library(libpq libpq)
fg_system_library(rdkafka rdkafka)
fg_system_library(libcurl libcurl)
fg_system_library(libarchive libarchive)
fg_system_library(zlib zlib)

# mbedtls came with pkg-config files only from version 3.6 on.
find_library(FG_MBEDCRYPTO mbedcrypto REQUIRED)
add_library(mbedcrypto INTERFACE)
target_link_libraries(mbedcrypto INTERFACE "${FG_MBEDCRYPTO}")
