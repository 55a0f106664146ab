#!/bin/bash
# Running ingotd: where its settings come from, its log, a socket that is passed to it, clients that ask for too much or
# are too slow.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

# serve FLAGS...: starts it on a free port; BASE is its URL, LOG its log.
serve() {
    LOG=$TMP/log-$((++served))
    start_server ingotd --data "$TMP/data" --listen 127.0.0.1:0 "$@"
    BASE=$SERVED
}
served=0
end() { kill "$SERVER" && wait "$SERVER" || fail "the server ends with $?"; }
figure() { curl -sf "$BASE/metrics" | sed -n "s/^ingot_$1 //p"; }

printf '[ingotd]\ndata=%s\nlisten=127.0.0.1:0\nlog=json\n' "$TMP/data" >"$TMP/ingotd.conf"
form() { env -C / "$@" | sed -n 's/^log=//p'; }
server=$(command -v ingotd)
[ "$(form "$server" --check-config)" = plain ] || fail "the default"
[ "$(form "$server" --check-config --config "$TMP/ingotd.conf")" = json ] || fail "a file over the default"
[ "$(form INGOTD_CONFIG="$TMP/ingotd.conf" INGOTD_LOG=plain "$server" --check-config)" = plain ] || fail "a variable over the file"
[ "$(form INGOTD_LOG=plain "$server" --log json --check-config)" = json ] || fail "a flag over a variable"
expect 2 env INGOTD_MAX_CONECTIONS=9 ingotd --data "$TMP/data"
grep -q "INGOTD_MAX_CONECTIONS (did you mean 'INGOTD_MAX_CONNECTIONS'?)" "$TMP/err" || fail "$(cat "$TMP/err")"
LC_ALL=C ingotd --listen "unix:$TMP/ü.sock" --check-config >"$TMP/out" && grep -q "^listen=unix:$TMP/ü.sock" "$TMP/out" || fail "a path that the locale can't write: $(cat "$TMP/out")"
echo 'max-conections=9' >>"$TMP/ingotd.conf"
expect 2 ingotd --config "$TMP/ingotd.conf"
grep -q "ingotd.conf: .*max-conections.*'max-connections'" "$TMP/err" || fail "$(cat "$TMP/err")"
sed -i '$d' "$TMP/ingotd.conf"
ingotd --check-config --config "$TMP/ingotd.conf" >"$TMP/told.conf"
cmp <(ingotd --check-config --config "$TMP/told.conf" | grep -v '^#') <(grep -v '^#' "$TMP/told.conf") || fail "what --check-config tells says something else"
: >"$TMP/address"
INGOTD_CONFIG=$TMP/told.conf ingotd >"$TMP/address" 2>"$TMP/log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/address"; do kill -0 $SERVER || fail "$(cat "$TMP/log")"; sleep 0.05; done
end
python3 -c 'import json,sys; assert [json.loads(l)["message"] for l in open(sys.argv[1])] == ["stopping"]' "$TMP/log" || fail "$(cat "$TMP/log")"
ok "settings by flag over variable over file over default; what is unknown is refused"

