#!/bin/bash
# ingot and the registries that people have: docker-registry, alone, as a cache of another one, and behind nginx and haproxy (by TLS, under a
# prefix, with a limit on bodies, without X-Forwarded-Proto); by IPv6, by plain HTTP where that is asked for, and by proxies or past them.
# What is not installed is left out, and said so.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
for program in docker-registry nginx skopeo; do command -v $program >/dev/null || skip "$program is not installed"; done
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY no_proxy NO_PROXY INGOT_TOKEN INGOT_PLAIN_HTTP REGISTRY_AUTH_FILE
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$TMP/key.pem" -out "$TMP/cert.pem" -days 2 \
    -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null
cat "$TMP/cert.pem" "$TMP/key.pem" >"$TMP/both.pem"
mkdir "$TMP/certs" "$TMP/nginx"
cp "$TMP/cert.pem" "$TMP/certs/ca.crt"
export INGOT_CA=$TMP/cert.pem
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
head -c 12000000 /dev/urandom >"$TMP/web.raw"
truncate -s 12M "$TMP/web.raw"
digest=$(ingot pack -q "$TMP/web.raw" web:1.0.0)
disk=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["layers"][1]["digest"])' "$INGOT_STORE/blobs/sha256/${digest#sha256:}")
# Something is attached.
python3 - "$INGOT_STORE" "$digest" <<'PY'
import hashlib, json, os, sys
store, subject = sys.argv[1:]
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(store, "blobs", "sha256", name), "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.example.note",
    "config": dict(put(b"{}"), mediaType="application/vnd.oci.empty.v1+json"), "layers": [dict(put(b"a note"), mediaType="text/plain")],
    "subject": {"mediaType": kind, "digest": subject, "size": os.path.getsize(os.path.join(store, "blobs", "sha256", subject[7:]))}}).encode())
path = os.path.join(store, "index.json")
index = json.load(open(path))
index["manifests"].append(dict(manifest, mediaType=kind))
json.dump(index, open(path, "w"))
PY

# --- what serves ---

start_docker_registry "$TMP/data" # its Location is as it is asked: http:// behind what ends TLS and does not say so
plain=$docker
start_docker_registry "$TMP/data" # another one of the same folder
sed -i 's/^http: {/http: {relativeurls: true, /' "$TMP/config.yml"
docker-registry serve "$TMP/config.yml" >"$TMP/relative.log" 2>&1 &
ENDING+=("$!")
until grep -q 'listening on' "$TMP/relative.log"; do sleep 0.1; done
relative=127.0.0.1:$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$TMP/relative.log" | head -1)
start_docker_registry "$TMP/cache" "proxy: {remoteurl: 'http://$plain'}"
through=$docker
start_ingotd
own=$REGISTRY
export REGISTRY_AUTH_FILE=$TMP/auth.json # docker-registry would take that for a setting of its own
echo '{}' >"$REGISTRY_AUTH_FILE"

