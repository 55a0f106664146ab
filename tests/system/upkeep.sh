#!/bin/bash
# Upkeep: its intervals count over restarts and over a clock that was set back, a scrub goes on where it stood, garbage is
# collected beside it, a signal ends both at once, and room comes back: of tags that were overwritten, of a deleted index's
# children, on a full disk too.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1:-}" != inside ]; then
    # A small file system of our own, gone with the namespace.
    if [ "$(id -u)" = 0 ]; then exec unshare --mount --propagation unchanged "$0" inside; fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

data=$TMP/data
serve() {
    start_server ingotd --data "$data" --listen 127.0.0.1:0 "$@"
    registry=${SERVED#*//}
}
end() {
    kill "$SERVER" || fail "ingotd has ended before it was asked to: $(tail -5 "$TMP/ingotd.log")"
    wait "$SERVER" || fail "ingotd ends with $?: $(tail -5 "$TMP/ingotd.log")"
}
figure() { curl -s "http://$registry/metrics" | sed -n "s/^$1 //p"; }
# reaches NAME NUMBER: waits until a figure is that or more.
reaches() {
    local value
    for _ in $(seq 300); do
        value=$(figure "$1" | cut -d. -f1)
        [ -z "$value" ] || [ "$value" -lt "$2" ] || return 0
        sleep 0.1
    done
    fail "$1 is '$value', not $2: $(tail -5 "$TMP/ingotd.log")"
}
diary() { sqlite3 -cmd '.timeout 10000' "$data/catalogue.sqlite" "$1"; }
# push NAME FILE: a blob; prints its digest.
push() {
    local digest
    digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)
    curl -sf -o /dev/null -H 'Content-Type: application/octet-stream' --data-binary "@$2" \
        "http://$registry/v2/$1/blobs/uploads/?digest=$digest" || return 1
    echo "$digest"
}
# tag NAME TAG-OR-EMPTY BLOB SIZE: a manifest that names the blob; prints its digest.
tag() {
    local digest
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"%s","size":%s},"layers":[]}' \
        "$3" "$4" >"$TMP/manifest"
    digest=sha256:$(sha256sum "$TMP/manifest" | cut -d' ' -f1)
    curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/manifest" \
        "http://$registry/v2/$1/manifests/${2:-$digest}" || return 1
    echo "$digest"
}
# fill NAME TAG SEED SIZE: bytes of their own under a tag.
fill() {
    openssl enc -aes-128-ctr -pass "pass:$3" -nosalt -pbkdf2 -iter 1 </dev/zero 2>/dev/null | head -c "$4" >"$TMP/blob" || true
    tag "$1" "$2" "$(push "$1" "$TMP/blob")" "$4" >/dev/null
}

# The server's own scrub waits for one by hand that takes five minutes, and a pull comes: it is looked at last whether that was
# noted meanwhile.
data=$TMP/slow
serve --scrub-every 1s
head -c 2400000 /dev/urandom | split -b 8000 --filter='zstd -q -c' >"$TMP/frames"
tag slow 1.0.0 "$(push slow "$TMP/frames")" "$(stat -c %s "$TMP/frames")" >/dev/null
ingotd scrub --data "$data" --rate 1 >/dev/null 2>&1 &
by_hand=$!
ENDING+=("$by_hand")
sleep 4
curl -sf -o /dev/null "http://$registry/v2/slow/manifests/1.0.0" || fail "a pull"
slow=$SERVER pulled=$SECONDS data=$TMP/data

packs() { du -sb --exclude=lost "$data/packs" | cut -f1; }

# --- what nothing names ---

serve --gc-every 0 --scrub-every 0
for n in 1 2 3 4 5; do fill n nightly "$n" 2000000; done
before=$(packs)
ingotd gc --data "$data" --grace 0s --dry-run >"$TMP/out"
grep -q '4 manifests' "$TMP/out" || fail "dry run: $(tail -1 "$TMP/out")"
[ "$(packs)" = "$before" ] || fail "a dry run changed something"
ingotd gc --data "$data" --grace 1d >"$TMP/out"
[ "$(packs)" -gt 10000000 ] || fail "within the grace something went: $(tail -1 "$TMP/out")"
ingotd gc --data "$data" --grace 0s >"$TMP/out"
[ "$(packs)" -lt 2200000 ] || fail "overwritten tags still take $(packs) bytes: $(tail -1 "$TMP/out")"
curl -sf -o /dev/null "http://$registry/v2/n/manifests/nightly" || fail "what a tag names has gone"
curl -sf -X DELETE "http://$registry/v2/n/manifests/nightly"
ingotd gc --data "$data" --grace 0s >/dev/null
[ "$(packs)" -lt 100000 ] || fail "a deleted tag still takes $(packs) bytes"

children=()
for n in 1 2; do
    openssl rand 100000 >"$TMP/blob"
    children+=("$(tag multi '' "$(push multi "$TMP/blob")" 100000)")
    sizes[n]=$(wc -c <"$TMP/manifest")