serve --log json
curl -s -o /dev/null -D "$TMP/head" -H 'X-Request-Id: mine_1.2-3' "$BASE/v2/"
grep -qi '^X-Request-Id: mine_1.2-3' "$TMP/head" || fail "the id is not answered: $(cat "$TMP/head")"
curl -s -o /dev/null -D "$TMP/head" -H 'X-Request-Id: a"b c' "$BASE/v2/a%0a%22%1b%5b31m%ff%20b"
given=$(sed -n 's/^X-Request-Id: *\([0-9a-f]\{16\}\)\r*$/\1/Ip' "$TMP/head")
[ -n "$given" ] || fail "an insane id is kept: $(cat "$TMP/head")"
curl -s -o /dev/null -X PUT --data-binary @/dev/null "$BASE/v2/a/manifests/%0a"
end
python3 - "$LOG" "$given" <<'PY' || fail "the log: $(cat "$LOG")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1], encoding="ascii")]
requests = [line for line in lines if line["message"] == "request"]
assert [r["id"] for r in requests[:2]] == ["mine_1.2-3", sys.argv[2]], requests
assert requests[0]["path"] == "/v2/" and requests[0]["status"] == 200 and requests[0]["client"] == "127.0.0.1"
assert requests[1]["path"] == '/v2/a\n"\x1b[31m\ufffd b' and requests[1]["status"] == 404, requests[1]
assert all({"time", "level"} <= set(line) for line in lines) and lines[-1]["message"] == "stopping"
PY
serve --log plain
curl -s -o /dev/null "$BASE/v2/a%0a%22%1b%5b31m%ff%20b"
end
grep -q ' GET /v2/a\\x0a"\\x1b\[31m\\xff\\x20b status=404 ' "$LOG" && [ "$(wc -l <"$LOG")" = 2 ] || fail "the log: $(cat "$LOG")"
ok "a line for each request, plain or in JSON, whatever is asked for; its id"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
: >"$TMP/address"
systemd-socket-activate -l "127.0.0.1:$port" "$server" --data "$TMP/data" --listen nonsense >"$TMP/address" 2>"$TMP/log" &
SERVER=$!
ENDING+=("$SERVER")
[ "$(curl -s --retry 50 --retry-connrefused --retry-delay 1 -m 60 "http://127.0.0.1:$port/healthz")" = ok ] || fail "the passed socket is not served: $(cat "$TMP/log")"
until grep -q "http://127.0.0.1:$port" "$TMP/address"; do kill -0 $SERVER || fail "$(cat "$TMP/log")"; sleep 0.05; done
end
expect 2 env LISTEN_FDS=1 sh -c "LISTEN_PID=\$\$ exec $server --data $TMP/data 3</dev/null"
grep -q 'one is expected' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a socket that the service manager passes"

# --- a system that gives few threads ---

${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libthreads.so" tests/faults/threads.c -ldl
# few N: a server that may start N threads: its status, 0 where it serves.
few() {
    : >"$TMP/address"
    THREADS=$1 LD_PRELOAD=$TMP/libthreads.so ingotd --data "$TMP/few" --listen 127.0.0.1:0 >"$TMP/address" 2>"$TMP/log" &
    SERVER=$!
    ENDING+=("$SERVER")
    until grep -q http "$TMP/address"; do
        kill -0 "$SERVER" 2>/dev/null || { wait "$SERVER" || return; fail "it ends with 0"; }
        sleep 0.02
    done
    REGISTRY=$(sed 's,.*http://,,' "$TMP/address")
}
most=1
until few $most; do
    wait "$SERVER" || status=$?
    [ "$status" = 1 ] || fail "with $most threads it ends with $status: $(cat "$TMP/log")"
    most=$((most + 7))
done
[ $most -gt 60 ] || fail "the limit of threads is not applied: it starts with $most"
# With the threads that it began with and at most two more: the sums of disks, which several threads work out.
small_disk "$TMP/few.raw"
for version in 1.0.0 2.0.0; do
    ingot pack -q "$TMP/few.raw" "few:$version" >/dev/null
    ingot push -q "few:$version" "$REGISTRY/team/few" >/dev/null || fail "a push to a server with few threads"
    for format in raw/disk.raw qcow2/disk.qcow2; do
        view "http://$REGISTRY/formats/team/few/$version/$format.sha256" >"$TMP/sum" || fail "the sum with few threads: $(cat "$TMP/log")"
    done
done
end
ok "a system that gives no more threads ends nothing that serves, and is an error at the start"

# --- those who ask for too much ---

head -c 20000000 /dev/urandom >"$TMP/blob"
blob=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
serve --rate 1 --burst 20
statuses() { for _ in $(seq 40); do curl -s -o "$TMP/body" -D "$TMP/head" -w '%{http_code}\n' "$BASE/v2/"; done | sort | uniq -c | tr -s ' \n' ' '; }
statuses >"$TMP/statuses"
grep -q ' 200 .* 429 ' "$TMP/statuses" || fail "40 requests at once: $(cat "$TMP/statuses")"
[ "$(awk '{ print $1 >= 20 }' "$TMP/statuses")" = 1 ] || fail "a burst of 20: $(cat "$TMP/statuses")"
until [ "$(curl -s -o "$TMP/body" -D "$TMP/head" -w '%{http_code}' "$BASE/v2/")" = 429 ]; do :; done
grep -qi '^Retry-After: 1' "$TMP/head" && grep -q TOOMANYREQUESTS "$TMP/body" || fail "$(cat "$TMP/head" "$TMP/body")"
[ "$(figure rate_refused_total)" -ge 1 ] || fail "what was refused is not counted"
[ "$(curl -s "$BASE/healthz")" = ok ] || fail "health is refused"
until curl -sf -o /dev/null "$BASE/v2/"; do sleep 0.2; done
end
ok "a rate of requests, with bursts; who goes over it is told to come again"

# A blob is as large as it is read, however little of it comes; and a flood of the smallest frames makes few pieces.
serve --max-upload 10M
begin() { curl -sf -D - -o /dev/null -X POST "$BASE/v2/a/blobs/uploads/" | sed -n 's/^Location: *\(.*\)\r$/\1/Ip'; }
python3 -c 'import hashlib,struct,sys; sys.stdout.buffer.write((hashlib.sha256(bytes(1 << 20)).digest() + struct.pack("<I", 1 << 20)) * 11)' >"$TMP/list"
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' --data-binary "@$TMP/list" "$BASE$(begin)")" = 413 ] || fail "an offer of 11 MiB: $(cat "$TMP/body")"
location=$(begin)
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' --data-binary @- "$BASE$location" < <(head -c 360 "$TMP/list"))" = 200 ] || fail "an offer of 10 MiB: $(cat "$TMP/body")"
curl -sf -X DELETE "$BASE$location" || fail "what was offered counts for ever"
python3 -c 'import sys; sys.stdout.buffer.write(b"\x50\x2a\x4d\x18\0\0\0\0" * 524288)' >"$TMP/flood"
flood=sha256:$(sha256sum <"$TMP/flood" | cut -d' ' -f1)
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' -H 'Expect:' --data-binary "@$TMP/flood" "$BASE/v2/a/blobs/uploads/?digest=$flood")" = 201 ] || fail "4 MiB of empty frames: $(cat "$TMP/body")"
[ "$(curl -sf "$BASE/v2/a/blobs/$flood?frames=1" | wc -c)" = $((1024 * 36)) ] || fail "empty frames are pieces"
end
ok "a blob that is larger than it seems, and frames that are smaller"
serve --max-repository 5M
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' --data-binary @- "$BASE$(begin)" < <(head -c 216 "$TMP/list"))" = 403 ] || fail "an offer over the quota: $(cat "$TMP/body")"
end
serve --max-storage 500K
[ "$(curl -s -o "$TMP/body" -w '%{http_code}' --data-binary @- "$BASE$(begin)" < <(head -c 216 "$TMP/list"))" = 507 ] || fail "an offer over the limit: $(cat "$TMP/body")"
end
ok "an offer for which there is no room is refused before its frames come"

# A box whose length nobody says is compared while it comes, with both limits.
at=/api/v1/box/team/web/version/1.0.0
post() { curl -sf -o "$TMP/body" -d "$2" "$BASE$1" || fail "POST $1"; }
serve
post /api/v1/boxes '{"username": "team", "name": "web"}'
post /api/v1/box/team/web/versions '{"version": "1.0.0"}'
post $at/providers '{"name": "libvirt"}'
end
for limit in "repository 413" "storage 507"; do
    serve "--max-${limit% *}" 20M
    url=$(curl -sf "$BASE$at/provider/libvirt/upload" | python3 -c 'import json,sys; print(json.load(sys.stdin)["upload_path"])')
    status=$(head -c 50M /dev/zero | curl -s -o "$TMP/body" -w '%{http_code}' -H 'Expect:' -H 'Transfer-Encoding: chunked' -T - "$url" || true)
    [ "$status" = "${limit#* }" ] || fail "a box over --max-${limit% *}: $status $(cat "$TMP/body")"
    end
done
ok "a box that has no room is refused while it comes"

cat >"$TMP/clients.py" <<'PY'
# clients.py KIND COUNT HOST PORT PATH: COUNT clients that are slow in sending a head or a body or in reading, at a byte a
# second, or idle, until a line is read; who is ended by the server comes again until then. Says how many it held, and
# at its end how often the server ended one.
import os, resource, select, socket, sys, time
kind, count, host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
head = {"head": "GET /", "idle": "", "body": f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n",
        "read": f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"}[kind].encode()
clients, ended, told = {}, 0, False
poll = select.poll()
poll.register(0, select.POLLIN)
def connect():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((host, port))
    s.sendall(head)
    s.setblocking(False)
    poll.register(s, select.POLLRDHUP)
    clients[s.fileno()] = s
def drip(s):
    try:
        s.recv(1) if kind == "read" else s.send(b"x") if kind != "idle" else None
    except (BlockingIOError, ConnectionError):
        pass
deadline = time.monotonic() + 300
said = None
while (clients or said is None) and time.monotonic() < deadline:
    while not told and len(clients) < count:
        connect()
    if said is None:
        said = print("held", flush=True) or True
    for fd, event in poll.poll(1000):
        if fd == 0:
            told = True
            poll.unregister(0)
            if kind == "idle":
                sys.exit(0)
        else:
            poll.unregister(fd)
            clients.pop(fd).close()
            ended += 1
    time.sleep(0.5)
    for s in clients.values():
        drip(s)
print(ended, flush=True)
sys.exit(1 if clients else 0)
PY
# hold KIND COUNT PATH: starts them and waits until they are there; let_go: they come no more, and each has been ended.
hold() {
    rm -f "$TMP/tell"
    mkfifo "$TMP/tell"
    python3 "$TMP/clients.py" "$1" "$2" 127.0.0.1 "${BASE##*:}" "$3" <"$TMP/tell" >"$TMP/held" 2>"$TMP/err" &
    CLIENTS=$!
    ENDING+=("$CLIENTS")
    exec 9>"$TMP/tell"
    until grep -q held "$TMP/held"; do kill -0 $CLIENTS 2>/dev/null || fail "clients: $(cat "$TMP/err")"; sleep 0.05; done
}
let_go() {
    echo >&9
    exec 9>&-
    wait $CLIENTS || fail "slow clients are not ended: $(cat "$TMP/held" "$TMP/err")"
}
pull() {
    curl -sf -m 120 -o "$TMP/got" "$BASE/v2/a/blobs/$blob" && cmp "$TMP/got" "$TMP/blob" || fail "a pull beside $1: $?"
}

serve --max-connections-per-address 10
hold idle 10 /
! curl -s -m 20 -o /dev/null "$BASE/healthz" || fail "an eleventh connection"
let_go
until curl -s -o /dev/null "$BASE/healthz"; do sleep 0.1; done
end
ok "a limit of connections for each address"

serve --head-timeout 4s --min-rate 1K --min-rate-time 4s
curl -sf -X POST -H 'Expect:' --data-binary "@$TMP/blob" "$BASE/v2/a/blobs/uploads/?digest=$blob" || fail "upload"
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$SERVER/status"; }
before=$(rss)
hold idle 1000 /
until [ "$(figure connections_open)" -gt 1000 ]; do kill -0 "$SERVER" || fail "$(tail -3 "$LOG")"; sleep 0.1; done
echo "1,000 idle connections: $(($(rss) - before)) KiB"
[ $(($(rss) - before)) -lt 40000 ] || fail "1,000 idle connections take $(($(rss) - before)) KiB"
pull "idle clients"
let_go
# Not fast, but fast enough.
head -c 400000 "$TMP/blob" >"$TMP/modest"
modest=sha256:$(sha256sum <"$TMP/modest" | cut -d' ' -f1)
curl -sf --limit-rate 40K -X POST -H 'Expect:' --data-binary "@$TMP/modest" "$BASE/v2/a/blobs/uploads/?digest=$modest" &
upload=$!
for kind in head body read; do
    case $kind in
    head) path=/ reason=head ;;
    body) path="/v2/a/blobs/uploads/?digest=$blob" reason=rate ;;
    read) path=/v2/a/blobs/$blob reason=rate ;;
    esac
    counted=$(figure "slow_clients_total{reason=\"$reason\"}")
    hold $kind 1000 "$path"
    pull "1,000 clients that are slow in $kind"
    let_go
    [ $(($(figure "slow_clients_total{reason=\"$reason\"}") - counted)) -ge 1000 ] || fail "who was ended is not counted: $(figure slow_clients_total)"
    pull "none"
    ok "1,000 clients that are slow in $kind do not stop another, and are ended"
