#!/bin/bash
# The doors of ingotd: several listeners, a Unix socket, an own one for metrics; proxies that are trusted or not; what
# clients call the server; a registry without users, which serves its own machine alone.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

data=$TMP/data
# serve FLAGS...: BASE is its URL, LOG its log.
serve() {
    LOG=$TMP/log-$((++served))
    start_server ingotd --data "$data" "$@"
    BASE=$SERVED
}
served=0
end() { kill "$SERVER" && wait "$SERVER" || fail "the server ends with $?"; }
# status CURL-ARGUMENTS...: the status; head and body are kept.
status() { curl -s -m 60 -D "$TMP/head" -o "$TMP/body" -w '%{http_code}' "$@"; }
# want STATUS CURL-ARGUMENTS...
want() {
    local got wanted=$1
    shift
    got=$(status "$@") || true
    [ "$got" = "$wanted" ] || fail "$* is answered with $got, not $wanted: $(cat "$TMP/head" "$TMP/body")"
}
header() { sed -n "s/^$1: *\([^\r]*\).*/\1/Ip" "$TMP/head"; }

# --- without users ---

serve --listen "127.0.0.1:0,unix:$TMP/socket" --listen-metrics 127.0.0.1:0
port=${BASE##*:}
metrics=$(grep -o 'metrics http://[^, ]*' "$TMP/address" | cut -d' ' -f2)
for host in localhost "localhost:$port" registry.localhost 127.0.0.1 127.8.8.8:80 '[::1]:5000' LOCALHOST; do
    want 200 -H "Host: $host" "$BASE/v2/"
done
for host in evil.example "evil.example:$port" localhost.evil.example 127.0.0.1.evil.example 10.0.0.1 '[2001:db8::1]:5000' 1270.0.1; do
    want 403 -H "Host: $host" "$BASE/v2/"
    want 403 -H "Host: $host" -X PUT -d '{}' "$BASE/v2/a/manifests/1"
done
for mark in 'Forwarded: for=127.0.0.1' 'X-Forwarded-For: 127.0.0.1' 'X-Forwarded-Host: localhost' 'X-Forwarded-Prefix: /' 'Via: 1.1 a' 'X-Real-IP: 127.0.0.1'; do
    want 403 -H "$mark" "$BASE/v2/"
    want 403 --unix-socket "$TMP/socket" -H "$mark" http://localhost/v2/
done
want 403 --http1.0 -H 'Host: localhost' "$BASE/v2/"
printf blob >"$TMP/blob"
post=("$BASE/v2/a/blobs/uploads/?digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)" -X POST --data-binary "@$TMP/blob")
# A page of another site may send this without asking anybody (a "simple request").
for mark in 'Origin: http://evil.example' 'Origin: null' 'Sec-Fetch-Site: cross-site' 'Sec-Fetch-Site: same-site' "Origin: http://localhost:1$port" "Origin: http://localhost"; do
    want 403 -H "$mark" -H 'Content-Type: text/plain' "${post[@]}"
done
want 201 -H "Origin: $BASE" -H 'Sec-Fetch-Site: same-origin' -H 'Content-Type: application/octet-stream' "${post[@]}"
want 200 -H 'Sec-Fetch-Site: cross-site' "$BASE/v2/"
ok "a registry without users answers requests to a loopback name through no proxy, and no others"

want 200 --unix-socket "$TMP/socket" http://localhost/v2/
[ "$(stat -c %a "$TMP/socket")" = 660 ] || fail "the socket's mode: $(stat -c %a "$TMP/socket")"
want 200 "$metrics/healthz"
want 200 "$metrics/readyz"
want 200 "$metrics/metrics"
grep -q ingot_pool_waiting "$TMP/body" || fail "no figures: $(cat "$TMP/body")"
# Of 4 bytes and 7 more: the figures are exact where they are not everybody's.
want 201 -X POST --data-binary another "$BASE/v2/b/blobs/uploads/?digest=sha256:$(printf another | sha256sum | cut -d' ' -f1)"
want 200 "$metrics/metrics"
grep -q '^ingot_blob_bytes 11$' "$TMP/body" || fail "the figures for operators: $(grep ingot_blob "$TMP/body")"
want 404 "$metrics/v2/"
for path in healthz readyz metrics; do want 404 "$BASE/$path"; done
expect 1 ingotd --data "$TMP/other" --listen "unix:$TMP/socket"
grep -q 'another server listens there' "$TMP/err" || fail "$(cat "$TMP/err")"
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
serve --listen "unix:$TMP/socket"
want 200 --unix-socket "$TMP/socket" http://localhost/healthz
end
ok "several listeners, a Unix socket that a killed server may leave, one for health and metrics alone"

# Where everybody may read the figures, they do not tell whether somebody else has the bytes that one pushes.
serve --listen 127.0.0.1:0
push() { # SIZE
    head -c "$1" /dev/urandom >"$TMP/random"
    want 201 -X POST --data-binary "@$TMP/random" "$BASE/v2/b/blobs/uploads/?digest=sha256:$(sha256sum <"$TMP/random" | cut -d' ' -f1)"
}
figures() { curl -sf "$BASE/metrics" | grep -E '^ingot_(pieces|blobs|dedup_ratio|[a-z_]*bytes(_total)?) '; }
for _ in $(seq 16); do push 50000; done
before=$(figures)
python3 - "$before" <<'PY' || fail "exact figures: $before"
import sys
for line in sys.argv[1].splitlines():
    name, value = line.split()
    if name != "ingot_dedup_ratio":
        while float(value) > 3: value = float(value) / 2
        assert float(value) in (0, 1, 1.5, 2, 3), line
PY
push 5000
[ "$(figures)" = "$before" ] || fail "a push shows: $before / $(figures)"
end
ok "figures that everybody may read are rounded"

# --- what does not take a body, and methods ---

serve --listen 127.0.0.1:0
for path in healthz metrics v2/ v2/_catalog v2/a/tags/list token formats/a/1/raw/disk.raw vagrant/a; do
    want 413 -X GET -d body "$BASE/$path"
    want 405 -X DELETE "$BASE/$path"
    case $(header Allow) in GET*) ;; *) fail "/$path says nothing of what it allows: $(cat "$TMP/head")" ;; esac
