#!/bin/bash
# No stall: while clients are in the slowest requests of each kind, health and a range of another blob are answered; and
# a server that stops under load ends in order. The times are generous: they tell an answer from none.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

CLIENTS=8 # as many as a pool has threads, and more than there are event loops
serve() {
    start_server ingotd --listen 127.0.0.1:0 "$@"
    BASE=$SERVED
    export REGISTRY=${SERVED#*//}
}
head -c 5000000 /dev/urandom >"$TMP/blob"
blob=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
head -c 70000 "$TMP/blob" | tail -c 65536 >"$TMP/part"
push() { curl -sf -o /dev/null -X POST -H 'Expect:' --data-binary "@$TMP/blob" "$BASE/v2/other/blobs/uploads/?digest=$blob" || fail "a push: $?"; }
# lives WHAT: health, and a range of a blob that has nothing to do with it.
lives() {
    [ "$(curl -s -m 20 "$BASE/healthz")" = ok ] || fail "no health beside $1"
    curl -sf -m 30 -r 4464-69999 -o "$TMP/got" "$BASE/v2/other/blobs/$blob" && cmp "$TMP/got" "$TMP/part" || fail "no range beside $1"
}

# hang.py HOST:PORT METHOD PATH COUNT: requests whose bodies never end; says "held" when their heads were sent.
cat >"$TMP/hang.py" <<'PY'
import socket, sys
host, port = sys.argv[1].split(":")
sockets = []
for _ in range(int(sys.argv[4])):
    s = socket.create_connection((host, int(port)))
    s.sendall(f"{sys.argv[2]} {sys.argv[3]} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n".encode() + b"x" * 300000)
    sockets.append(s)
print("held", flush=True)
sys.stdin.read()
PY
# beside WHAT COMMAND...: runs the command CLIENTS times beside lives.
beside() {
    local what=$1 pids=() i
    shift
    for ((i = 0; i < CLIENTS; i++)); do
        "$@" >/dev/null 2>&1 &
        pids+=("$!")
    done
    for i in 1 2 3 4 5; do
        lives "$what"
        sleep 0.1
    done
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    ok "health and ranges beside $what"
}

serve --data "$TMP/data"
push
ask_figures() { while curl -s -o /dev/null "$BASE/metrics"; do :; done; }
beside "$CLIENTS loops over /metrics" ask_figures
# However many ask at once, none is told to come again.
cat >"$TMP/crowd.py" <<'PY'
import http.client, sys, threading
answers = []
def ask(path):
    connection = http.client.HTTPConnection(sys.argv[1], timeout=60)
    for _ in range(20):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        answers.append((path, answer.status))
ask("/readyz"), ask("/metrics")
threads = [threading.Thread(target=ask, args=[path]) for path in ("/readyz", "/metrics") for _ in range(150)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(answers) == 302 * 20 and {status for _, status in answers} == {200}, {a: answers.count(a) for a in set(answers)}
PY
python3 "$TMP/crowd.py" "${BASE#*//}" || fail "a crowd that asks whether it is ready"
ok "a crowd at /readyz and /metrics"
ask_ready() { while curl -s -o /dev/null "$BASE/readyz"; do :; done; }
beside "$CLIENTS loops over /readyz" ask_ready

location=$(curl -sf -D - -o /dev/null -X POST "$BASE/v2/a/blobs/uploads/" | sed -n 's/^Location: *\([^\r]*\).*/\1/Ip')
mkfifo "$TMP/tell"
python3 "$TMP/hang.py" "$REGISTRY" PATCH "$location" $((2 * CLIENTS)) <"$TMP/tell" >"$TMP/held" &
ENDING+=("$!")
exec 9>"$TMP/tell"
until grep -q held "$TMP/held"; do sleep 0.05; done
ask_upload() { while curl -s -o /dev/null "$BASE$location"; do :; done; }
beside "$((2 * CLIENTS)) bodies for one upload that do not end" ask_upload
exec 9>&-

small_disk "$TMP/disk.raw"
ingot pack -q "$TMP/disk.raw" team/web:1.0.0 >/dev/null
ingot push team/web:1.0.0 "$REGISTRY/team/web:1.0.0" >/dev/null
ask_view() { while curl -s -o /dev/null "$BASE/formats/team/web/1.0.0/vagrant-libvirt/libvirt.box.sha256" "$BASE/formats/team/web/1.0.0/ova/" "$BASE/vagrant/team/web"; do :; done; }
beside "$CLIENTS cold views" ask_view

image=$(curl -sfI "$BASE/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\([^\r]*\).*/\1/Ip')
ask_lists() { while curl -s -o /dev/null "$BASE/v2/_catalog" "$BASE/v2/team/web/tags/list" "$BASE/v2/team/web/referrers/$image?artifactType=a/b"; do :; done; }
beside "$CLIENTS loops over lists of names, of tags, and of what is attached" ask_lists
finish_uploads() {
    local mine=$TMP/finish-$BASHPID
    while head -c 30000000 /dev/urandom >"$mine"; do
        curl -s -o /dev/null -X POST -H 'Expect:' --data-binary "@$mine" "$BASE/v2/a/blobs/uploads/?digest=sha256:$(sha256sum <"$mine" | cut -d' ' -f1)"
    done
}
beside "$CLIENTS uploads of 30 MB that end" finish_uploads
collect() { while ingotd gc --data "$TMP/data"; do :; done; }
beside "$CLIENTS loops over gc" collect
scrub_all() { while ingotd scrub --data "$TMP/data" --rate 0; do :; done; }
beside "$CLIENTS loops over scrub" scrub_all
ingotd backup --data "$TMP/data" "$TMP/backup" >"$TMP/out" 2>&1 || fail "a backup: $(cat "$TMP/out")"
rebuild_elsewhere() {
    local mine=$TMP/rebuild-$BASHPID
    ingotd restore --data "$mine" "$TMP/backup"
    while ingotd rebuild --data "$mine"; do :; done
}
beside "$CLIENTS rebuilds elsewhere" rebuild_elsewhere

# Uploads that go on after a restart.
head -c 40000000 /dev/urandom >"$TMP/half"
locations=()
for _ in $(seq $CLIENTS); do
    at=$(curl -sf -D - -o /dev/null -X POST "$BASE/v2/a/blobs/uploads/" | sed -n 's/^Location: *\([^\r]*\).*/\1/Ip')
    curl -sf -o /dev/null -X PATCH -H 'Expect:' --data-binary "@$TMP/half" "$BASE$at" || fail "a chunk: $?"
    locations+=("$at")
done
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
serve --data "$TMP/data"
resumed=0
resume() { while curl -s -o /dev/null "$BASE${locations[RANDOM % CLIENTS]}"; do :; done; }
beside "$CLIENTS uploads that are taken up after a restart" resume
for at in "${locations[@]}"; do
    [ "$(curl -s -o /dev/null -D - "$BASE$at" | sed -n 's/^Range: *\([^\r]*\).*/\1/Ip')" = 0-39999999 ] && resumed=$((resumed + 1))
done
[ $resumed = $CLIENTS ] || fail "of $CLIENTS uploads $resumed have what came before the restart"

# A stop with all of that going on: kept connections on which requests come without end, bodies that do not end.
cat >"$TMP/pushers.py" <<'PY'
import http.client, sys, threading
def push():
    try:
        connection = http.client.HTTPConnection(sys.argv[1], timeout=60)
        while True:
            connection.request("POST", "/v2/a/blobs/uploads/", headers={"Host": "localhost"})
            connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass
threads = [threading.Thread(target=push) for _ in range(16)]
for thread in threads: thread.start()
print("going", flush=True)
for thread in threads: thread.join()
PY
python3 "$TMP/pushers.py" "$REGISTRY" >"$TMP/going" &
pushers=$!
rm "$TMP/tell"
mkfifo "$TMP/tell"
python3 "$TMP/hang.py" "$REGISTRY" PATCH "$location" 4 <"$TMP/tell" >"$TMP/held" &
ENDING+=("$!")
exec 9>"$TMP/tell"
until grep -q going "$TMP/going" && grep -q held "$TMP/held"; do sleep 0.05; done
kill "$SERVER"
wait "$SERVER" || fail "a server that stops under load ends with $?: $(tail -5 "$TMP/ingotd.log")"
wait $pushers || fail "the clients"
exec 9>&-
ok "a stop under load is no crash"

python3 - >"$TMP/upstream" <<'PY' &
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0), backlog=100)
print(server.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
PY
ENDING+=("$!")
until [ -s "$TMP/upstream" ]; do sleep 0.05; done
serve --data "$TMP/cache"
push
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
serve --data "$TMP/cache" --upstream "http://127.0.0.1:$(cat "$TMP/upstream")"
ask_upstream() { curl -s -m 25 -o /dev/null "$BASE/v2/far/blobs/sha256:$(head -c 16 /dev/urandom | sha256sum | cut -d' ' -f1)"; }
beside "$CLIENTS pulls through an upstream that hangs" ask_upstream
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true

# A log that nobody reads: its pipe is full long before this many lines.
mkfifo "$TMP/fifo"
python3 -c 'import sys, time; f = open(sys.argv[1]); time.sleep(1000)' "$TMP/fifo" &
ENDING+=("$!")
: >"$TMP/address"
ingotd --data "$TMP/unread" --listen 127.0.0.1:0 >"$TMP/address" 2>"$TMP/fifo" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/address"; do sleep 0.05; done
python3 - "$(sed 's,.*http://,,' "$TMP/address")" <<'PY' || fail "a log that nobody reads stops the server"
import http.client, sys
server = http.client.HTTPConnection(sys.argv[1], timeout=30)
for _ in range(2000):
    server.request("GET", "/healthz")
    answer = server.getresponse()
    assert answer.status == 200 and answer.read()
PY
kill "$SERVER"
wait "$SERVER" || fail "a server whose log nobody reads ends with $?"
ok "a log that nobody reads stops nobody, nor the end"

# Logins that are checked, right and wrong, as fast as they come.
printf '%s\n%s\n' 'correct horse' 'correct horse' | ingotd user add --data "$TMP/users" --scope 'push:*' alice >/dev/null
serve --data "$TMP/users" --anonymous pull
curl -sf -o /dev/null -u 'alice:correct horse' -X POST -H 'Expect:' --data-binary "@$TMP/blob" "$BASE/v2/other/blobs/uploads/?digest=$blob" || fail "a push: $?"
log_in() {
    while curl -s -o /dev/null -u "alice:correct horse" "$BASE/token?service=ingot&scope=repository:other:pull" -: -s -o /dev/null -u "nobody$RANDOM:wrong horse" "$BASE/v2/" \
        -: -s -o /dev/null -H 'Authorization: Bearer nonsense' "$BASE/v2/"; do :; done
}
beside "$CLIENTS loops over logins" log_in
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"

# Users and tokens that memory does not know are read by a pool: they have changed, and the disk does not answer.
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libslow.so" tests/faults/slow.c -ldl
data=$TMP/accounts
printf 'the word of alice\nthe word of alice\n' | ingotd user add --data "$data" --scope 'push:*' alice
token=$(ingotd token create --data "$data" --user alice --scope 'push:*' 2>/dev/null)
: >"$TMP/address"
SLOW_FILE=$data/users.sqlite SLOW_WHILE=$TMP/slow LD_PRELOAD=$TMP/libslow.so ingotd --data "$data" --listen 127.0.0.1:0 >"$TMP/address" 2>>"$TMP/ingotd.log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/address"; do kill -0 "$SERVER" || fail "$(cat "$TMP/ingotd.log")"; sleep 0.05; done
BASE=$(sed 's,.*\(http://\),\1,' "$TMP/address")
known() { [ "$(curl -s -m 60 -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$BASE/v2/")" = "$1" ] || fail "a token: not $1"; }
known 200
touch "$TMP/slow"
ingotd token create --data "$data" --user alice --scope 'push:*' >/dev/null 2>&1
asked=()
for ((i = 0; i < CLIENTS; i++)); do
    known 200 &
    asked+=("$!")
done
sleep 0.5
for _ in 1 2 3; do [ "$(curl -s -m 10 "$BASE/healthz")" = ok ] || { rm "$TMP/slow"; fail "no health while the users' disk does not answer"; }; done
reading=1
for pid in "${asked[@]}"; do kill -0 "$pid" 2>/dev/null || reading=0; done
rm "$TMP/slow"
[ $reading = 1 ] || fail "the users were not read anew: the test is none"
for pid in "${asked[@]}"; do wait "$pid" || fail "a token that was read late"; done
ingotd token rm --data "$data" "$(cut -d_ -f2 <<<"$token")"
known 401
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
ok "health while the users' disk does not answer; a change of them counts at once"
