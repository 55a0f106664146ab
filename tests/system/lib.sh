# shellcheck shell=bash
# What the system tests share. Sourced from the top of the tree, with `set -eu`.

B=${B:-build}
PATH=$(realpath "$B"):$PATH
TMP=$(mktemp -d /var/tmp/ingot-test.XXXXXX)
export PATH TMP
# Nothing of the person who runs the tests is touched.
export INGOT_STORE=$TMP/store INGOT_CACHE=$TMP/cache
# Nor does what that person or the machine allows count.
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$TMP/policy.json"
export INGOT_POLICY=$TMP/policy.json
ENDING=()

# is_ours PID: whether this test has started it. The number of a process that has ended may be another's by now: of the test
# that runs beside this one, say, whose server would end with 143 when its own signal comes second.
is_ours() {
    [ "$(ps -o ppid= -p "$1" 2>/dev/null | tr -d ' ')" = $$ ] || { tr '\0' '\n' <"/proc/$1/environ" | grep -qxF "TMP=$TMP"; } 2>/dev/null
}

TOLD=
finish() {
    local status=$? last=$BASH_COMMAND
    # Ended by set -e alone: without a word, nobody could tell where.
    [ $status = 0 ] || [ -n "$TOLD" ] || echo "FAILED: with status $status, by: $last" >&2
    for pid in "${ENDING[@]}"; do
        ! is_ours "$pid" || kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$TMP"
    exit $status
}
trap finish EXIT
trap 'TOLD=yes; exit 130' INT TERM

# What the machine itself can't do is no failure; tests/run counts it apart.
skip() {
    TOLD=yes
    echo "skipped: $*"
    exit 77
}
# With the seconds since the last one.
ok() {
    echo "ok: $* ($((SECONDS - ${BEFORE:-0})) s)"
    BEFORE=$SECONDS
}
fail() {
    TOLD=yes
    echo "FAILED: $*" >&2
    exit 1
}

# mounted WHAT WHERE COMMAND...: the command in a mount namespace where WHAT is bound over WHERE.
mounted() {
    local namespace=(unshare --mount --propagation unchanged)
    [ "$(id -u)" = 0 ] || namespace=(unshare --user --map-root-user --mount)
    # In a chroot there is no mount to make private, and none that others share.
    # shellcheck disable=SC2016
    "${namespace[@]}" bash -c 'what=$0 where=$1 status=0; shift
        mount --make-rprivate / 2>/dev/null
        mount --bind "$what" "$where" || exit 99
        "$@" || status=$?
        umount "$where"
        exit $status' "$@"
}

# until_true WORDS...: a condition that comes within a minute; else the ends of all logs in $TMP are shown.
until_true() {
    local _
    for _ in $(seq 600); do
        "$@" && return
        sleep 0.1
    done
    fail "not within a minute: $*; $(tail -n 40 "$TMP"/*.log)"
}

# start_server COMMAND...: an ingotd, whatever stands before it. SERVER is its process, SERVED the first URL at which it listens ("" where
# that is no address), the log goes on in LOG.
LOG=$TMP/ingotd.log
start_server() {
    : >"$TMP/address"
    "$@" >"$TMP/address" 2>>"$LOG" &
    SERVER=$!
    ENDING+=("$SERVER")
    until grep -q listening "$TMP/address"; do
        kill -0 "$SERVER" 2>/dev/null || fail "'$*' does not start: $(cat "$LOG")"
        sleep 0.05
    done
    SERVED=$(grep -o 'https*://[^, ]*' "$TMP/address" | head -1)
    export SERVER SERVED
}
# On a free port: REGISTRY is its HOST:PORT.
start_ingotd() {
    start_server ingotd --data "${1:-$TMP/registry}" --listen 127.0.0.1:0
    export REGISTRY=${SERVED#*//}
}

# put_blob NAME FILE: sends it to $REGISTRY.
put_blob() {
    local at
    at=$(curl -sf -o /dev/null -w '%header{location}' -X POST "http://$REGISTRY/v2/$1/blobs/uploads/")
    [[ $at == http* ]] || at=http://$REGISTRY$at
    if [[ $at == *\?* ]]; then at="$at&"; else at="$at?"; fi
    curl -sf -o /dev/null -X PUT -H 'content-type: application/octet-stream' --data-binary "@$2" "${at}digest=sha256:$(sha256sum <"$2" | cut -d' ' -f1)"
}

# start_upstream REGISTRY: what stands between a cache and its upstream, doing as $TMP/rules says; each request is a line of
# $TMP/asked. `upstream` is its HOST:PORT, `upstream_pid` its process.
start_upstream() {
    : >"$TMP/rules"
    : >"$TMP/asked"
    : >"$TMP/upstream.address"
    python3 tests/system/upstream.py "$1" "$TMP/rules" "$TMP/asked" >"$TMP/upstream.address" 2>"$TMP/upstream.err" &
    upstream_pid=$!
    ENDING+=("$upstream_pid")
    until grep -q : "$TMP/upstream.address"; do
        kill -0 "$upstream_pid" 2>/dev/null || fail "$(cat "$TMP/upstream.err")"
        sleep 0.05
    done
    upstream=$(cat "$TMP/upstream.address")
}

# A registry works a view's sum out in the background: its clients are told to come again.
view() { curl -sf -m 300 --retry 100 "$@"; }
# box_catalogue URL [CURL-ARGUMENT...]: Vagrant's catalogue once it has every sum.
box_catalogue() {
    local _
    for _ in $(seq 300); do
        curl -sf "$@" >"$TMP/box-catalogue" || return
        python3 -c 'import json,sys; sys.exit(any("checksum" not in p for v in json.load(sys.stdin)["versions"] for p in v["providers"]))' <"$TMP/box-catalogue" && break
        sleep 0.2
    done
    cat "$TMP/box-catalogue"
}

# start_cache NAME UPSTREAM [OPTION...]: an ingotd before an upstream, in $TMP/NAME: `cache` is its HOST:PORT, `cache_pid` its process.
start_cache() {
    local name=$1 upstream=$2
    shift 2
    : >"$TMP/$name.address"
    ingotd --data "$TMP/$name" --listen 127.0.0.1:0 --upstream "$upstream" "$@" >"$TMP/$name.address" 2>>"$TMP/ingotd.log" &
    cache_pid=$!
    ENDING+=("$cache_pid")
    until grep -q http "$TMP/$name.address"; do
        kill -0 "$cache_pid" 2>/dev/null || fail "$(cat "$TMP/ingotd.log")"
        sleep 0.05
    done
    cache=$(sed 's,.*http://,,' "$TMP/$name.address")
}
end_cache() {
    kill "$cache_pid"
    wait "$cache_pid" || fail "the cache ends with $?"
}
# code PATH [CURL-ARGUMENT...]: the cache's status; the body is in $TMP/answer, the head in $TMP/head. Nothing may hang.
code() {
    local path=$1
    shift
    curl -s -m 60 -o "$TMP/answer" -D "$TMP/head" -w '%{http_code}' "$@" "http://$cache$path"
}

# start_docker_registry FOLDER [LINE-OF-ITS-CONFIGURATION...]: docker-registry on a free port: `docker` is its HOST:PORT.
start_docker_registry() {
    local pid
    printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $1}, delete: {enabled: true}}" 'http: {addr: "127.0.0.1:0"}' "${@:2}" >"$TMP/config.yml"
    [ ! -e "$TMP/docker.log" ] || mv "$TMP/docker.log" "$TMP/docker.log.$RANDOM" # another one writes to it
    docker-registry serve "$TMP/config.yml" >"$TMP/docker.log" 2>&1 &
    pid=$!
    ENDING+=("$pid")
    until grep -q 'listening on' "$TMP/docker.log"; do
        kill -0 "$pid" 2>/dev/null || fail "docker-registry does not start: $(cat "$TMP/docker.log")"
        sleep 0.1
    done
    docker=127.0.0.1:$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$TMP/docker.log" | head -1)
    export docker
}

