#!/bin/bash
# Two ingotd serve one folder: what one is given the other has, what one deletes the other does not show, either goes on with the
# other's uploads, garbage is collected beside both, one of them is killed, and nothing that was acknowledged is lost.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

data=$TMP/data
export INGOT_SHARED=1
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# start NAME PORT: a server of the folder; its process is in $data.NAME.pid.
start() {
    : >"$TMP/$1.address"
    ingotd --data "$data" --listen "127.0.0.1:$2" >"$TMP/$1.address" 2>>"$TMP/$1.log" &
    echo $! >"$data.$1.pid"
    ENDING+=($!)
    until grep -q http "$TMP/$1.address"; do
        kill -0 "$(cat "$data.$1.pid")" 2>/dev/null || fail "ingotd does not start: $(cat "$TMP/$1.log")"
        sleep 0.05
    done
}
a=$(free_port) b=$(free_port)
# apply SERVER CHANNEL [QUERY]: a pipeline of one channel; its changes are in $TMP/out.
apply() {
    curl -sf -o "$TMP/out" -X PUT --data "{\"pipelines\":{\"team/*\":{\"channels\":[{\"name\":\"$2\"}]}}}" \
        "http://127.0.0.1:$1/api/v1/pipelines${3:-}" || fail "a pipeline is not applied: $(cat "$TMP/out")"
}
start a "$a"
apply "$a" stable
start b "$b"

# What a pipeline changes is told, and put, by what the other server has applied a moment ago.
apply "$a" strict
apply "$b" stable
grep -q '"changed"' "$TMP/out" || fail "a pipeline that the other server has replaced is not applied: $(cat "$TMP/out")"
apply "$a" stable '?dry_run=1'
grep -q '"changes": \[\]' "$TMP/out" || fail "the other server's pipeline is not seen: $(cat "$TMP/out")"
curl -sf -o "$TMP/out" -X PUT --data '{"pipelines":{}}' "http://127.0.0.1:$a/api/v1/pipelines?prune=1" || fail "$(cat "$TMP/out")"
grep -q '"removed"' "$TMP/out" || fail "the other server's pipeline does not go: $(cat "$TMP/out")"
ok "a pipeline is applied to what the other server has made of it"

# What one server has applied guards its channels at the other as well, from then on.
manifest() { # manifest METHOD SERVER TAG STATUS
    local status body=()
    [ "$1" != PUT ] || body=(-H 'Content-Type: application/vnd.oci.image.index.v1+json' --data '{"schemaVersion":2,"manifests":[]}')
    status=$(curl -s -o "$TMP/out" -w '%{http_code}' -X "$1" "${body[@]}" "http://127.0.0.1:$2/v2/team/guarded/manifests/$3")
    [ "$status" = "$4" ] || fail "$1 of $3 at $2: $status, not $4: $(cat "$TMP/out")"
}
manifest PUT "$b" stable 201
apply "$a" stable
manifest PUT "$b" stable 409
manifest DELETE "$b" stable 409
manifest PUT "$b" 1.0.0 201
curl -sf -o "$TMP/out" -X PUT --data '{"pipelines":{}}' "http://127.0.0.1:$a/api/v1/pipelines?prune=1" || fail "$(cat "$TMP/out")"
manifest DELETE "$b" stable 202
ok "what one server guards, the other does not let a plain push move"

# What is removed may be read at the other server: the collection says so, and it goes when that has looked, without another one.
head -c 100000 /dev/urandom >"$TMP/removed"
removed=sha256:$(sha256sum <"$TMP/removed" | cut -d' ' -f1)
curl -sf -o "$TMP/out" -X POST --data-binary "@$TMP/removed" "http://127.0.0.1:$a/v2/team/removed/blobs/uploads/?digest=$removed" || fail "$(cat "$TMP/out")"
curl -sf -o "$TMP/out" -X DELETE "http://127.0.0.1:$a/v2/team/removed/blobs/$removed" || fail "$(cat "$TMP/out")"
expect 0 ingotd gc --data "$data" --grace 0s
grep -q 'still there: 1 more pieces' "$TMP/out" || fail "nothing is said of what stays for the other server: $(cat "$TMP/out")"
end=$((SECONDS + 150))
until grep -q 'sweep: .*"pieces":1' "$TMP/a.log" "$TMP/b.log"; do
    [ $SECONDS -lt $end ] || fail "what stayed for the other server is still there: $(tail -n 5 "$TMP"/[ab].log)"
    sleep 1
