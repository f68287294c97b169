# Configures and builds one of the presets of CMakePresets.json.

build_preset() {
    local preset=$1 folder=build/$1 quiet=()
    case $preset in
        release | dev | asan | tsan | fuzz) ;;
        *) fail_usage "no preset \"$preset\"; expected release, dev, asan, tsan or fuzz" ;;
    esac
    # A line for each step is for eyes; a log wants only what went wrong.
    [[ -t 1 ]] || quiet=(--quiet)

    mkdir -p "$folder"
    # Two builds in one folder would write over each other, so the second waits.
    exec {lock}>"$folder/.lock"
    flock "$lock"
    # ninja reconfigures by itself for CMake files, but knows nothing of presets.
    if [[ ! -f $folder/build.ninja || CMakePresets.json -nt $folder/build.ninja ]]; then
        cmake --preset "$preset" >"$folder/configure.log" 2>&1 || {
            cat "$folder/configure.log" >&2
            fail "could not configure preset $preset"
        }
    fi
    ninja "${quiet[@]}" -C "$folder" || fail "could not build preset $preset"
    exec {lock}>&-
}