# expect STATUS COMMAND...: runs it, its output in $TMP/out and $TMP/err.
expect() {
    local wanted=$1 status=0
    shift
    "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    [ "$status" = "$wanted" ] || fail "'$*' ends with $status, not $wanted: $(cat "$TMP/err")"
}

# flip FILE OFFSET: damages one byte, whatever it is: of bytes that are written over, one in 256 is the same as before.
flip() { python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1); f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 0x10]))' "$1" "$2"; }

# A raw disk with an ext4 of some files, quickly made: small_disk FILE [SEED [MIB [LETTERS]]], by default 256 MiB and programs of a-g.
small_disk() {
    local tree=$TMP/tree-$RANDOM letters=${4:-a-g}
    mkdir -p "$tree"
    # shellcheck disable=SC2086
    cp /usr/bin/[$letters]* "$tree/" 2>/dev/null || true
    find "$tree" -size +4M -delete
    echo "${2:-one}" >"$tree/seed"
    truncate -s "${3:-256}M" "$1"
    mke2fs -q -t ext4 -d "$tree" "$1" 2>/dev/null
    rm -rf "$tree"
}

# small_base DISK [PARTITION...]: the base as a raw disk with a root of 1 GiB, which begins at 66 MiB as the base's own does, and with
# partitions behind it that have the bytes of these files. What is free costs each reader of a disk, most of all an emulated one.
small_base() {
    local disk=$1 work=$TMP/small-base end=$((66 + 1024)) one table
    mkdir "$work"
    ingot pull -q debian-12 -o "$work/base" >/dev/null
    place() { dd if="$1" of="$disk" bs=1M seek="$2" conv=notrunc,sparse status=none "${@:3}"; }
    dd if="$work/base" of="$work/root" bs=1M skip=66 count=$((($(stat -c %s "$work/base") >> 20) - 67)) conv=sparse status=none
    e2fsck -fp "$work/root" >"$work/out" 2>&1 || [ $? = 1 ] || fail "the base: $(cat "$work/out")"
    resize2fs "$work/root" 1G >"$work/out" 2>&1 || fail "resize2fs: $(cat "$work/out")"
    truncate -s 1G "$work/root"
    truncate -s 0 "$disk"
    place "$work/base" 0 count=66
    place "$work/root" 66
    table=$(sfdisk -d "$work/base" | sed -e '/-lba/d' -e 's/^[^ ]* : //' -e '/name="root"/s/size= *[0-9]*/size=1024MiB/')
    for one in "${@:2}"; do
        place "$one" $end
        table+=$'\n'"start=${end}MiB, size=$(stat -c %s "$one" | awk '{ print $1 / 512 }')"
        end=$((end + ($(stat -c %s "$one") >> 20)))
    done
    truncate -s $((end + 1))M "$disk"
    sfdisk -q --no-reread --wipe never --wipe-partitions never "$disk" <<<"$table" >"$work/out" 2>&1 || fail "the partitions: $(cat "$work/out")"
    rm -r "$work"
}

# Two versions of a disk: $TMP/v1.raw, and $TMP/v2.raw with another file in it.
two_disks() {
    small_disk "$TMP/v1.raw"
    cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
    head -c 2000000 /dev/urandom >"$TMP/new"
    echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
}