done
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s]}' \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"${children[0]}\",\"size\":${sizes[1]}}" \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"${children[1]}\",\"size\":${sizes[2]}}" >"$TMP/index"
index=sha256:$(sha256sum "$TMP/index" | cut -d' ' -f1)
curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$TMP/index" \
    "http://$registry/v2/multi/manifests/1.0.0"
ingotd gc --data "$data" --grace 0s >/dev/null
curl -sf -o /dev/null "http://$registry/v2/multi/manifests/${children[1]}" || fail "a child of an index has gone"
curl -sf -X DELETE "http://$registry/v2/multi/manifests/$index"
ingotd gc --data "$data" --grace 0s >/dev/null
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/v2/multi/manifests/${children[1]}")" = 404 ] ||
    fail "the children of a deleted index stay"
end
ok "overwritten and deleted tags, and the children of an index, give their room back"

# --- timers ---

serve --gc-every 1h --scrub-every 0
fill team/web 1.0.0 a 3000000
[ "$(figure ingot_gc_runs_total)" = 0 ] || fail "a fresh folder is collected at once"
end
diary "UPDATE diary SET value=value-7200 WHERE key='collected'"
serve --gc-every 1h --scrub-every 0
reaches ingot_gc_runs_total 1
end
diary "UPDATE diary SET value=value+86400 WHERE key='collected'" # as after a clock that was set back a day
serve --gc-every 2s --scrub-every 0
reaches ingot_gc_runs_total 2
end
# A clock that is a year ahead until it is set: what failed before then is tried again soon, not in a year.
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libclock.so" tests/faults/clock.c -ldl
echo 31536000 >"$TMP/clock"
LD_PRELOAD=$TMP/libclock.so CLOCK=$TMP/clock serve --gc-every 2s --scrub-every 0
reaches ingot_gc_runs_total 1
diary "ALTER TABLE packs RENAME TO away"
for _ in $(seq 200); do ! grep -q 'ingotd: gc: .*no such table' "$TMP/ingotd.log" || break; sleep 0.1; done
grep -q 'ingotd: gc: .*no such table' "$TMP/ingotd.log" || fail "gc does not fail: $(tail -5 "$TMP/ingotd.log")"
echo 0 >"$TMP/clock"
diary "ALTER TABLE away RENAME TO packs"
runs=$(figure ingot_gc_runs_total)
reaches ingot_gc_runs_total $((runs + 1))
end
ok "garbage is collected when it is due, whatever restarts and the clock"

for n in 1 2 3 4; do
    head -c 1500000 /dev/urandom >"$TMP/blob$n"
done
serve --gc-every 0 --scrub-every 0
for n in 1 2 3 4; do tag team/web "1.$n.0" "$(push team/web "$TMP/blob$n")" 1500000 >/dev/null; done
end
third=$(diary "SELECT id FROM packs WHERE size>1000000 ORDER BY id LIMIT 1 OFFSET 2")
diary "UPDATE diary SET value=$third WHERE key='scrub-pack'; UPDATE diary SET value=value-7200 WHERE key='scrubbed'"
serve --gc-every 0 --scrub-every 1h --scrub-rate 0
reaches ingot_scrub_runs_total 1
[ "$(figure ingot_scrub_bytes_total | cut -d. -f1)" -lt 7000000 ] || fail "the scrub began anew: $(figure ingot_scrub_bytes_total) bytes"
[ "$(figure ingot_scrub_bytes_total | cut -d. -f1)" -gt 1500000 ] || fail "the scrub did nothing"
end
[ "$(diary "SELECT value FROM diary WHERE key='scrub-pack'")" = 0 ] || fail "the scrub has not ended"
ok "a scrub goes on where it stood before a restart"

serve --gc-every 0 --scrub-every 0
ingotd scrub --data "$data" --rate 1K >"$TMP/scrub" 2>&1 &
scrub=$!
ENDING+=("$scrub")
sleep 1
timeout 30 ingotd gc --data "$data" --grace 0s >"$TMP/out" || fail "a collection waits for the scrub"
kill -0 "$scrub" || fail "the scrub has ended: $(cat "$TMP/scrub")"
kill "$SERVER"
timeout 15 tail --pid="$SERVER" -f /dev/null || fail "a scrub keeps the server from its end"
wait "$SERVER" || fail "ingotd ends with $?"
wait "$scrub" && fail "a scrub that was broken off says all is well"
ok "garbage is collected beside a scrub, and a signal ends it"

# --- a full disk ---