done
wait $upload || fail "a modest client was ended: $?"
kill -0 "$SERVER" || fail "the server is gone"
grep -q 'ingotd: slow clients: ' "$LOG" || fail "the log: $(tail -3 "$LOG")"
end
ok "who is not fast but fast enough stays"

# Bodies that are kept until they are whole: who sends many large ones, slowly, leaves room for others, and for their own
# small ones.
serve
python3 - "$BASE" <<'PY' || fail "bodies that never end take the room of others"
import http.client, socket, sys
host, port = sys.argv[1].split("//")[1].split(":")
def flood(path, size, count, source):
    """Bodies of which the last bytes never come."""
    held = []
    for _ in range(count):
        s = socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0))
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode() if "uploads" in path else
                  f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        try:
            for _ in range(size // 65536 - 1):
                s.sendall(b"x" * 65536)
        except ConnectionError:
            pass
        held.append(s)
    return held
def put(source, tag):
    server = http.client.HTTPConnection(host, int(port), timeout=60, source_address=(source, 0))
    server.request("PUT", f"/v2/b/manifests/{tag}", b'{"schemaVersion":2,"manifests":[]}',
                   {"Content-Type": "application/vnd.oci.image.index.v1+json", "Host": "localhost"})
    answer = server.getresponse()
    answer.read()
    return answer.status
server = http.client.HTTPConnection(host, int(port))
server.request("POST", "/v2/a/blobs/uploads/", headers={"Host": "localhost"})
location = server.getresponse().getheader("Location")
large = flood(location, 20 << 20, 9, "127.0.0.1")
assert put("127.0.0.1", "own") == 201, "large bodies take the room of small ones"
small = flood("/v2/a/manifests/x", 4 << 20, 24, "127.0.0.1")
assert put("127.0.0.2", "other") == 201, "the bodies of one address take the room of another"
for s in large + small:
    s.close()
PY
end
ok "bodies that never end take the room of nobody else"
