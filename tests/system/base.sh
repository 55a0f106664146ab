# shellcheck shell=bash
# The baked base that the tests of machines share, and a machine that was kept when it had booted: sourced after lib.sh.
#
# Both lie outside the tree, in $INGOT_TEST_CACHE or the user's cache folder, so that a clean clone finds them too: one folder for
# each state of the sources that made it, at most three of a kind. A test gets a copy; nothing that it does reaches another.

# The folder of all bases: the tree's own build folder where the user has none that can be written.
base_folder() {
    local folder=${INGOT_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ingot-tests}
    mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || folder=$(realpath "$B")/test-base
    mkdir -p "$folder"
    echo "$folder"
}
# state_of PATH…: names the state of the sources below these paths.
state_of() { find "$@" -type f \( -name '*.[chS]' -o -name '*.sh' -o -name '*.yaml' \) -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16; }

# sums FOLDER: a line for each file below it, whose holes are not read.
sums() {
    python3 - "$1" <<'PY'
import hashlib, os, sys
for folder, _, names in sorted(os.walk(sys.argv[1])):
    for name in sorted(names):
        path = os.path.join(folder, name)
        total = hashlib.blake2b(digest_size=16)
        with open(path, "rb") as file:
            size, at = os.fstat(file.fileno()).st_size, 0
            while at < size:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                total.update(b"%d-%d" % (at, end))
                while at < end:
                    data = os.pread(file.fileno(), min(end - at, 1 << 20), at)
                    total.update(data)
                    at += len(data)
        print(total.hexdigest(), size, os.path.relpath(path, sys.argv[1]))
PY
}

# fresh FOLDER: whether it is whole, unchanged, and not older than packages stay on a mirror.
fresh() {
    [ -z "$(find "$1.sums" -mtime +3 2>/dev/null)" ] && [ -s "$1.sums" ] && sums "$1" | cmp -s - "$1.sums" && touch -a "$1.sums"
}
# make_base FOLDER: bakes it, which tests it too.
make_base() {
    ingot build -q --store "$1/store" --cache "$1/cache" recipes/debian-12.yaml >/dev/null
}
# make_warm FOLDER BASE: a cache that holds the base's machine, kept when it had booted.
make_warm() {
    mkdir "$1"
    cp -a --sparse=always "$2/cache/sources" "$1/"
    printf 'name: warm\nversion: 1.0.0\nsource: {from: debian-12}\nmachine: {cpus: 1}\nsteps:\n  - shell: "true"\n' >"$TMP/warm.yaml"
    cp -a "$2/store" "$TMP/warm-store"
    ingot build -q --no-test --store "$TMP/warm-store" --cache "$1" "$TMP/warm.yaml" >/dev/null || return
    rm -rf "$TMP/warm-store" "$1/images" "$1/plans"
    # Of the two nodes the one that is kept after the boot stays.
    python3 - "$1" <<'PY'
import glob, json, os, shutil, sys
for path in glob.glob(sys.argv[1] + "/nodes/*/node.json"):
    if len(json.load(open(path))["runs"]) > 1:
        shutil.rmtree(os.path.dirname(path))
PY
}
# made_once FOLDER COMMAND…: runs it to make the folder, unless that is there and fresh.
made_once() {
    local folder=$1 kind=${1%-*} old
    shift
    ! fresh "$folder" || return 0
    rm -rf "$folder" "$folder.sums"
    "$@" || { rm -rf "$folder"; return 1; }
    sums "$folder" >"$folder.sums"
    # Kept are the three that were used last, and what a test of today may still be using.
    find "$(dirname "$kind")" -maxdepth 1 -name "$(basename "$kind")-*.sums" -printf '%A@ %p\n' | sort -rn | tail -n +4 | while read -r _ old; do
        [ -n "$(find "$old" -amin +1440)" ] || continue
        rm -rf "$old" "${old%.sums}"
    done
}

copy_base() {
    cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2"; cp -a --sparse=always "$1" "$2"; return; }
    find "$2" -type f -size -1024k -exec sh -c 'for path; do cp -p "$path" "$path.own" && mv "$path.own" "$path"; done' sh {} +
}

# share_base [warm]: a store in $INGOT_STORE with debian-12 in it and a cache in $INGOT_CACHE with its disk, both this test's own;
# with warm also its booted machine, which a build goes on from.
share_base() {
    local folder base warm from name
    folder=$(base_folder)
    # One appliance for all, which libguestfs itself keeps up to date.
    mkdir -p "$folder/appliance"
    export INGOT_STORE=$TMP/store INGOT_CACHE=$TMP/cache LIBGUESTFS_CACHEDIR=$folder/appliance
    (
        flock 9
        base=$folder/base-$(state_of builder/source builder/seal registry/image registry/base recipes/debian-12.yaml)
        made_once "$base" make_base "$base" || fail "the base (recipes/debian-12.yaml) does not build"
        from=$base/cache
        if [ "${1:-}" = warm ]; then
            # The machine is the base's of now: one that was baked again is another image.
            warm=$folder/warm-$({ state_of builder registry/image registry/base registry/store recipes/debian-12.yaml tests/system/base.sh; cat "$base.sums"; } | sha256sum | cut -c1-16)
            made_once "$warm" make_warm "$warm" "$base" || fail "the base does not boot"
            from=$warm
        fi
        # Blobs and disks are never written to: a link will do. Records and locks are the test's own.
        copy_base "$base/store" "$INGOT_STORE"
        mkdir "$INGOT_CACHE"
        copy_base "$from/sources" "$INGOT_CACHE/sources"
        for name in accel nodes salt; do
            [ ! -e "$from/$name" ] || cp -a --reflink=auto --sparse=always "$from/$name" "$INGOT_CACHE/"
        done
    ) 9>"$folder/lock"
}

# boot REF: starts `ingot run`, waits for its ssh, and leaves the command in $SSH; unboot ends it.
boot() {
    ingot run --wait --json "$@" >"$TMP/run.json" 2>"$TMP/run.log" &
    MACHINE=$!
    until grep -q '}' "$TMP/run.json"; do
        kill -0 $MACHINE || fail "ingot run $*: $(cat "$TMP/run.log")"
        sleep 0.2
    done
    SSH=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["ssh"])' "$TMP/run.json")
}
port_of() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["ports"][sys.argv[2]])' "$TMP/run.json" "$1"; }
in_guest() { $SSH "$@" 2>>"$TMP/ssh.log"; }
unboot() {
    kill "$MACHINE"
    wait "$MACHINE" || true
}
