# Run by fg_embed_text(): writes FOLDER/SYMBOL.c and .h, which hold the bytes of TEXT.

file(READ "${TEXT}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n    " hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," hex "${hex}")

get_filename_component(name "${TEXT}" NAME)
file(WRITE "${FOLDER}/${SYMBOL}.h"
"/* Made from ${name} by the build. */
#pragma once

#include <stddef.h>

extern const char ${SYMBOL}[];
extern const size_t ${SYMBOL}_bytes;
")
file(WRITE "${FOLDER}/${SYMBOL}.c"
"/* Made from ${name} by the build. */
#include \"${SYMBOL}.h\"

const char ${SYMBOL}[] = {
    ${hex}0,
};
const size_t ${SYMBOL}_bytes = ${bytes};
")
