#!/bin/bash
# ingot logs in: where logins are kept, what is sent where, tokens that end while it works; at ingotd, at docker-registry
# with Basic, and at a registry that is up to no good.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export HOME=$TMP/home XDG_RUNTIME_DIR=$TMP/run XDG_CONFIG_HOME=$TMP/config
mkdir "$HOME" "$XDG_RUNTIME_DIR"
unset REGISTRY_AUTH_FILE DOCKER_CONFIG INGOT_TOKEN INGOT_TOKEN_HOST
data=$TMP/data
twice() { printf '%s\n%s\n' "$1" "$1"; }
twice 'the word of alice' | ingotd user add --data "$data" --scope 'push:team/*' alice
twice 'the word of bob' | ingotd user add --data "$data" --scope 'promote:team/*' bob
cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=here -keyout key.pem -out here.csr 2>/dev/null
openssl x509 -req -in here.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:registry.localhost) -out cert.pem 2>/dev/null
cd - >/dev/null
ingotd --data "$data" --listen 127.0.0.1:0 --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem" >"$TMP/address" 2>"$TMP/ingotd.log" &
SERVER=$!
ENDING+=("$SERVER")
until grep -q http "$TMP/address"; do kill -0 "$SERVER" || fail "$(cat "$TMP/ingotd.log")"; sleep 0.05; done
registry=$(sed 's,.*//,,' "$TMP/address")
export INGOT_CA=$TMP/ca.pem INGOT_PLAIN_HTTP=none
kept=$XDG_RUNTIME_DIR/containers/auth.json
small_disk "$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" web:1.0.0)
secrets='the word of|dGhlIHdvcmQ|YWxpY2U6|eyJ|ingot_[0-9a-f]'

expect 1 ingot push web:1.0.0 "$registry/team/web"
grep -q 'ingot login' "$TMP/err" || fail "no hint: $(cat "$TMP/err")"
expect 2 ingot login "$registry" </dev/null
expect 2 ingot login -u alice "$registry" <<<'the word of alice'
expect 2 ingot login -u 'a:b' --password-stdin "$registry" <<<'x'
expect 2 ingot login -u alice --password-stdin "$registry/team" <<<'x'
expect 1 ingot login -u alice --password-stdin "$registry" <<<'not the word'
grep -q "login as 'alice' is refused" "$TMP/err" || fail "$(cat "$TMP/err")"
[ ! -e "$kept" ] || fail "a wrong password is kept"
sleep 1.1
mkdir "$(dirname "$kept")"
echo '{"auths": {"other.example": {"auth": "YTpi"}}, "more": 1}' >"$kept"
ingot login -u alice --password-stdin "$registry" <<<'the word of alice' 2>"$TMP/err"
! grep -qE "$secrets" "$TMP/err" || fail "$(cat "$TMP/err")"
[ "$(stat -c %a "$kept")" = 600 ] || fail "others may read $kept"
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["more"] == 1 and d["auths"]["other.example"] and len(d["auths"]) == 2, d' "$kept" || fail "$(cat "$kept")"
python3 - "$registry" <<'PY' || fail "the prompt"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ingot", ["ingot", "login", sys.argv[1]])
seen = b""
def until(text):
    global seen
    while text not in seen:
        seen += os.read(fd, 1000)
until(b"User at ")
os.write(fd, b"alice\n")
until(b"token: ")
os.write(fd, b"the word of alice\n")
try:
    while part := os.read(fd, 1000):
        seen += part
except OSError:
    pass
assert os.waitpid(pid, 0)[1] == 0, seen
assert b"the word" not in seen, seen
PY
ok "a login is checked, then kept for its owner alone; what else is kept stays"