done
ok "what stays for the other server goes when that has looked"

python3 tests/system/two.py "127.0.0.1:$a" "127.0.0.1:$b" "$data" >"$TMP/out" 2>&1 &
driver=$!
while kill -0 "$(cat "$data.b.pid")" 2>/dev/null; do
    kill -0 $driver 2>/dev/null || fail "the clients end early: $(cat "$TMP/out")"
    sleep 0.1
done
wait "$(cat "$data.b.pid")" 2>/dev/null || true
start b "$b"
wait $driver || fail "$(cat "$TMP/out"; tail -n 5 "$TMP"/[ab].log)"
ok "pushed, read, deleted and collected side by side, one server killed: $(cat "$TMP/out")"

python3 tests/system/uploads.py moves "127.0.0.1:$a" "127.0.0.1:$b" "$data.b.pid" >"$TMP/out" 2>&1 &
driver=$!
while kill -0 "$(cat "$data.b.pid")" 2>/dev/null; do
    kill -0 $driver 2>/dev/null || fail "the client ends early: $(cat "$TMP/out")"
    sleep 0.1
done
wait "$(cat "$data.b.pid")" 2>/dev/null || true
start b "$b"
wait $driver || fail "$(cat "$TMP/out"; tail -n 5 "$TMP"/[ab].log)"
ok "uploads begun at one server, gone on with at the other, which is killed, and finished"

# What one process says is here, the collection of another leaves for a push that counts on it.
printf counted >"$TMP/counted"
counted=sha256:$(sha256sum <"$TMP/counted" | cut -d' ' -f1)
curl -sf -o "$TMP/out" -X POST --data-binary "@$TMP/counted" "http://127.0.0.1:$a/v2/team/counted/blobs/uploads/?digest=$counted" || fail "$(cat "$TMP/out")"
sleep 11
curl -sf -o "$TMP/out" -I "http://127.0.0.1:$a/v2/team/counted/blobs/$counted" || fail "HEAD: $(cat "$TMP/out")"
expect 0 ingotd gc --data "$data" --grace 10s
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"%s","size":7},"layers":[]}' "$counted" >"$TMP/manifest"
for host in "$a" "$b"; do
    curl -sf -o "$TMP/out" -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/manifest" "http://127.0.0.1:$host/v2/team/counted/manifests/x$host" || fail "a blob that a push counts on has been collected"
done
ok "what a push was told is here stays for it, whichever process collects"

for one in a b; do
    kill "$(cat "$data.$one.pid")"
    wait "$(cat "$data.$one.pid")" || fail "server $one ends with $?: $(tail -n 5 "$TMP/$one.log")"
done
expect 0 ingotd gc --data "$data" --grace 0s
expect 0 ingotd scrub --data "$data"
ok "the folder is clean: $(tail -1 "$TMP/out")"

ingotd --data "$data" --listen 127.0.0.1:0 >"$TMP/a.address" 2>"$TMP/a.log" &
ENDING+=($!)
until grep -q http "$TMP/a.address"; do sleep 0.05; done
status=0
INGOT_SHARED='' timeout 20 ingotd --data "$data" --listen 127.0.0.1:0 >"$TMP/b.address" 2>"$TMP/b.log" || status=$?
[ $status = 1 ] && grep -q 'another ingotd serves' "$TMP/b.log" || fail "a server beside others that were not told so: $status $(cat "$TMP/b.log")"
ok "who was not told to share does not"
