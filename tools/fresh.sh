# ./dev fresh: demo and test of the last commit inside a minimal Debian root, the proof that nothing
# is missing. Suite and mirrors are those of this machine's apt.

FRESH=build/fresh

verb_fresh() {
    local as_root=()
    [[ $# -eq 0 ]] || fail_usage "fresh: unexpected \"$1\"; it takes no argument"
    need_packages fresh
    if [[ $EUID -ne 0 ]]; then
        command -v sudo >/dev/null || fail "fresh: expected root or sudo, for chroot and mounts"
        as_root=(sudo)
    fi
    mkdir -p "$FRESH"
    # Cloned by the repository's owner: git trusts nobody else's, not even for root.
    rm -rf "$FRESH/source"
    git clone --quiet --no-hardlinks . "$FRESH/source"
    say "fresh: commit $(git log -1 --format='%h %s'); what is not committed is not in it"

    # In its own namespaces, so that no mount and no process outlives it, however it ends.
    exec "${as_root[@]}" unshare --mount --propagation private --pid --fork --kill-child \
        bash -euo pipefail -c 'source tools/say.sh; source tools/fresh.sh; fresh_as_root'
}

fresh_as_root() {
    local root=$PWD/$FRESH/root sources suite mirror
    # The first process of a namespace ignores signals it has no handler for.
    trap 'exit 130' INT TERM
    sources=$(debian_sources)
    read -r suite mirror < <(main_source <<<"$sources")

    fresh_root "$root" "$suite" "$mirror"
    printf '%s\n' "$sources" >"$root/etc/apt/sources.list"
    # How this machine reaches its mirrors: proxies, and whether dates of releases count.
    apt-config dump | grep -E '^Acquire::((https?|ftp)::|Check-)' \
        >"$root/etc/apt/apt.conf.d/90machine" || true
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp -r --no-preserve=ownership "$FRESH/source" "$root/flashgate"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    # A terminal of its own for what is tested in one.
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"

    fresh_run "$root" demo
    fresh_run "$root" test
    say "fresh: demo and test are good on a minimal Debian $suite"
}

# One line "deb URI SUITE COMPONENT ..." for each source of Debian itself, whichever of apt's two
# formats it is kept in. Who made a source is known from its index, so there must be one.
debian_sources() {
    list_debian_sources | grep -q . || apt-get update -qq
    list_debian_sources | grep . ||
        fail "fresh: apt knows no source of Debian's own; expected one, and its index (apt-get update)"
}

list_debian_sources() {
    # The $(NAME)s are apt's.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' |
        awk '{ of[$1 " " $2] = of[$1 " " $2] " " $3 }
             END { for (source in of) print "deb " source of[source] }' | sort
}

# SUITE MIRROR of the release itself, not its updates or security fixes.
main_source() {
    local codename
    codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    awk -v codename="$codename" '$3 == codename { print $3, $2; found = 1; exit }
                                 END { exit !found }' ||
        fail "fresh: no apt source for suite $codename, which /etc/os-release names"
}

# A new root each time, from a kept archive: debootstrap takes a minute, tar a second.
fresh_root() {
    local root=$1 suite=$2 mirror=$3 base=$FRESH/base-$2.tar extra=()
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    if [[ -f $base ]]; then
        tar --extract --numeric-owner --file="$base" --directory="$root"
        return 0
    fi
    say "fresh: making a minimal Debian $suite with debootstrap"
    [[ $mirror != https:* ]] || extra=(--include=ca-certificates)
    debootstrap --variant=minbase "${extra[@]}" "$suite" "$root" "$mirror" \
        >"$FRESH/debootstrap.log" 2>&1 || {
        tail -n 20 "$FRESH/debootstrap.log" >&2
        fail "fresh: debootstrap failed; all it said is in $FRESH/debootstrap.log"
    }
    rm -rf "$root"/var/cache/apt/archives/*.deb
    tar --create --numeric-owner --one-file-system --file="$base.part" --directory="$root" .
    mv "$base.part" "$base"
}

# Nothing of this machine's environment goes in but the proxies it needs.
fresh_run() {
    local root=$1 verb=$2 started=$SECONDS name proxies=()
    for name in http_proxy https_proxy no_proxy; do
        [[ -z ${!name:-} ]] || proxies+=("$name=${!name}")
    done
    say "fresh: ./dev $verb"
    env -i HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${proxies[@]}" \
        chroot "$root" /flashgate/dev "$verb" ||
        fail "fresh: ./dev $verb failed in $root after $((SECONDS - started)) s"
    say "fresh: ./dev $verb was good after $((SECONDS - started)) s"
}