[ "$(ingot push -q web:1.0.0 "$registry/team/web")" = "$digest" ] || fail "push"
[ "$(ingot pull -q --store "$TMP/other" "$registry/team/web:1.0.0")" = "$digest" ] || fail "pull"
[ "$(ingot ls "$registry")" = team/web ] && [ "$(ingot ls "$registry/team/web")" = 1.0.0 ] || fail "ls"
ingot show "$registry/team/web:1.0.0" | grep -q "$digest" || fail "show"
expect 1 ingot push web:1.0.0 "$registry/secret/web"
expect 1 ingot promote "$registry/team/web" 1.0.0 prod
grep -q '403' "$TMP/err" || fail "$(cat "$TMP/err")"
ingot login -q -u bob --password-stdin "$registry" <<<'the word of bob'
[ "$(ingot promote -q "$registry/team/web" 1.0.0 prod)" = "$digest" ] || fail "promote"
expect 1 ingot push web:1.0.0 "$registry/team/another"
mkdir "$TMP/certs"
cp "$TMP/ca.pem" "$TMP/certs/ca.crt"
skopeo inspect --raw --cert-dir "$TMP/certs" "docker://$registry/team/web:prod" >/dev/null || fail "skopeo does not find the login of ingot"
ingot logout "$registry"
expect 1 ingot logout "$registry"
expect 1 ingot ls "$registry"
skopeo login --cert-dir "$TMP/certs" -u alice -p 'the word of alice' "$registry" >/dev/null
[ "$(ingot ls "$registry")" = team/web ] || fail "ingot does not find the login of skopeo"
ingot logout "$registry"
ok "push, pull, ls, show, promote; skopeo and ingot share their logins"

# Other places and forms.
pair() { printf %s "$1" | base64 -w0; }
mkdir -p "$TMP/docker" "$HOME/.docker"
echo "{\"auths\": {\"https://$registry/v1/\": {\"auth\": \"$(pair 'alice:the word of alice')\"}}}" >"$HOME/.docker/config.json"
[ "$(ingot ls "$registry")" = team/web ] || fail "docker's own file"
expect 1 env DOCKER_CONFIG="$TMP/docker" ingot ls "$registry"
cp "$HOME/.docker/config.json" "$TMP/docker/"
DOCKER_CONFIG=$TMP/docker ingot ls "$registry" >/dev/null || fail "\$DOCKER_CONFIG"
rm "$HOME/.docker/config.json"
echo "{\"auths\": {\"$registry/team\": {\"auth\": \"$(pair 'alice:the word of alice')\"}, \"$registry\": {\"auth\": \"$(pair 'nobody:nothing')\"}}}" >"$TMP/named.json"
[ "$(REGISTRY_AUTH_FILE=$TMP/named.json ingot ls "$registry/team/web" | head -1)" = 1.0.0 ] || fail "a login of a part of a registry"
echo "{\"credHelpers\": {\"$registry\": \"none-here\"}}" >"$TMP/helper.json"
expect 1 env REGISTRY_AUTH_FILE="$TMP/helper.json" ingot ls "$registry"
grep -q 'docker-credential-none-here: no such program' "$TMP/err" || fail "$(cat "$TMP/err")"
start_ingotd "$TMP/public"
echo "{\"credHelpers\": {\"$REGISTRY\": \"none-here\"}}" >"$TMP/open.json"
env -u INGOT_CA -u INGOT_PLAIN_HTTP REGISTRY_AUTH_FILE="$TMP/open.json" ingot ls "$REGISTRY" >/dev/null || fail "an unusable helper keeps what is public from being seen"
mkdir "$TMP/helpers"
printf '%s\n' '#!/bin/sh' 'read -r server' '[ "$1" = get ] && printf "{\"ServerURL\": \"%s\", \"Username\": \"alice\", \"Secret\": \"the word of alice\"}" "$server"' >"$TMP/helpers/docker-credential-test"
chmod +x "$TMP/helpers/docker-credential-test"
for config in "{\"credHelpers\": {\"$registry\": \"test\"}}" "{\"auths\": {\"$registry\": {}}, \"credsStore\": \"test\"}" '{"credsStore": "test"}'; do
    echo "$config" >"$TMP/helper.json"
    [ "$(REGISTRY_AUTH_FILE=$TMP/helper.json PATH=$TMP/helpers:$PATH ingot ls "$registry")" = team/web ] || fail "$config"