done
want 405 -X PATCH "$BASE/v2/a/manifests/1"
[ "$(header Allow)" = "GET, HEAD, PUT, DELETE" ] || fail "Allow of a manifest: $(cat "$TMP/head")"
want 404 "$BASE/nowhere"
python3 - "$port" "${BASE##*:}" <<'PY' || fail "strictness, or bodies that nobody takes"
import resource, socket, sys
port = int(sys.argv[2])
def answer(text):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(text)
        return s.recv(4096)
both = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
assert b" 400 " in answer(both).split(b"\r\n")[0], answer(both)
# A refusal of a request without a body keeps the connection.
with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
    for _ in range(3):
        s.sendall(b"GET /v2/a/manifests/none HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            part = s.recv(65536)
            assert part, "the connection was closed"
            got += part
        head, body = got.split(b"\r\n\r\n", 1)
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < size:
            body += s.recv(65536)
        assert b" 403 " in head.split(b"\r\n")[0], head
PY
end
ok "bodies where none is taken, methods that are not allowed, lengths beside chunks; a refusal keeps its connection"

# --- with users: proxies ---

printf 'secret-word\nsecret-word\n' | ingotd user add --data "$data" --scope 'admin:*' alice >/dev/null || fail "a user"
login=(-u alice:secret-word)
realm() { header WWW-Authenticate | sed -n 's/.*realm="\([^"]*\)\/token".*/\1/p'; }

serve --listen 127.0.0.1:0
want 401 "$BASE/v2/"
[ "$(realm)" = "$BASE" ] || fail "the realm: $(cat "$TMP/head")"
want 400 -H 'X-Forwarded-Proto: https' "$BASE/v2/"
grep -q -- --trusted-proxy "$TMP/body" || fail "$(cat "$TMP/body")"
want 400 -H 'Forwarded: for=1.2.3.4;proto="HTTPS"' "$BASE/v2/"
want 401 -H 'X-Forwarded-For: 192.0.2.7' -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-Prefix: /evil' "$BASE/v2/"
[ "$(realm)" = "$BASE" ] || fail "a stranger is believed: $(cat "$TMP/head")"
end
grep -q ' 127.0.0.1 - GET /v2/ status=401' "$LOG" && ! grep -q 192.0.2.7 "$LOG" || fail "a stranger is believed: $(cat "$LOG")"

serve --listen "127.0.0.1:0,unix:$TMP/socket" --trusted-proxy '127.0.0.1, 198.51.100.0/24'
# seen ADDRESS HEADER...: what the log says of who asked.
seen() {
    local wanted=$1 one arguments=()
    shift
    for one in "$@"; do arguments+=(-H "$one"); done
    want 401 "${arguments[@]}" "$BASE/v2/"
    for _ in {1..100}; do
        ! tail -1 "$LOG" | grep -q " $wanted - GET" || return 0
        sleep 0.05
    done
    fail "$*: $(tail -1 "$LOG")"
}
seen 192.0.2.7 'X-Forwarded-For: 192.0.2.7'
seen 192.0.2.7 'X-Forwarded-For: 6.6.6.6, 192.0.2.7'
seen 192.0.2.7 'X-Forwarded-For: 6.6.6.6, 192.0.2.7, 198.51.100.9'
seen 192.0.2.7 'X-Forwarded-For: 6.6.6.6' 'X-Forwarded-For: 192.0.2.7'
seen 192.0.2.7 'Forwarded: for=6.6.6.6' 'X-Forwarded-For: 192.0.2.7'
seen 127.0.0.1 'Forwarded: for=6.6.6.6'
want 401 -H 'Forwarded: for=6.6.6.6;proto=https;host=evil.example' "$BASE/v2/"
[ "$(realm)" = "$BASE" ] || fail "a client writes the realm: $(cat "$TMP/head")"
want 401 -H 'X-Forwarded-For: 192.0.2.7, 198.51.100.9' -H 'X-Forwarded-Proto: https, http' -H 'X-Forwarded-Host: outer.example, inner.example' "$BASE/v2/"
[ "$(realm)" = https://outer.example ] || fail "the realm behind two proxies: $(cat "$TMP/head")"
want 401 -H 'X-Forwarded-For: 192.0.2.7' -H 'X-Forwarded-Proto: http, https' -H 'X-Forwarded-Host: evil.example, outer.example' "$BASE/v2/"
[ "$(realm)" = https://outer.example ] || fail "what the client says goes before its proxy: $(cat "$TMP/head")"
seen 198.51.100.9 'X-Forwarded-For: 6.6.6.6, nonsense, 198.51.100.9'
seen 127.0.0.1 'X-Forwarded-For: nonsense'
want 401 -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: registry.example' -H 'X-Forwarded-Prefix: /images' "$BASE/v2/"
[ "$(realm)" = https://registry.example/images ] || fail "the realm: $(cat "$TMP/head")"
want 202 "${login[@]}" -H 'X-Forwarded-Prefix: /images' -X POST "$BASE/images/v2/a/blobs/uploads/"
case $(header Location) in /images/v2/a/blobs/uploads/*) ;; *) fail "Location: $(cat "$TMP/head")" ;; esac
want 401 -H 'X-Forwarded-Host: e"vil' -H 'X-Forwarded-Prefix: /a"b' "$BASE/v2/"
[ "$(realm)" = "$BASE" ] || fail "the realm: $(cat "$TMP/head")"
want 401 --unix-socket "$TMP/socket" -H 'X-Forwarded-For: 192.0.2.9' -H 'X-Forwarded-Proto: https' http://registry.example/v2/
[ "$(realm)" = https://registry.example ] || fail "the realm: $(cat "$TMP/head")"
tail -1 "$LOG" | grep -q ' 192.0.2.9 - GET' || fail "by the socket: $(tail -1 "$LOG")"
end
serve --listen 127.0.0.1:0 --trusted-proxy '127.0.0.1, 198.51.100.0/24' --proxy-header forwarded
seen 2001:db8::5 'Forwarded: for=6.6.6.6, for="[2001:db8::5]:80"'
seen 192.0.2.8 'Forwarded: for=192.0.2.8;proto=http' 'X-Forwarded-For: 192.0.2.7'
seen 127.0.0.1 'X-Forwarded-For: 192.0.2.7'
want 401 -H 'Forwarded: for=192.0.2.8;proto=https;host=outer.example, for=198.51.100.9;proto=http;host=inner.example' -H 'X-Forwarded-Host: evil.example' "$BASE/v2/"
[ "$(realm)" = https://outer.example ] || fail "the realm behind two proxies: $(cat "$TMP/head")"
end
expect 2 ingotd --data "$data" --proxy-header via
for wrong in 10.0.0.0/40 nonsense "127.0.0.1,"; do expect 2 ingotd --data "$data" --trusted-proxy "$wrong"; done
ok "proxies are believed where they are trusted: the client's address, scheme, host and prefix"

serve --listen 127.0.0.1:0 --external-url https://registry.example/images/
want 401 -H 'X-Forwarded-Proto: https' "$BASE/v2/"
[ "$(realm)" = https://registry.example/images ] || fail "the realm: $(cat "$TMP/head")"
for path in /v2 /images/v2; do
    want 202 "${login[@]}" -X POST "$BASE$path/a/blobs/uploads/"
    location=$(header Location)
    case $location in /images/v2/a/blobs/uploads/*) ;; *) fail "Location: $location" ;; esac
    printf hello >"$TMP/hello"
    digest=sha256:$(sha256sum <"$TMP/hello" | cut -d' ' -f1)
    want 201 "${login[@]}" -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$TMP/hello" "$BASE$location?digest=$digest"
    [ "$(header Location)" = "/images/v2/a/blobs/$digest" ] || fail "Location: $(cat "$TMP/head")"
    want 200 "${login[@]}" "$BASE$path/a/blobs/$digest"
    want 200 "${login[@]}" -I -r 1-2 "$BASE$path/a/blobs/$digest" # only a GET has ranges
    want 206 "${login[@]}" -r 1-2 "$BASE$path/a/blobs/$digest"
done
want 404 "${login[@]}" "$BASE/imagesv2/a/blobs/$digest"
end
for wrong in registry.example ftp://registry.example 'https://a b' https:// 'https://a/"' https://a//b; do
    expect 2 ingotd --data "$data" --external-url "$wrong"
    grep -q 'is expected' "$TMP/err" || fail "$wrong: $(cat "$TMP/err")"
done
ok "what clients call the server is in the realm and in Location, with its prefix"

# --- what others keep of an answer, and what cannot be listened on ---

serve --listen 127.0.0.1:0
want 201 "${login[@]}" -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' -d '{"schemaVersion":2,"manifests":[]}' "$BASE/v2/a/manifests/1.0.0"
digest=$(header Docker-Content-Digest)
for path in "/v2/a/manifests/$digest" /v2/a/manifests/1.0.0 /vagrant/a /api/v1/a/channels; do
    want 200 "${login[@]}" "$BASE$path"
    [ "$(header Cache-Control)" = "private, no-cache" ] || fail "a cache that many share may keep what is private, $path: $(cat "$TMP/head")"
done
want 403 "${login[@]}" -H 'Origin: http://evil.example' -X DELETE "$BASE/v2/a/manifests/1.0.0"
expect 1 ingotd --data "$TMP/other" --listen "$(sed 's,.*http://,,' "$TMP/address")"
expect 1 ingotd --data "$TMP/other" --listen 192.0.2.1:5000
expect 2 ingotd --data "$TMP/other" --listen nonsense:5000
end
ok "what is private is kept by nobody else; an address that is not there yet is no wrong option"

# --- real proxies ---

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
serve --listen "unix:$TMP/socket"
mkdir "$TMP/nginx"
cat >"$TMP/nginx/conf" <<CONF
user $(id -un); daemon off; pid $TMP/nginx/pid; error_log $TMP/nginx/error; worker_processes 1;
events {}
http {
    access_log off; client_max_body_size 0; proxy_request_buffering off;
    client_body_temp_path $TMP/nginx/body; proxy_temp_path $TMP/nginx/proxy; fastcgi_temp_path $TMP/nginx/f;
    uwsgi_temp_path $TMP/nginx/u; scgi_temp_path $TMP/nginx/s;
    server {
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://unix:$TMP/socket; proxy_http_version 1.1;
            proxy_set_header Host \$http_host; proxy_set_header X-Forwarded-Proto \$scheme;
            proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        }
        location /api/ { proxy_pass http://unix:$TMP/socket; proxy_http_version 1.0; proxy_set_header Host \$http_host; }
    }
}
CONF
nginx -e "$TMP/nginx/error" -c "$TMP/nginx/conf" 2>"$TMP/nginx/start" &
ENDING+=("$!")
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do sleep 0.1; done
head -c 9000000 /dev/urandom >"$TMP/blob"
digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
want 401 "http://127.0.0.1:$port/v2/"
[ "$(realm)" = "http://127.0.0.1:$port" ] || fail "the realm: $(cat "$TMP/head")"
want 201 "${login[@]}" -X POST -H 'Content-Type: application/octet-stream' --data-binary "@$TMP/blob" "http://127.0.0.1:$port/v2/a/blobs/uploads/?digest=$digest"
want 200 "${login[@]}" "http://127.0.0.1:$port/v2/a/blobs/$digest"
cmp "$TMP/body" "$TMP/blob" || fail "what comes through nginx is something else"
grep -q ' 127.0.0.1 alice GET' "$LOG" || fail "the client behind nginx: $(tail -2 "$LOG")"
direct() { want 206 --unix-socket "$TMP/socket" "${login[@]}" -r "$1" "http://localhost/v2/a/blobs/$digest"; }
for long in 0-8000000 0-4000000,4000002-8000000; do
    direct "$long"
    [ "$(header X-Accel-Buffering)" = no ] || fail "nginx may keep the ranges $long: $(cat "$TMP/head")"
done
direct 0-10,20-30
[ -z "$(header X-Accel-Buffering)" ] || fail "nginx may not keep a short answer: $(cat "$TMP/head")"
# A held answer comes line by line, also where nginx speaks HTTP/1.0: by itself it waits for minutes, until its buffer is full.
curl -sN "${login[@]}" -o "$TMP/events" "http://127.0.0.1:$port/api/v1/events?name=a" &
ENDING+=("$!")
for _ in $(seq 200); do
    [ ! -s "$TMP/events" ] || break
    sleep 0.1
done
grep -q '{"number":' "$TMP/events" || fail "nginx keeps a held answer back"
end
ok "pushes and pulls through nginx, by the Unix socket"
