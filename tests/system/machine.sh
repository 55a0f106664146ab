#!/bin/bash
# A machine that goes wrong under a server that runs: a disk that can't be written, a full quota, too many open files, a clock that is
# set back or forward by a day. Each gets the right status, others are served meanwhile, nothing is lost, and it works again by itself.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

data=$TMP/data
serve() { # [COMMAND-BEFORE... --] FLAGS...: BASE is its URL
    local prefix=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do prefix+=("$1"); shift; done
    shift
    start_server "${prefix[@]}" ingotd --data "$data" --listen 127.0.0.1:0 "$@"
    BASE=$SERVED
}
end() {
    kill "$SERVER"
    wait "$SERVER" || fail "ingotd ends with $?: $(tail -3 "$TMP/ingotd.log")"
}
# ask STATUSES CURL-ARGUMENTS...: one of these, with bars between.
ask() {
    local wanted=$1
    shift
    code=$(curl -s -m 60 -o "$TMP/body" -D "$TMP/head" -w '%{http_code}' -H 'Expect:' "$@") || fail "curl $* ends with $?"
    [[ "|$wanted|" == *"|$code|"* ]] || fail "status $code, not $wanted, of: $* ($(head -c 300 "$TMP/body"); $(tail -2 "$TMP/ingotd.log"))"
}
type='Content-Type: application/vnd.oci.image.manifest.v1+json'
sha() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }
push() { ask "$1" -X POST --data-binary "@$2" "$BASE/v2/a/blobs/uploads/?digest=$(sha "$2")"; }
tag() { # STATUSES TAG
    printf '{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"%s","size":%s},"layers":[],"n":"%s"}' "$(sha "$TMP/kept")" "$(stat -c %s "$TMP/kept")" "$2" >"$TMP/manifest"
    ask "$1" -X PUT -H "$type" --data-binary "@$TMP/manifest" "$BASE/v2/a/manifests/$2"
}
# What was there is served, and health is answered.
serves() {
    ask 200 "$BASE/v2/a/blobs/$(sha "$TMP/kept")"
    cmp "$TMP/body" "$TMP/kept" || fail "$1: what was there differs"
    ask 200 "$BASE/v2/a/manifests/1.0.0"
    ask 200 "$BASE/healthz"
}
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libmachine.so" tests/faults/machine.c -ldl
export MACHINE_DATA=$data MACHINE_FAULT=$TMP/fault MACHINE_CLOCK=$TMP/clock
: >"$TMP/fault"
: >"$TMP/clock"
shim=(env "LD_PRELOAD=$TMP/libmachine.so")
head -c 700000 /dev/urandom >"$TMP/kept"

# errno, status of what writes, name
for row in "30 503 a read-only disk" "122 507 a full quota" "28 507 a full disk"; do
    read -r number status name <<<"$row"
    rm -rf "$data"
    : >"$TMP/fault"
    serve "${shim[@]}" -- --gc-every 0
    push 201 "$TMP/kept"
    tag 201 1.0.0
    ask 202 -X POST "$BASE/v2/a/blobs/uploads/"
    location=$BASE$(sed -n 's/^Location: *\([^\r]*\).*/\1/Ip' "$TMP/head")
    head -c 500000 /dev/urandom >"$TMP/new"
    head -c 200000 "$TMP/new" >"$TMP/begin"
    ask 202 -X PATCH --data-binary "@$TMP/begin" "$location"
    echo "$number" >"$TMP/fault"
    push "$status" "$TMP/new"
    tag "$status" 2.0.0
    ask "$status" -X DELETE "$BASE/v2/a/manifests/1.0.0"
    ask 503 "$BASE/readyz"
    serves "$name"
    : >"$TMP/fault"
    for _ in $(seq 100); do [ "$(curl -s -o /dev/null -w '%{http_code}' "$BASE/readyz")" != 200 ] || break; sleep 0.1; done
    ask 200 "$BASE/readyz"
    push 201 "$TMP/new"
    tag 201 2.0.0
    tail -c +200001 "$TMP/new" >"$TMP/rest"
    ask 201 -X PUT --data-binary "@$TMP/rest" "$location?digest=$(sha "$TMP/new")"
    serves "after $name"
    end
    ingotd scrub --data "$data" >"$TMP/out" || fail "$name: $(cat "$TMP/out")"
    ok "$name: $status, what is there is served, and pushes go on once it is over"
done

# Too many open files: who waits with a connection takes one, so that few are left.
serve prlimit --nofile=90:90 -- --gc-every 0
cat >"$TMP/idle.py" <<'PY'
import socket, sys
host, port = sys.argv[1].rsplit("/", 1)[1].split(":")
held = []
for _ in range(200):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((host, int(port)))
    except OSError:
        break
    held.append(s)