mount --make-rprivate / 2>/dev/null || true
mkdir "$TMP/small"
mount -t tmpfs -o size=24m tmpfs "$TMP/small"
trap 'status=$?; umount -l "$TMP/small"; set +e; (exit $status); finish' EXIT
data=$TMP/small/data
serve --gc-every 0 --scrub-every 0
for n in 1 2 3 4 5; do fill big "$n.0.0" "full$n" 3000000; done
head -c 100000000 /dev/zero >"$TMP/small/rest" 2>/dev/null || true # as much as there is room for
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/healthz")" = 200 ] || fail "/healthz on a full disk"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/readyz")" = 503 ] || fail "/readyz on a full disk"
openssl rand 300000 >"$TMP/blob"
code=$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/octet-stream' --data-binary "@$TMP/blob" \
    "http://$registry/v2/big/blobs/uploads/?digest=sha256:$(sha256sum "$TMP/blob" | cut -d' ' -f1)")
[ "$code" = 507 ] || fail "a push to a full disk is answered $code"
curl -sf -o /dev/null "http://$registry/v2/big/manifests/5.0.0" || fail "a pull from a full disk"
ingotd gc --data "$data" --grace 0s --keep 'big=2' >"$TMP/out" || fail "gc on a full disk"
[ "$(packs)" -lt 7000000 ] || fail "gc frees no full disk: $(tail -2 "$TMP/out"), $(packs) bytes"
push big "$TMP/blob" >/dev/null || fail "a push once there is room"
curl -sf "http://$registry/v2/big/tags/list" | grep -q '"4.0.0","5.0.0"' || fail "other versions stay"
end
ok "a full disk: clear answers, nothing lost, and gc makes room"

# Many small pushes: their packs become one without waiting for a collection, which would delete what nothing names.
data=$TMP/scattered
serve --gc-every 7d
python3 - "$registry" >"$TMP/digests" <<'PY'
import hashlib, http.client, sys
host = http.client.HTTPConnection(sys.argv[1])
for i in range(600):
    blob = b"%d small" % i
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    host.request("POST", f"/v2/a/blobs/uploads/?digest={digest}", blob, {"Content-Type": "application/octet-stream"})
    answer = host.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    print(digest)
PY
end
[ "$(find "$data/packs" -name '*.pack' | wc -l)" -ge 600 ] || fail "600 pushes leave fewer packs"
serve --gc-every 7d
for _ in $(seq 300); do
    count=$(find "$data/packs" -name '*.pack' | wc -l)
    [ "$count" -gt 20 ] || break
    sleep 0.1
done
[ "$(find "$data/packs" -name '*.pack' | wc -l)" -le 20 ] || fail "small packs are not merged: $(tail -5 "$TMP/ingotd.log")"
while read -r digest; do printf 'url=http://%s/v2/a/blobs/%s\noutput=/dev/null\n' "$registry" "$digest"; done <"$TMP/digests" >"$TMP/pulls"
curl -sf -K "$TMP/pulls" || fail "a blob is gone after the merge"
[ "$(figure ingot_gc_runs_total)" = 0 ] || fail "a merge counts as a collection"
end
ok "many small packs are merged before the next collection"

# Looking at an image is no pull; to get it by a format is.
data=$TMP/looked
serve --gc-every 7d
head -c 200000 /dev/urandom >"$TMP/looked.raw"
truncate -s 1M "$TMP/looked.raw"
for n in 1 2 3 4; do
    printf '%s' $n | dd of="$TMP/looked.raw" conv=notrunc status=none
    ingot pack -q "$TMP/looked.raw" looked:$n.0.0 >/dev/null
    ingot push -q looked:$n.0.0 "$registry/team/looked" >/dev/null
done
sleep 4
for path in /vagrant/team/looked /formats/team/looked/1.0.0/ /formats/team/looked/1.0.0/raw/ /formats/team/looked/1.0.0/raw/disk.raw.sha256; do
    curl -s --retry 20 -o /dev/null "http://$registry$path"
done
curl -sf -o /dev/null -I "http://$registry/formats/team/looked/1.0.0/raw/disk.raw" || fail "HEAD of a format"
curl -sf -o /dev/null "http://$registry/formats/team/looked/2.0.0/raw/disk.raw" || fail "GET of a format"
for dry in --dry-run --grace=0s; do
    ingotd gc --data "$data" --grace 0s --keep 'team/*=1,pulled=3s' $dry >"$TMP/out" || fail "$(cat "$TMP/out")"
    [ "$(grep -o 'tag team/looked:[0-9.]*' "$TMP/out" | sort | tr '\n' ' ')" = 'tag team/looked:1.0.0 tag team/looked:3.0.0 ' ] || fail "$dry: what goes: $(cat "$TMP/out")"
done
end
ok "what is only looked at goes, what is got by a format stays"

data=$TMP/slow
until [ "$(diary 'SELECT count(*) FROM used')" = 1 ]; do
    [ $SECONDS -lt $((pulled + 150)) ] || fail "a pull waits for the end of a scrub before it is noted"
    sleep 1
done
kill -0 "$by_hand" || fail "the scrub has ended before that"
kill "$slow"
wait "$slow" || fail "ingotd ends with $? in the middle of a scrub"
wait "$by_hand" || true
ok "what is short waits for no job"
