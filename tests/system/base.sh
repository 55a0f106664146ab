# shellcheck shell=bash
# The baked base that the tests of machines share, so that it is made once: sourced after lib.sh.

# Points INGOT_STORE at a copy of the shared store with debian-12 in it (blobs by hard link), INGOT_CACHE at the shared cache.
share_base() {
    local shared
    shared=$(realpath "${B:-build}")/test-base
    mkdir -p "$shared"
    export INGOT_CACHE=$shared/cache
    (
        flock 9
        ingot build -q --store "$shared/store" recipes/debian-12.yaml >"$shared/digest" ||
            fail "the base (recipes/debian-12.yaml) does not build"
    ) 9>"$shared/lock"
    export INGOT_STORE=$TMP/store
    cp -al "$shared/store" "$INGOT_STORE"
    # Names change while tests run: they must not be the shared ones.
    cp --remove-destination "$shared/store/index.json" "$INGOT_STORE/index.json"
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
