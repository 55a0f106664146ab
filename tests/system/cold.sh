#!/bin/bash
# What the kernel has let go of is read by a thread of a pool, and no event loop sends it: it would wait for the disk, with all its
# clients. tests/faults/cold.c tells of each byte that is sent from the disk.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libcold.so" tests/faults/cold.c -ldl
export COLD_LOG=$TMP/sent-cold
serve() { # [VARIABLE=VALUE]: the server under that
    start_server env "$@" LD_PRELOAD="$TMP/libcold.so" ingotd --data "$TMP/data" --listen 127.0.0.1:0
    blob=$SERVED/v2/a/blobs/$digest
}
end() { kill "$SERVER" && wait "$SERVER" || fail "the server ends with $?"; }
# let_go: the kernel keeps no page of the packs. It keeps those that an answer on its way still refers to, so it is asked until it does.
let_go() {
    python3 - "$TMP/data/packs" <<'PY'
import os, sys, time
def is_gone(pack):
    os.posix_fadvise(pack, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        os.preadv(pack, [bytearray(1)], 4096, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    except OSError:
        sys.exit(1)
    return False
for name in os.listdir(sys.argv[1]):
    if name.endswith(".pack"):
        pack = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
        os.fsync(pack)
        for _ in range(100):
            if is_gone(pack):
                break
            time.sleep(0.1)
        else:
            sys.exit(1)
PY
}
# ranges: each of them from the disk, and then from memory, is what it was.
ranges() {
    local range
    for range in 0-0 100000-165535 5000000-5999999 3000000-20999999 0-; do
        let_go
        for _ in disk memory; do
            curl -sf -r "$range" -o "$TMP/got" "$blob" || fail "$range: $?"
            cmp -s "$TMP/got" <(tail -c "+$((${range%-*} + 1))" "$TMP/blob" | if [ -n "${range#*-}" ]; then head -c $((${range#*-} - ${range%-*} + 1)); else cat; fi) || fail "other bytes: $range"
        done
    done
}

head -c 30000000 /dev/urandom >"$TMP/blob"
digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
serve A=a
curl -sf -o /dev/null -X POST -H 'Expect:' --data-binary "@$TMP/blob" "${blob%/*}/uploads/?digest=$digest" || fail "a push"
curl -sf "$blob" | cmp - "$TMP/blob" || fail "the blob" # all of it has been looked at since
let_go || skip "this file system does not tell what is in memory"
ranges
[ ! -e "$COLD_LOG" ] || fail "an event loop sends from the disk: $(sort "$COLD_LOG" | uniq -c)"
end
ok "what is on the disk alone is read before an event loop sends it"

serve COLD_BLIND=1
curl -sf "$blob" | cmp - "$TMP/blob" || fail "the blob"
ranges
[ -e "$COLD_LOG" ] || fail "a server that does not look is not noticed: this test is of no use"
end
ok "a server that does not look would send from the disk"
