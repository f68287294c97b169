# The verbs that are only a few lines. The others have a file each: test, fresh.

verb_help() {
    cat <<'TEXT'
usage: ./dev VERB [ARGUMENT ...]

  demo              a small flash sale on this machine, from first shopper to audited books
  test              format, unit tests, config checks, end-to-end tests, sanitizers
      --unit, --e2e   only these tests          -k EXPR       only end-to-end tests so named
      --full          the slow tests too        --mutations   also: does a broken line get caught?
  build [PRESET]    the programs, into build/PRESET/bin/ (release, dev, asan, tsan)
TEXT
    if [[ -d bench ]]; then
        cat <<'TEXT'
  bench [WHAT ...]  what flashgate costs beside others, measured in turn (see ./dev bench --help):
      purchase script refuse latency idle scale limits relay sweep reload path; all of them if left out
TEXT
    fi
    if [[ -d tests/fuzz ]]; then
        echo '  fuzz [SECONDS]    every fuzzer in turn (60 seconds each)'
    fi
    cat <<'TEXT'
  fresh             demo and test of the last commit inside a minimal Debian root
  format            clang-format over every C file
  clean             away with build/ and run/
  help              this text

Each verb first installs the Debian packages it lacks, and says which.
TEXT
}

verb_build() {
    local preset=${1:-release}
    [[ $# -le 1 ]] || fail_usage "build: unexpected \"$2\"; expected at most one PRESET"
    need_packages build
    say "building $preset"
    build_preset "$preset"
    say "programs are in build/$preset/bin/: $(ls -m "build/$preset/bin")"
}

verb_demo() {
    local preset=${FLASHGATE_PRESET:-release}
    need_packages build run
    say "building $preset"
    build_preset "$preset"
    exec "build/$preset/bin/flashgate-load" demo "$@"
}

verb_bench() {
    [[ -d bench ]] || fail "bench: there is no bench/"
    need_packages build run test bench
    [[ " $* " == *" --help "* || " $* " == *" -h "* ]] || { say "building release" && build_preset release; }
    exec /usr/bin/python3 bench/main.py "$@"
}

verb_fuzz() {
    local seconds=${1:-60} fuzzer
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || fail_usage "fuzz: \"$seconds\"; expected whole SECONDS"
    [[ -d tests/fuzz ]] || fail "fuzz: there is no tests/fuzz"
    need_packages build fuzz
    say "building the fuzzers"
    build_preset fuzz
    for fuzzer in build/fuzz/fuzzers/*; do
        fuzz_one "$fuzzer" "$seconds" ||
            fail "fuzz: ${fuzzer##*/} failed; what broke it is in build/fuzz/found/"
    done
}

# A fuzzer's finds are kept in build/; the corpus in the tree, tests/fuzz/corpus/NAME, only seeds it.
fuzz_one() {
    local fuzzer=$1 seconds=$2 name found seeds
    name=$(basename "$fuzzer")
    found=build/fuzz/found/$name
    seeds=tests/fuzz/corpus/$name
    mkdir -p "$found"
    say "fuzz $name for $seconds s"
    [[ -d $seeds ]] || seeds=
    "$fuzzer" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$found-crash-" \
        "$found" ${seeds:+"$seeds"}
}

verb_format() {
    [[ $# -eq 0 ]] || fail_usage "format: unexpected \"$1\"; it takes no argument"
    local files
    need_packages format
    same_clang_format ||
        fail "format: clang-format is $(clang_format_major); expected $CLANG_FORMAT_MAJOR, for others lay lines out differently"
    mapfile -d '' files < <(c_files)
    [[ ${#files[@]} -eq 0 ]] || clang-format -i -- "${files[@]}"
    say "formatted ${#files[@]} files"
}

verb_clean() {
    [[ $# -eq 0 ]] || fail_usage "clean: unexpected \"$1\"; it takes no argument"
    # What is mounted under build/ is not ours to delete, least of all a /dev.
    if grep -qF " $PWD/build/" /proc/self/mountinfo; then
        fail "clean: something is mounted under $PWD/build (see findmnt); unmount it first"
    fi
    if [[ -d build/fresh && $EUID -ne 0 ]]; then
        sudo rm -rf build/fresh
    fi
    rm -rf build run
    say "removed build/ and run/"
}
