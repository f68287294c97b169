# How ./dev speaks: news on stdout, errors on stderr, exit 1 for a bad outcome and 2 for bad usage.

say() { printf '==> %s\n' "$*"; }

fail() {
    printf './dev: %s\n' "$*" >&2
    exit 1
}

fail_usage() {
    printf './dev: %s\n' "$*" >&2
    exit 2
}
