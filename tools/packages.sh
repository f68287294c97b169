# Installs the Debian packages of packages.txt that are missing, and nothing when nothing is.

need_packages() {
    local wanted missing
    command -v dpkg-query >/dev/null ||
        fail "this is not Debian (no dpkg-query); expected what packages.txt lists for: $*"
    mapfile -t wanted < <(packages_of "$@")
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# The entries of these groups, one a line; an entry may be a|b.
packages_of() {
    local group
    for group in "$@"; do
        sed -n "s/^$group: *//p" packages.txt | tr -s ' ' '\n'
    done | sort -u
}

missing_packages() {
    local entry installed name found
    installed=$'\n'$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${@//|*/}" "${@//*|/}" \
        2>/dev/null | sed -n 's/^installed //p')$'\n' || true
    for entry in "$@"; do
        found=
        for name in ${entry//|/ }; do
            [[ $installed != *$'\n'"$name"$'\n'* ]] || found=yes
        done
        [[ -n $found ]] || printf '%s\n' "$entry"
    done
}

install_packages() {
    local as_root=() names=() entry
    if [[ $EUID -ne 0 ]]; then
        command -v sudo >/dev/null ||
            fail "packages are missing: $*; expected root or sudo to install them"
        as_root=(sudo)
    fi
    say "installing Debian packages: ${*//|/ or }"
    forbid_services
    [[ " $* " != *" postgresql "* ]] || forbid_clusters
    "${as_root[@]}" apt-get update -qq
    for entry in "$@"; do
        names+=("$(first_known_package "$entry")")
    done
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${names[@]}" \
        >/dev/null || fail "apt-get could not install: ${names[*]}"
    allow_services
}

# Of a|b, the first one this release has.
first_known_package() {
    local name
    for name in ${1//|/ }; do
        if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    fail "no package $1; apt-cache knows none of them"
}

# redis-server, nginx and postgresql start themselves once installed, unless a policy says no. Nobody asked for
# services here, so there is such a policy for as long as the installation lasts, and no longer,
# even if it is interrupted. Both functions use install_packages' as_root.
forbid_services() {
    [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
    trap allow_services EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
    "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
    own_policy=yes
}

# PostgreSQL's package makes a cluster when it is installed, unless its configuration says no before there
# is one. Whoever has such a file is asked nothing and overruled in nothing.
forbid_clusters() {
    local file=/etc/postgresql-common/createcluster.conf
    [[ ! -e $file ]] || return 0
    "${as_root[@]}" mkdir -p "${file%/*}"
    printf 'create_main_cluster = false\n' | "${as_root[@]}" tee "$file" >/dev/null
}

allow_services() {
    [[ ${own_policy:-} == yes ]] || return 0
    own_policy=
    trap - EXIT
    "${as_root[@]}" rm -f /usr/sbin/policy-rc.d
}