silent='' slow='' # and the others
for door in silent said relatively limited prefixed owned slow; do declare "$door=127.0.0.1:$(free_port)"; done
# server NAME BACKEND LINE...: one of nginx's.
server() {
    local name=$1 backend=$2
    shift 2
    printf 'server { listen %s ssl; ssl_certificate %s; ssl_certificate_key %s; proxy_set_header Host $http_host; proxy_http_version 1.1;\n%s\n' \
        "${!name}" "$TMP/cert.pem" "$TMP/key.pem" "$*"
    case "$*" in *location*) ;; *) echo "location / { proxy_pass http://$backend; }" ;; esac
    echo '}'
}
# shellcheck disable=SC2016
{
    echo "user $(id -un); daemon off; pid $TMP/nginx/pid; error_log $TMP/nginx/error; worker_processes 1; events {}"
    echo "http { access_log off; proxy_request_buffering off; client_body_temp_path $TMP/nginx/body; proxy_temp_path $TMP/nginx/proxy;"
    echo "fastcgi_temp_path $TMP/nginx/f; uwsgi_temp_path $TMP/nginx/u; scgi_temp_path $TMP/nginx/s;"
    server silent "$plain" 'client_max_body_size 0;'
    server said "$plain" 'client_max_body_size 0; proxy_set_header X-Forwarded-Proto $scheme;'
    server relatively "$relative" 'client_max_body_size 0;'
    server limited "$plain" 'proxy_set_header X-Forwarded-Proto $scheme;' # a body may have 1 MiB, as nginx has it of itself
    server prefixed "$plain" 'client_max_body_size 0; proxy_set_header X-Forwarded-Proto $scheme;' \
        "location /v2/all/ { proxy_pass http://$plain/v2/; proxy_redirect ~^https?://[^/]+/v2/(.*)\$ /v2/all/\$1; } location = /v2/ { proxy_pass http://$plain; }"
    server owned "$own" 'client_max_body_size 0;'
    server slow "$plain" 'client_max_body_size 0; proxy_set_header X-Forwarded-Proto $scheme; limit_rate 300k;'
    echo '}'
} >"$TMP/nginx/conf"
nginx -e "$TMP/nginx/error" -c "$TMP/nginx/conf" 2>"$TMP/nginx/start" &
ENDING+=("$!")
answers() { for _ in $(seq 100); do [ "$(curl -sk -o /dev/null -w '%{http_code}' "https://$1/v2/")" != 200 ] || return 0; sleep 0.1; done; fail "$1 does not answer: $(cat "$TMP/nginx/start" "$TMP/nginx/error")"; }
for door in silent said relatively limited prefixed owned slow; do answers "${!door}"; done
doors="plain said relatively limited prefixed owned"
if command -v haproxy >/dev/null; then
    haproxy=127.0.0.1:$(free_port)
    cat >"$TMP/haproxy.cfg" <<CONF
global
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend tls
    bind $haproxy ssl crt $TMP/both.pem
    default_backend registry
backend registry
    server one $relative
CONF
    haproxy -db -f "$TMP/haproxy.cfg" >"$TMP/haproxy.log" 2>&1 &
    ENDING+=("$!")
    answers "$haproxy"
    doors="$doors haproxy"
else
    echo "left out: haproxy is not installed"
fi
name_at() { if [ "$1" = prefixed ]; then echo "${!1}/all/by/$1"; else echo "${!1}/by/$1"; fi; }

# pulled HOST/NAME STORE: the same disk, with what is attached.
pulled() {
    [ "$(ingot pull -q --store "$TMP/$2" "$1:1.0.0" -o "$TMP/back.raw")" = "$digest" ] || fail "a pull from $1"
    cmp "$TMP/back.raw" "$TMP/web.raw" || fail "another disk from $1"
    rm "$TMP/back.raw"
    ingot show --store "$TMP/$2" "$1:1.0.0" | grep -q example.note || fail "what is attached did not come along from $1"
}
for door in $doors; do
    at=$(name_at "$door")
    [ "$(ingot push -q web:1.0.0 "$at")" = "$digest" ] || fail "a push to $door"
    pulled "$at" "store.$door"
    [ "$(ingot ls "$at")" = 1.0.0 ] || fail "$door: ls: $(ingot ls "$at")"
    [ "$(ingot promote -q "$at" 1.0.0 prod)" = "$digest" ] || fail "$door: promote"
    [ "$(ingot show --pull=always --json "$at:prod" | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" = "$digest" ] || fail "$door: show"
    flag=--src-cert-dir=$TMP/certs
    [ "$door" != plain ] || flag=--src-tls-verify=false
    rm -rf "$TMP/folder"
    skopeo copy -q "$flag" "docker://$at:prod" "oci:$TMP/folder:web" || fail "$door: skopeo can't copy what was pushed"
    ok "$door: push, pull, attachments, ls, promote, show; skopeo too"
done
if command -v podman >/dev/null; then
    podman manifest inspect --tls-verify=false "docker://$(name_at plain):1.0.0" >/dev/null 2>&1 || podman search --tls-verify=false "$plain/" >/dev/null || fail "podman"
else
    echo "left out: podman is not installed"
fi

# A proxy that ends TLS and does not say so: a registry that takes that for plain HTTP leads there, and nothing is sent.
pulled "$silent/by/plain" store.silent
expect 1 ingot push web:1.0.0 "$silent/by/silent"
grep -q 'X-Forwarded-Proto' "$TMP/err" && grep -q "$silent" "$TMP/err" || fail "no advice: $(cat "$TMP/err")"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$plain/v2/by/silent/tags/list")" = 404 ] || fail "something was pushed in clear text"
ok "behind a proxy that does not say that it ends TLS: pulls work, a push is refused with advice"

# docker-registry as a cache of another one.
pulled "$through/by/plain" store.through
pulled "$through/by/plain" store.through2
expect 1 ingot push web:1.0.0 "$through/by/through"
grep -q "$through/by/through" "$TMP/err" || fail "$(cat "$TMP/err")"
ok "docker-registry as a cache: pulls work, a push is refused"

# --- killed in the middle ---

ended() { kill -9 "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }
ingot pull -q --store "$TMP/killed" "$slow/by/plain:1.0.0" >/dev/null 2>&1 &
victim=$!
partial=$TMP/killed/tmp/partial-${disk#sha256:}
until [ "$(du -k "$partial" 2>/dev/null | cut -f1)" -gt 3000 ] 2>/dev/null; do kill -0 $victim || fail "the pull ended before it was killed"; sleep 0.05; done
ended $victim
[ -e "$partial" ] || fail "what came is gone"
: >"$TMP/rules"
start_upstream "$plain"
pulled_from=$upstream/by/plain
ingot pull -q --store "$TMP/killed" "$pulled_from:1.0.0" >/dev/null || fail "the pull that goes on"
bytes=$(grep "^GET.*/blobs/$disk" "$TMP/asked" | awk '{ split($3, r, /[=-]/); s += r[3] - r[2] + 1 } END { print s + 0 }')
[ "$bytes" -gt 0 ] && [ "$bytes" -lt 10000000 ] || fail "$bytes bytes were fetched by the pull that goes on: $(grep blobs "$TMP/asked")"
echo 'PATCH+ slow 1000000' >"$TMP/rules"
ingot push -q web:1.0.0 "$upstream/by/slow" >/dev/null 2>&1 &
victim=$!
until find "$TMP/data/docker/registry/v2/repositories/by/slow/_uploads" -name data -size +1000k 2>/dev/null | grep -q .; do
    kill -0 $victim 2>/dev/null || fail "the push ended before it was killed"
    sleep 0.05
done
ended $victim
: >"$TMP/rules"
[ "$(ingot push -q web:1.0.0 "$upstream/by/slow")" = "$digest" ] || fail "a push after a killed one"
pulled "$plain/by/slow" store.slow
ok "killed pulls go on where they were ($bytes bytes), killed pushes are made good"

# --- addresses ---

sed -e 's/127\.0\.0\.1:0/[::1]:0/' -e '/^proxy:/d' "$TMP/config.yml" >"$TMP/six.yml"
env -u REGISTRY_AUTH_FILE docker-registry serve "$TMP/six.yml" >"$TMP/six.log" 2>&1 &
ENDING+=("$!")
for _ in $(seq 100); do ! grep -q 'listening on' "$TMP/six.log" || break; sleep 0.1; done
if grep -q 'listening on' "$TMP/six.log"; then
    six="[::1]:$(sed -n 's/.*listening on \[::1\]:\([0-9]*\).*/\1/p' "$TMP/six.log" | head -1)"
else
    six=
    echo "left out: this machine has no IPv6: $(tail -1 "$TMP/six.log")"
fi
named=registry.localhost:${plain#*:}
# every_verb HOST: each verb that takes one.
every_verb() {
    local at=$1/verbs/web
    [ "$(ingot push -q web:1.0.0 "$at")" = "$digest" ] || fail "push to $1"
    [ "$(ingot ls "$1" | grep -c '^verbs/web$')" = 1 ] && ingot ls "$at" | grep -qx 1.0.0 || fail "ls of $1"
    [ "$(ingot promote -q "$at" 1.0.0 dev)" = "$digest" ] || fail "promote at $1"
    pulled "$at" "verbs.store"
    ingot export -q --pull=always --store "$TMP/verbs.store" "$at:dev" -o - | cmp - "$TMP/web.raw" || fail "export from $1"
    ingot tag --store "$TMP/verbs.store" "$at:dev" here:1.0.0 || fail "tag of $1"
    ingot images --store "$TMP/verbs.store" | grep -qF "$at" || fail "images of $1"
    ingot rm -q --store "$TMP/verbs.store" "$at:dev" "$at:1.0.0" || fail "rm of $1"
    echo word | ingot login -q -u alice --password-stdin "$1" || fail "login at $1" # nobody needs it there
    ingot logout "$1" 2>/dev/null || true
    rm -rf "$TMP/verbs.store"
}
unset INGOT_CA
[ -z "$six" ] || every_verb "$six"
ok "IPv6 addresses, in every verb"
for verb in ls "push web:1.0.0" pull; do
    # shellcheck disable=SC2086
    expect 1 ingot $verb "$named/verbs/web"
done
INGOT_PLAIN_HTTP=other.example,$named every_verb "$named"
expect 1 env INGOT_PLAIN_HTTP=other.example ingot ls "$named"
ok "plain HTTP to a host that \$INGOT_PLAIN_HTTP names, in every verb, and to no other"

# --- proxies: the fake registry takes whole URLs, as a proxy does ---

far=registry.invalid:5000 # nobody but the proxy finds it
export INGOT_PLAIN_HTTP=$far
by_proxy() { # WANTED VARIABLE...: whether it is asked by the proxy
    local wanted=$1 got=no status=0
    shift
    : >"$TMP/asked"
    env "$@" ingot ls "$host" >"$TMP/out" 2>"$TMP/err" || status=$?
    [ ! -s "$TMP/asked" ] || got=yes
    [ $got = "$wanted" ] || fail "$*: asked by the proxy: $got: $(cat "$TMP/asked" "$TMP/err")"
    { [ $got = no ] && [ "$host" = "$far" ]; } || [ $status = 0 ] || fail "$*: ls $host: $(cat "$TMP/err" "$TMP/upstream.err")"
}
proxy=http://$upstream
host=$far
for variable in http_proxy HTTP_PROXY; do
    by_proxy yes "$variable=$proxy"
    by_proxy yes "$variable=$proxy" NO_PROXY=other.example,nvalid
    by_proxy yes "$variable=$proxy" NO_PROXY=registry.invalid:1
    for bypass in registry.invalid "$far" .invalid invalid '*' " a.example , registry.invalid"; do
        by_proxy no "$variable=$proxy" "NO_PROXY=$bypass"
        by_proxy no "$variable=$proxy" "no_proxy=$bypass"
    done
done
for host in $plain "localhost:${plain#*:}" $six; do by_proxy no "http_proxy=$proxy" "HTTP_PROXY=$proxy" "all_proxy=$proxy"; done
env "http_proxy=$proxy" ingot pull -q --store "$TMP/by-proxy" "$far/by/plain:1.0.0" -o "$TMP/back.raw" >/dev/null
cmp "$TMP/back.raw" "$TMP/web.raw" || fail "another disk by the proxy"
env "http_proxy=$proxy" ingot push -q web:1.0.0 "$far/by/proxy" >/dev/null || fail "a push by the proxy"
grep -q '^PATCH ' "$TMP/asked" || fail "the push did not go by the proxy: $(cat "$TMP/asked")"
ok "proxies, and \$NO_PROXY as docker reads it; never for this machine"
