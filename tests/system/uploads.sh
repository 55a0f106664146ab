#!/bin/bash
# Uploads go on: by a newer request beside the former one, after a full disk when there is room again; and nobody has more of them
# than is set.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
    if [ "$(id -u)" = 0 ]; then exec unshare --mount --propagation unchanged "$0" inside; fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_ingotd
python3 tests/system/uploads.py takes_over "$REGISTRY" || fail "$(tail -3 "$TMP/ingotd.log")"
python3 tests/system/uploads.py hashes "$REGISTRY" || fail "$(tail -3 "$TMP/ingotd.log")"
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
ok "a newer request takes over, and what the former still sends is dropped; an end that waits for a hash is told so"

small=$TMP/small
mkdir "$small"
# In a chroot there is no mount to make private, and none that others share.
mount --make-rprivate / 2>/dev/null || true
mount -t tmpfs -o size=64m tmpfs "$small"
trap 'status=$?; set +e; umount -l "$small" 2>/dev/null; (exit $status); finish' EXIT
start_ingotd "$small/registry"
# The disk has room for 10 MB more.
head -c "$(($(df --output=avail -B1 "$small" | tail -1) - 10000000))" /dev/zero >"$small/other"
touch "$TMP/marker" "$TMP/marker.more"
python3 tests/system/uploads.py fills "$REGISTRY" "$TMP/marker" 2>"$TMP/err" &
client=$!
while [ -e "$TMP/marker" ] && kill -0 $client 2>/dev/null; do sleep 0.05; done
rm -f "$small/other" "$TMP/marker.more"
wait $client || fail "$(cat "$TMP/err"; tail -3 "$TMP/ingotd.log")"
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
expect 0 ingotd scrub --data "$small/registry"
umount "$small"
ok "on a full disk an upload is told so, others are served, and it goes on when there is room"

data=$TMP/many
for user in alice bob; do printf 'the word of %s\n%s\n' $user "the word of $user" | ingotd user add --data "$data" --scope 'push:team/*' $user; done
: >"$TMP/ingotd.address"
ingotd --data "$data" --listen 127.0.0.1:0 --max-uploads-per-user 3 >"$TMP/ingotd.address" 2>>"$TMP/ingotd.log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/ingotd.address"; do kill -0 "$SERVER" || fail "$(cat "$TMP/ingotd.log")"; sleep 0.05; done
base=$(sed 's,.*\(http://\),\1,' "$TMP/ingotd.address")
# post USER [QUERY]: the status of an upload that begins; its place is `location`.
post() {
    curl -s -o "$TMP/answer" -D "$TMP/head" -w '%{http_code}' -u "$1:the word of $1" -X POST "$base/v2/team/web/blobs/uploads/${2:-}" >"$TMP/status"
    location=$base$(sed -n 's/^Location: *\([^\r]*\).*/\1/Ip' "$TMP/head")
    [ "$(cat "$TMP/status")" = "$3" ] || fail "$1's upload: status $(cat "$TMP/status"), not $3: $(cat "$TMP/answer")"
}
for _ in 1 2 3; do post alice '' 202; done
nothing=sha256:$(sha256sum </dev/null | cut -d' ' -f1)
for query in '' "?digest=$nothing"; do
    post alice "$query" 429
    grep -q TOOMANYREQUESTS "$TMP/answer" && grep -q 'alice has 3 uploads under way' "$TMP/answer" && grep -qi '^Retry-After: ' "$TMP/head" ||
        fail "$(cat "$TMP/head" "$TMP/answer")"
done
post bob '' 202
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
ingotd --data "$data" --listen "${base#http://}" --max-uploads-per-user 3 >"$TMP/ingotd.address" 2>>"$TMP/ingotd.log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/ingotd.address"; do kill -0 "$SERVER" || fail "$(cat "$TMP/ingotd.log")"; sleep 0.05; done
post alice '' 429
post bob '' 202
for _ in 1 2; do # as they were begun
    curl -sf -o /dev/null -u 'bob:the word of bob' -X DELETE "$location" || true
    post bob '' 202
done
post bob '' 202
post bob '' 429
ok "a user has no more uploads under way than is set, also after a restart"
