#!/bin/bash
# What crosses a network: killed pulls and pushes go on where they were, and send little twice.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd

# start_link: a network of 20 ms and 200 Mbit/s before the registry: `near` is its HOST:PORT.
start_link() {
    rm -f "$TMP/counts"
    : >"$TMP/near"
    tests/system/link.py "$REGISTRY" 20 200 "$TMP/counts" >"$TMP/near" &
    link=$!
    ENDING+=("$link")
    until grep -q : "$TMP/near"; do
        kill -0 $link
        sleep 0.05
    done
    near=$(cat "$TMP/near")
}
# end_link: sets `sent`, the bytes that crossed it.
end_link() {
    kill -TERM $link
    wait $link || fail "the network ends with $?"
    sent=$(awk '{ printf "%d", $1 + $2 }' "$TMP/counts")
}
held() { du -s --block-size=1 "$1" 2>/dev/null | cut -f1; }
# kill_at BYTES FOLDER COMMAND...: kills it once there are so many bytes in the folder.
kill_at() {
    local bytes=$1 folder=$2 pid status=0
    shift 2
    "$@" >/dev/null 2>"$TMP/err" &
    pid=$!
    until [ "$(held "$folder")" -ge "$bytes" ] 2>/dev/null; do
        kill -0 $pid 2>/dev/null || fail "'$*' has ended before it was killed: $(cat "$TMP/err")"
        sleep 0.02
    done
    kill -9 $pid
    wait $pid || status=$?
    [ $status = 137 ] || fail "'$*' was not killed: $status"
}
notes() { find "$INGOT_STORE/uploads" -type f | wc -l; }
size=48000000
head -c $size /dev/urandom >"$TMP/disk.raw"
truncate -s 64M "$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" web:1.0.0)

start_link
for part in 1 2 3; do
    kill_at $((part * size / 4)) "$TMP/registry" ingot push -q web:1.0.0 "$near/team/web"
done
[ "$(notes)" = 1 ] || fail "a killed push leaves $(notes) notes"
[ "$(ingot push -q web:1.0.0 "$near/team/web")" = "$digest" ] || fail "a push that was killed"
end_link
[ "$sent" -lt $((size * 11 / 10)) ] || fail "a push of $size bytes that was killed three times has sent $sent"
[ "$(notes)" = 0 ] || fail "the note of an upload that has ended stays"
ok "a push that is killed goes on ($sent bytes for $size)"

start_link
for part in 1 2 3; do
    kill_at $((part * size / 4)) "$TMP/pulled" ingot pull -q --store "$TMP/pulled" "$near/team/web:1.0.0"
done
[ "$(ingot pull -q --store "$TMP/pulled" "$near/team/web:1.0.0" -o "$TMP/back.raw")" = "$digest" ] || fail "a pull that was killed"
end_link
cmp "$TMP/back.raw" "$TMP/disk.raw" || fail "the disk of a pull that was killed differs"
[ "$sent" -lt $((size * 11 / 10)) ] || fail "a pull of $size bytes that was killed three times has brought $sent"
ok "a pull that is killed goes on ($sent bytes for $size)"

# A note of an upload that has gone costs a push from the start, and no more.
head -c $size /dev/urandom >"$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" other:1.0.0)
start_link
kill_at $(($(held "$TMP/registry") + size / 4)) "$TMP/registry" ingot push -q other:1.0.0 "$near/team/other"
[ "$(notes)" = 1 ] || fail "a killed push leaves $(notes) notes"
sed -i 's,/uploads/[^"]*,/uploads/00000000-0000-4000-8000-000000000000,' "$INGOT_STORE"/uploads/*
[ "$(ingot push -q other:1.0.0 "$near/team/other")" = "$digest" ] || fail "a push with the note of an upload that has gone"
[ "$(notes)" = 0 ] || fail "the note of an upload that has gone stays"
end_link
ok "the note of an upload that has gone does no harm"
