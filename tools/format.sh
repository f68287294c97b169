# Which files clang-format lays out, and whether this machine's version may judge them.

CLANG_FORMAT_MAJOR=14

clang_format_major() { clang-format --version | sed -E 's/.*version ([0-9]+).*/\1/'; }

same_clang_format() { [[ $(clang_format_major) == "$CLANG_FORMAT_MAJOR" ]]; }

# Tracked and untracked C files, each ended by a zero byte; those deleted but not committed are out.
c_files() {
    local file
    git ls-files -z --cached --others --exclude-standard --deduplicate -- '*.c' '*.h' |
        while IFS= read -r -d '' file; do
            [[ ! -f $file ]] || printf '%s\0' "$file"
        done
}

check_format() {
    local files
    if ! same_clang_format; then
        say "skipped: clang-format is $(clang_format_major), and only $CLANG_FORMAT_MAJOR judges"
        return 0
    fi
    mapfile -d '' files < <(c_files)
    [[ ${#files[@]} -gt 0 ]] || return 0
    clang-format --dry-run --Werror -- "${files[@]}" ||
        fail "some files are not formatted; ./dev format mends them"
}