print("held", flush=True)
sys.stdin.read()
PY
mkfifo "$TMP/tell"
python3 "$TMP/idle.py" "$BASE" <"$TMP/tell" >"$TMP/held" &
idle=$!
ENDING+=("$idle")
exec 9>"$TMP/tell"
until grep -q held "$TMP/held"; do sleep 0.05; done
for _ in 1 2 3 4 5; do
    code=$(curl -s -m 5 -o "$TMP/body" -w '%{http_code}' -H 'Expect:' -X POST --data-binary "@$TMP/new" "$BASE/v2/a/blobs/uploads/?digest=$(sha "$TMP/new")") || true
    case $code in 000 | 201 | 503) ;; *) fail "with too many files open a push is answered $code: $(cat "$TMP/body")" ;; esac
done
kill -0 "$SERVER" || fail "with too many files open the server has ended"
exec 9>&-
wait "$idle"
for _ in $(seq 100); do [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "$BASE/readyz")" != 200 ] || break; sleep 0.1; done
head -c 600000 /dev/urandom >"$TMP/newer"
push 201 "$TMP/newer"
tag 201 3.0.0
serves "after too many open files"
end
ingotd scrub --data "$data" >"$TMP/out" || fail "too many open files: $(cat "$TMP/out")"
ok "too many open files: no wrong answer, nothing is lost, and it serves when they are closed"

# The clock. A token that was given before stays good if the clock goes back, and is out of date when it has gone on by a day.
rm -rf "$data"
printf '%s\n' 'correct horse' 'correct horse' | ingotd user add --data "$data" --scope 'admin:*' alice >/dev/null
login=(-u 'alice:correct horse')
serve "${shim[@]}" -- --gc-every 1s --gc-grace 1h --untagged-grace 1h
ask 201 "${login[@]}" -X POST --data-binary "@$TMP/kept" "$BASE/v2/a/blobs/uploads/?digest=$(sha "$TMP/kept")"
printf '{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"%s","size":%s},"layers":[]}' "$(sha "$TMP/kept")" "$(stat -c %s "$TMP/kept")" >"$TMP/manifest"
ask 201 "${login[@]}" -X PUT -H "$type" --data-binary "@$TMP/manifest" "$BASE/v2/a/manifests/1.0.0"
begin() {
    ask 202 "${login[@]}" -X POST "$BASE/v2/a/blobs/uploads/"
    location=$BASE$(sed -n 's/^Location: *\([^\r]*\).*/\1/Ip' "$TMP/head")
    ask 202 "${login[@]}" -X PATCH --data-binary "@$TMP/begin" "$location"
}
token() { ask 200 "${login[@]}" "$BASE/token?service=ingot&scope=repository:a:pull" && python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"])' "$TMP/body"; }
runs() { curl -sf "$BASE/metrics" | sed -n 's/^ingot_gc_runs_total //p'; }
# Waits, for 10 s at most, until garbage was collected twice since $before.
collected() {
    local now
    for _ in $(seq 100); do
        now=$(runs)
        [ -z "$now" ] || [ "$now" -le $((before + 1)) ] || break
        sleep 0.1
    done
}
begin
given=$(token)
echo -86400 >"$TMP/clock"
ask '200|401' -H "Authorization: Bearer $given" "$BASE/v2/a/manifests/1.0.0" # from a day ahead: either is sane
fresh=$(token)
ask 200 -H "Authorization: Bearer $fresh" "$BASE/v2/a/manifests/1.0.0"
before=$(runs)
collected
[ "$(runs)" -gt $((before + 1)) ] || fail "with the clock a day back garbage is collected no more"
ask 201 "${login[@]}" -X PUT --data-binary "@$TMP/rest" "$location?digest=$(sha "$TMP/new")"
ask 200 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/new")"
ask 200 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/kept")"
ask 401 -u 'alice:wrong horse' "$BASE/v2/"
for _ in $(seq 100); do [ "$(curl -s -o /dev/null -w '%{http_code}' "${login[@]}" "$BASE/v2/")" != 200 ] || break; sleep 0.2; done
ask 200 "${login[@]}" "$BASE/v2/"
ok "a clock that is set back by a day: tokens, collections, uploads and logins go on"

begin
given=$(token)
echo 86400 >"$TMP/clock"
ask 401 -H "Authorization: Bearer $given" "$BASE/v2/a/manifests/1.0.0"
before=$(runs)
collected
ask 200 "${login[@]}" "$BASE/v2/a/manifests/1.0.0"
ask 200 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/kept")"
ask 404 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/new")" # no manifest names it, and its hour is long over
begin
ask 201 "${login[@]}" -X PUT --data-binary "@$TMP/rest" "$location?digest=$(sha "$TMP/new")"
ask 200 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/new")"
: >"$TMP/clock"
ask 200 "${login[@]}" "$BASE/v2/a/blobs/$(sha "$TMP/new")"
end
ingotd scrub --data "$data" >"$TMP/out" || fail "after the clock: $(cat "$TMP/out")"
ok "a clock that goes on by a day, and back: what is due goes, and nothing else"
