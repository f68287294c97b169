# ./dev test: one stage after the other, from quick to slow; the first that fails ends it.

# Not the python3 of PATH, which may be one without the Debian packages.
PYTHON=/usr/bin/python3

verb_test() {
    local unit=yes e2e=yes mutations='' expression='' marks='not full'
    while [[ $# -gt 0 ]]; do
        case $1 in
            --unit) e2e='' ;;
            --e2e) unit='' ;;
            --full) marks='' ;;
            --mutations) mutations=yes ;;
            -k)
                [[ $# -ge 2 ]] || fail_usage "test: -k lacks its EXPR"
                expression=$2 unit=''
                shift
                ;;
            *) fail_usage "test: unexpected \"$1\"; expected --unit --e2e --full --mutations -k EXPR" ;;
        esac
        shift
    done
    [[ -n $unit || -n $e2e ]] || fail_usage "test: --unit with --e2e or -k leaves nothing to run"

    need_packages build run format test
    export PYTHONDONTWRITEBYTECODE=1
    # A report must end the program with a status no test takes for a good one.
    export ASAN_OPTIONS=exitcode=99:detect_stack_use_after_return=1
    export UBSAN_OPTIONS=print_stacktrace=1
    export TSAN_OPTIONS=exitcode=99:halt_on_error=1

    stage_report=''
    [[ -z $unit ]] || stage 'format' check_format
    stage 'build release' build_preset release
    [[ -z $unit ]] || stage 'unit tests, release' unit_tests release
    [[ -z $unit ]] || stage 'instructions of the purchase path' "$PYTHON" bench/path.py --check
    [[ -z $unit || -z $e2e ]] || stage 'config checks' check_configs
    [[ -z $e2e ]] || stage 'end-to-end tests, release' e2e_tests release "$marks"
    stage 'build asan' build_preset asan
    [[ -z $unit ]] || stage 'unit tests, asan' unit_tests asan
    [[ -z $e2e ]] || stage 'end-to-end tests, asan' e2e_tests asan sanitize
    stage 'build tsan' build_preset tsan
    [[ -z $unit ]] || stage 'unit tests, tsan' unit_tests tsan
    [[ -z $e2e ]] || stage 'end-to-end tests, tsan' e2e_tests tsan sanitize
    [[ -z $mutations ]] || stage 'mutations' "$PYTHON" tests/mutations.py
    print_stages
    say "all tests passed"
}

# Runs one stage in its own shell, so that a failure anywhere in it is seen here, once.
stage() {
    local name=$1 started=$SECONDS status=0
    shift
    say "$name"
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    stage_report+=$(printf '%5d s  %s' $((SECONDS - started)) "$name")
    if [[ $status -ne 0 ]]; then
        stage_report+='  FAILED'$'\n'
        print_stages
        fail "test: stage \"$name\" failed"
    fi
    stage_report+=$'\n'
}

print_stages() {
    printf '\n%s%5d s  in all\n' "$stage_report" "$SECONDS"
}

unit_tests() { ctest --preset "$1" --parallel "$(nproc)" --timeout 120; }

# What is shipped in conf/ must be what the programs accept.
check_configs() {
    local programs=build/release/bin sale
    "$programs/flashgate" --check -c conf/flashgate.yaml
    "$programs/flashgate-relay" --check -c conf/relay.yaml
    for sale in conf/sales/*.yaml; do
        "$programs/flashgate" --check-sale "$sale"
    done
}

# e2e_tests PRESET MARKS. The tests take their programs from build/$FLASHGATE_PRESET/bin. They wait more than they work:
# two a processor at once, and then those that must be alone.
e2e_tests() {
    local preset=$1 marks=${2:+$2 and } together=0 alone=0
    some_e2e_tests "$preset" "${marks}not alone" -n "$((2 * $(nproc)))" || together=$?
    some_e2e_tests "$preset" "${marks}alone" -p no:xdist || alone=$?
    # 5 is pytest's "nothing selected": no fault of a half, nor where -k named tests that sanitizers pass over.
    [[ $together -eq 0 || $together -eq 5 ]] && [[ $alone -eq 0 || $alone -eq 5 ]] &&
        [[ $together$alone != 55 || (-n $expression && $marks == sanitize*) ]]
}

# Where tests keep their files: in memory where that has room. Orders are synced to a file one by one, a disk shared with
# others takes its time for it, and a wait for Redis that ends too late would then be the disk's. Benchmarks use the disk.
test_folder() {
    local free_kib
    free_kib=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || free_kib=0
    if [[ -w /dev/shm && $free_kib -ge 4194304 ]]; then echo /dev/shm; else echo /tmp; fi
}

some_e2e_tests() {
    local preset=$1 marks=$2 limit=900
    [[ $marks == *"not full"* || $marks == *sanitize* ]] || limit=5400
    shift 2
    # On its limit pytest is interrupted, not killed, so that it still stops what it started.
    TMPDIR=${TMPDIR:-$(test_folder)} FLASHGATE_PRESET=$preset timeout --foreground --signal=INT --kill-after=30 "$limit" \
        "$PYTHON" -m pytest tests/e2e -p no:cacheprovider -q "$@" -m "$marks" ${expression:+-k "$expression"}
}