done
echo 'nonsense' >"$TMP/broken.json"
expect 1 env REGISTRY_AUTH_FILE="$TMP/broken.json" ingot ls "$registry"
grep -q 'broken.json' "$TMP/err" || fail "$(cat "$TMP/err")"
token=$(ingotd token create --data "$data" --user alice --scope 'pull:team/*' 2>/dev/null)
[ "$(INGOT_TOKEN=$token ingot pull -q --store "$TMP/third" "$registry/team/web:1.0.0")" = "$digest" ] || fail "\$INGOT_TOKEN"
INGOT_TOKEN=$token expect 1 ingot push web:1.0.0 "$registry/team/web"
! grep -qE "$secrets" "$TMP/err" || fail "an error tells a secret: $(cat "$TMP/err")"
INGOT_TOKEN="$token"$'\nX: y' expect 2 ingot ls "$registry"
# Which registry it is for. This name leads to a loopback address, and is none.
elsewhere=registry.localhost:${registry#*:}
INGOT_TOKEN=$token expect 1 ingot ls "$elsewhere"
grep -qF "INGOT_TOKEN_HOST=$elsewhere" "$TMP/err" || fail "no hint whom the token is for: $(cat "$TMP/err")"
! grep -qE "$secrets" "$TMP/err" || fail "an error tells a secret: $(cat "$TMP/err")"
[ "$(INGOT_TOKEN_HOST=$elsewhere INGOT_TOKEN=$token ingot ls "$elsewhere")" = team/web ] || fail "\$INGOT_TOKEN_HOST"
[ "$(INGOT_TOKEN="other.example=ingot_x $elsewhere=$token" ingot ls "$elsewhere")" = team/web ] || fail "HOST=TOKEN"
INGOT_TOKEN_HOST=other.example INGOT_TOKEN=$token expect 1 ingot ls "$registry"
INGOT_TOKEN="$elsewhere=$token" expect 1 ingot ls "$registry"
ingotd token rm --data "$data" "$(cut -d_ -f2 <<<"$token")"
INGOT_TOKEN=$token expect 1 ingot ls "$registry"
grep -qF 'the token in $INGOT_TOKEN is refused' "$TMP/err" || fail "$(cat "$TMP/err")"
token=$(ingotd token create --data "$data" --user alice --scope 'push:team/*' 2>/dev/null)
ingot login -q -u alice --password-stdin "$registry" <<<"$token"
ingot push -q web:1.0.0 "$registry/team/by-token" >/dev/null || fail "a token as a password"
ingot logout "$registry"
ok "docker's file, logins of a part of a registry, helpers, \$INGOT_TOKEN, a token as a password"
# One that is mounted alone can't be replaced; the line of the password may end as those of Windows do.
echo '{"auths": {"other.example": {"auth": "YTph"}}}' >"$TMP/outside.json"
echo '{}' >"$TMP/inside.json"
printf 'the word of alice\r\n' | REGISTRY_AUTH_FILE=$TMP/inside.json mounted "$TMP/outside.json" "$TMP/inside.json" ingot login -q -u alice --password-stdin "$registry" || fail "a file that is mounted alone"
[ "$(cat "$TMP/inside.json")" = '{}' ] && grep -q other.example "$TMP/outside.json" || fail "$(cat "$TMP/outside.json")"
REGISTRY_AUTH_FILE=$TMP/outside.json ingot ls "$registry" | grep -qx team/web || fail "the login that was kept there"
cp "$TMP/outside.json" "$TMP/docker/config.json"
DOCKER_CONFIG=$TMP/docker expect 1 ingot logout "$registry"
grep -q "$TMP/docker/config.json" "$TMP/err" || fail "logout does not say which login is still used: $(cat "$TMP/err")"
echo "{\"credHelpers\": {\"$registry\": \"test\"}}" >"$TMP/helper.json"
REGISTRY_AUTH_FILE=$TMP/helper.json expect 2 ingot login -u alice --password-stdin "$registry" <<<'the word of alice'
grep -q docker-credential-test "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a file that is mounted alone, CR LF, logins that are elsewhere"
unset INGOT_CA INGOT_PLAIN_HTTP

# docker-registry with Basic.
python3 - >"$TMP/htpasswd" <<'PY'
import warnings
warnings.simplefilter("ignore")
import crypt
print("alice:" + crypt.crypt("the word of alice", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 5)).replace("$2b$", "$2a$"))
PY
start_docker_registry "$TMP/docker-data" "auth: {htpasswd: {realm: here, path: $TMP/htpasswd}}"
basic=$docker
expect 1 ingot push web:1.0.0 "$basic/team/web"
expect 1 ingot login -u alice --password-stdin "$basic" <<<'not the word'
grep -qF "the login as 'alice' is refused" "$TMP/err" || fail "$(cat "$TMP/err")"
ingot login -q -u alice --password-stdin "$basic" <<<'the word of alice'
INGOT_CA=$TMP/ca.pem http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1 ingot ls "$basic" >/dev/null || fail "this machine's registry goes by a proxy, or by HTTPS"
named=registry.localhost:${basic#*:}
expect 1 ingot login -u alice --password-stdin "$named" <<<'the word of alice'
INGOT_PLAIN_HTTP=other.example,$named ingot login -q -u alice --password-stdin "$named" <<<'the word of alice' || fail "plain HTTP to a host that is named for it"
ingot push -q web:1.0.0 "$basic/team/web" >/dev/null || fail "push by Basic"
[ "$(ingot pull -q --store "$TMP/fourth" "$basic/team/web:1.0.0")" = "$digest" ] || fail "pull by Basic"
long=$(head -c 60000 /dev/zero | tr '\0' a)
expect 1 ingot login -u alice --password-stdin "$basic" <<<"$long"
! grep -q 'a line may have' "$TMP/err" || fail "a long password is not read: $(cat "$TMP/err")"
expect 2 ingot login -u alice --password-stdin "$basic" <<<"$long$long"
ok "docker-registry with Basic; passwords of clouds are long"

# A registry before ingotd: its tokens are good for three requests each, and all end while ranges are fetched; blobs are had from another host; or it wants the
# login somewhere else.
start_ingotd "$TMP/open"
cat >"$TMP/proxy.py" <<'PY'
import http.client, http.server, json, socket, struct, sys, threading, urllib.parse
mode, upstream = sys.argv[1:]
left, count, ranges, log = {}, [0], [0], open(sys.argv[0] + "." + mode, "w", buffering=1)
class Elsewhere(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        log.write("elsewhere %s\n" % self.headers.get("Authorization"))
        if mode == "ask":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="trap"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        forward(self)
    log_message = lambda *a: None
def forward(self):
    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
    up = http.client.HTTPConnection(upstream)
    keep = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "range", "accept", "content-range")}
    up.request(self.command, self.path, body if self.command not in ("GET", "HEAD") else None, keep)
    answer = up.getresponse()
    data = answer.read()
    self.send_response(answer.status)
    for k, v in answer.getheaders():
        if k.lower() not in ("connection", "date", "server", "content-length", "transfer-encoding"):
            self.send_header(k, v)
    self.send_header("Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data)))
    self.end_headers()
    if self.command != "HEAD":
        self.wfile.write(data)
class Registry(Elsewhere):
    def do_GET(self):
        shown = self.headers.get("Authorization") or ""
        if self.path.startswith("/token"):
            form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            log.write("token %s %s%s\n" % (self.path, shown, self.command + form if form else ""))
            count[0] += 1
            left["t%d" % count[0]] = 1 if mode == "lost" else 3 if ranges[0] < 3 else 1000
            body = json.dumps({"token": "t%d" % count[0], "expires_in": 300}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if self.headers.get("Range"):
            ranges[0] += 1
            if ranges[0] == 3 and mode == "short":
                log.write("all tokens end\n")
                left.clear()
        token = shown[7:] if shown.startswith("Bearer ") else ""
        if left.get(token, 0) == 0 and mode == "lost" and int(self.headers.get("Content-Length") or 0) > 1000000:
            # What it would answer is lost: the connection is reset while the body comes.
            log.write("lost\n")
            self.close_connection = True
            self.rfile.read(300000)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if left.get(token, 0) == 0:
            self.close_connection = True
            self.send_response(401)
            where = "http://192.0.2.1/token" if mode == "far" else "http://%s/token" % self.headers["Host"]
            service = "ingot" if mode == "thief" else "s"
            log.write("refused %s\n" % shown)
            self.send_header("WWW-Authenticate", 'Basic realm="x", Bearer realm="%s",service="%s",scope="repository:a:pull"' % (where, service))
            self.send_header("Content-Length", "7")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else b"go away")
            return
        left[token] -= 0 if self.headers.get("Range") else 1
        if mode in ("redirect", "ask") and self.command == "GET" and "/blobs/" in self.path:
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:%d%s" % (elsewhere.server_port, self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        forward(self)
    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET
elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print("127.0.0.1:%d" % registry.server_port, flush=True)
registry.serve_forever()
PY
proxy() { # MODE
    : >"$TMP/proxy.address"
    python3 "$TMP/proxy.py" "$1" "$REGISTRY" >"$TMP/proxy.address" 2>"$TMP/proxy.err" &
    ENDING+=($!)
    until [ -s "$TMP/proxy.address" ]; do sleep 0.05; done
    where=$(cat "$TMP/proxy.address")
    python3 - "$kept" "$where" <<'PY'
import base64, json, sys
kept = json.load(open(sys.argv[1]))
kept["auths"][sys.argv[2]] = {"auth": base64.b64encode(b"alice:the word of alice").decode()}
json.dump(kept, open(sys.argv[1], "w"))
PY
}
proxy short
ingot push -q web:1.0.0 "$where/team/web" >/dev/null || fail "push with short tokens: $(cat "$TMP/proxy.err")"
[ "$(grep -c ^token "$TMP/proxy.py.short")" -ge 4 ] || fail "tokens: $(cat "$TMP/proxy.py.short")"
grep -q '^token /token?service=s&scope=repository:a:pull Basic YWxpY2U6' "$TMP/proxy.py.short" || fail "$(cat "$TMP/proxy.py.short")"
INGOT_TOKEN=ingot_x ingot pull -q --store "$TMP/fifth" "$where/team/web:1.0.0" -o "$TMP/back.raw" >/dev/null
cmp "$TMP/back.raw" "$TMP/disk.raw" || fail "the pulled disk differs"
grep -q 'all tokens end' "$TMP/proxy.py.short" || fail "there were too few ranges: $(cat "$TMP/proxy.py.short")"
ok "a token that ends while it works is renewed; a foreign registry does not see \$INGOT_TOKEN"
echo "{\"auths\": {\"$where\": {\"auth\": \"$(pair '00000000:')\", \"identitytoken\": \"re+fresh\"}}}" >"$TMP/identity.json"
REGISTRY_AUTH_FILE=$TMP/identity.json ingot ls "$where" >/dev/null || fail "an identity token: $(cat "$TMP/proxy.err")"
grep -q '^token /token POSTgrant_type=refresh_token&client_id=ingot&service=s&scope=repository%3Aa%3Apull&refresh_token=re%2Bfresh$' "$TMP/proxy.py.short" || fail "$(cat "$TMP/proxy.py.short")"
ok "an identity token is exchanged for access tokens"
proxy thief
INGOT_TOKEN=registry.example=ingot_x INGOT_TOKEN_HOST=other.example ingot ls "$where" >/dev/null || fail "ls: $(cat "$TMP/proxy.err")"
grep -q '^refused' "$TMP/proxy.py.thief" && ! grep -q ingot_x "$TMP/proxy.py.thief" || fail "a registry that says it is ingotd got another's token: $(cat "$TMP/proxy.py.thief")"
ok "a registry that says it is ingotd does not see another one's \$INGOT_TOKEN"
proxy lost
head -c 8M /dev/urandom >"$TMP/large.raw"
large=$(ingot pack -q "$TMP/large.raw" large:1.0.0)
ingot push -q large:1.0.0 "$where/team/lost" >/dev/null 2>"$TMP/err" || fail "push where refusals are lost: $(cat "$TMP/err" "$TMP/proxy.err")"
grep -q ^lost "$TMP/proxy.py.lost" || fail "no refusal was lost: $(cat "$TMP/proxy.py.lost")"
[ "$(ingot pull -q --store "$TMP/eighth" "$REGISTRY/team/lost:1.0.0")" = "$large" ] || fail "what was pushed is not there"
ok "a token that ends while a large body is sent is renewed, though the answer that says so is lost"
proxy redirect
ingot pull -q --store "$TMP/sixth" "$where/team/web:1.0.0" >/dev/null || fail "redirected blobs: $(cat "$TMP/proxy.err")"
grep -q '^elsewhere None' "$TMP/proxy.py.redirect" && ! grep '^elsewhere' "$TMP/proxy.py.redirect" | grep -qv None || fail "a login was sent along: $(cat "$TMP/proxy.py.redirect")"
proxy ask
expect 1 ingot pull --store "$TMP/seventh" "$where/team/web:1.0.0"
! grep '^elsewhere' "$TMP/proxy.py.ask" | grep -qv None || fail "another host got the login: $(cat "$TMP/proxy.py.ask")"
proxy far
expect 1 ingot ls "$where"
grep -q 'nothing is sent there' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "where a redirection leads, and plain HTTP elsewhere, get no login"
