#!/bin/bash
# Who may do what at ingotd: users, tokens, the token flow, anonymous pulls, slowed failures; by curl and skopeo, by TLS.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export REGISTRY_AUTH_FILE=$TMP/auth.json DOCKER_CONFIG=$TMP/docker
data=$TMP/data
twice() { printf '%s\n%s\n' "$1" "$1"; }
users() { local verb=$1; shift; ingotd user "$verb" --data "$data" "$@"; }
tokens() { local verb=$1; shift; ingotd token "$verb" --data "$data" "$@" 2>>"$TMP/tokens.log"; }

# --- the verbs ---
for words in 'user add' 'user add a b' 'user nonsense' 'user ls a' 'token rm' 'token create a' 'user' 'token'; do
    # shellcheck disable=SC2086
    expect 2 ingotd $words --data "$data"
done
expect 2 ingotd user ls
[ ! -e "$data/users.sqlite" ] || fail "wrong usage has made a file"
# A folder that is mistyped is not made, and one that is another's is let be.
mkdir "$TMP/others"
for folder in "$TMP/mistyped" "$TMP/others"; do
    for words in 'user ls' 'user rm alice' 'user passwd alice' 'token ls' 'token rm x' 'token create --user alice --scope pull:*' gc scrub; do
        # shellcheck disable=SC2086
        expect 1 ingotd $words --data "$folder" <<<$'password one\npassword one'
        grep -q "$folder: not a data folder" "$TMP/err" || fail "ingotd $words: $(cat "$TMP/err")"
    done
done
[ ! -e "$TMP/mistyped" ] && [ -z "$(ls "$TMP/others")" ] || fail "a mistyped folder was made: $(ls "$TMP/mistyped" "$TMP/others")"
expect 2 users add alice <<<"short"
grep -q '8 characters' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 users add alice <<<$'password one\npassword two'
expect 2 users add alice </dev/null
expect 2 users add 'a:b' <<<$'password one\npassword one'
expect 2 users add --scope 'write:*' alice <<<$'password one\npassword one'
[ -z "$(users ls)" ] || fail "a refused user is there: $(users ls)"
twice 'the word of alice' | users add --scope 'push:team/*' --scope 'delete:team/*' alice
twice 'the word of dora' | ingotd user add --data "$TMP/first" dora 2>"$TMP/err"
grep -q "$TMP/first/users.sqlite" "$TMP/err" || fail "where a first user is kept is not said: $(cat "$TMP/err")"
twice 'the word of dora' | ingotd user add --data "$TMP/first" eve 2>"$TMP/err"
! grep -q users.sqlite "$TMP/err" || fail "$(cat "$TMP/err")"
twice 'the word of bob' | users add --scope 'promote:team/*' bob
twice 'the word of carol' | users add carol
twice 'the word of root' | users add --scope 'admin:*' root
expect 1 users add alice </dev/null
grep -q 'already' "$TMP/err" || fail "$(cat "$TMP/err")"
[ "$(users ls | awk '{ print $1 }' | tr '\n' ' ')" = "alice bob carol root " ] || fail "$(users ls)"
users ls | grep -q '^carol .* push:\* promote:\*$' || fail "the usual scopes: $(users ls)"
[ "$(stat -c %a "$data" "$data/users.sqlite" | tr '\n' ' ')" = "700 600 " ] || fail "modes: $(stat -c '%a %n' "$data"/*)"
! grep -aq 'the word of' "$data"/users.sqlite* || fail "a password is kept as it is"
expect 1 ingotd token create --data "$data" --user alice --scope 'push:*'
expect 1 ingotd token create --data "$data" --user nobody --scope 'pull:*'
expect 2 ingotd token create --data "$data" --user alice
expect 2 ingotd token create --data "$data" --user alice --scope 'pull:team/*' --expires soon
python3 - "$data" <<'PY' || fail "the prompt"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ingotd", ["ingotd", "user", "passwd", "--data", sys.argv[1], "carol"])
seen = b""
def until(text):
    global seen
    while text not in seen:
        seen += os.read(fd, 1000)
until(b"Password of carol: ")
os.write(fd, b"typed by hand\n")
until(b"once more: ")
os.write(fd, b"typed by hand\n")
try:
    while True:
        part = os.read(fd, 1000)
        if not part:
            break
        seen += part
except OSError:
    pass
assert os.waitpid(pid, 0)[1] == 0, seen
assert b"typed" not in seen, seen
PY
ok "users and tokens are made, listed, refused; passwords are asked for without echo and kept as hashes"

# --- who is served at all ---
expect 2 ingotd --data "$TMP/open" --listen 0.0.0.0:0
grep -q 'ingotd user add' "$TMP/err" || fail "no users on all addresses: $(cat "$TMP/err")"
expect 2 ingotd --data "$TMP/open" --anonymous push
start_ingotd "$TMP/open"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$REGISTRY/v2/a/blobs/uploads/")" = 202 ] || fail "without users all is open"
twice 'the first word' | ingotd user add --data "$TMP/open" first
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$REGISTRY/v2/a/blobs/uploads/")" = 401 ] || fail "the first user closes it"
expect 1 ingotd user rm --data "$TMP/open" first
ingotd user rm --data "$TMP/open" --last first
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$REGISTRY/v2/a/blobs/uploads/")" = 202 ] || fail "without users all is open again"
kill "$SERVER"
wait "$SERVER"
ok "without users: everything, on loopback addresses alone"

cd "$TMP"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=here -keyout key.pem -out here.csr 2>/dev/null
openssl x509 -req -in here.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo subjectAltName=IP:127.0.0.1) -out cert.pem 2>/dev/null
cd - >/dev/null
mkdir "$TMP/certs"
cp "$TMP/ca.pem" "$TMP/certs/ca.crt"
serve() { # OPTIONS...
    start_server ingotd --data "$data" --listen 127.0.0.1:0 "$@"
    REGISTRY=${SERVED#*//}
    base=https://$REGISTRY
}
serve --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem"

# --- what there is: two repositories with a blob and a manifest each ---
alice='alice:the word of alice' bob='bob:the word of bob' root='root:the word of root'
curl_() { curl -s --cacert "$TMP/ca.pem" --path-as-is -o "$TMP/body" -D "$TMP/head" "$@"; }
for name in team/web secret/vault; do
    echo "a blob of $name" >"$TMP/blob"
    digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":%s},"layers":[]}' \
        "$digest" "$(stat -c %s "$TMP/blob")" >"$TMP/manifest-${name##*/}"
    curl_ -f -u "$root" --data-binary "@$TMP/blob" "$base/v2/$name/blobs/uploads/?digest=$digest" || fail "$(cat "$TMP/head")"
    curl_ -f -u "$root" -T "$TMP/manifest-${name##*/}" "$base/v2/$name/manifests/1.0.0" || fail "$(cat "$TMP/head")"
    [ "$name" = team/web ] && web=$digest || vault=$digest
done
manifest=sha256:$(sha256sum <"$TMP/manifest-web" | cut -d' ' -f1)

# --- tokens of all kinds ---
token_of() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"])' "$TMP/body"; }
claims() { python3 -c 'import base64,json,sys; p=sys.argv[1].split(".")[1]; print(json.dumps(json.loads(base64.urlsafe_b64decode(p+"=="))["access"], sort_keys=True))' "$1"; }
access() { # USER:PASSWORD SCOPE...: an access token
    local who=$1 scopes=() scope
    shift
    for scope in "$@"; do scopes+=(--data-urlencode "scope=$scope"); done
    curl_ -f -u "$who" -G "${scopes[@]}" -d service=ingot "$base/token" || fail "no token for $who: $(cat "$TMP/head" "$TMP/body")"
    token_of
}
wide=$(tokens create --user alice --scope 'push:team/*' --scope 'delete:team/*')
narrow=$(tokens create --user alice --scope 'pull:team/web')
expired=$(tokens create --user alice --scope 'push:team/*' --expires 0s)
gone=$(tokens create --user carol --scope 'push:*')
id() { cut -d_ -f2 <<<"$1"; }
grep -q 'shown this once' "$TMP/tokens.log" || fail "$(cat "$TMP/tokens.log")"
! grep -q "${wide##*_}" <(tokens ls) && grep -q "$(id "$wide")  *alice .*push:team/\* delete:team/\*$" <(tokens ls) || fail "$(tokens ls)"
grep -q "$(id "$expired").*expired" <(tokens ls) || fail "$(tokens ls)"
jwt=$(access "$alice" 'repository:team/web:pull,push' 'repository:secret/vault:pull')
[ "$(claims "$jwt")" = '[{"actions": ["pull", "push"], "name": "team/web", "type": "repository"}]' ] || fail "too much: $(claims "$jwt")"
jwt_pull=$(access "$alice" 'repository:team/web:pull repository:team/other:delete')
jwt_narrow=$(access "alice:$narrow" 'repository:team/web:pull,push,delete')
[ "$(claims "$jwt_narrow")" = '[{"actions": ["pull"], "name": "team/web", "type": "repository"}]' ] || fail "more than the long token: $(claims "$jwt_narrow")"
jwt_promote=$(access "$bob" 'repository:team/web:pull,push')
[ "$(claims "$jwt_promote")" = '[{"actions": ["pull", "promote"], "name": "team/web", "type": "repository"}]' ] || fail "promotion: $(claims "$jwt_promote")"
jwt_gone=$(access "carol:typed by hand" 'repository:team/web:pull')
jwt_token=$(access "carol:$gone" 'repository:team/web:pull')
jwt_empty=$(access "$alice")
forge() { # ALGORITHM KEY-IN-HEX SECONDS [USER]: a token that claims everything
    python3 - "$@" <<'PY'
import base64, hashlib, hmac, json, sqlite3, sys, time
algorithm, key, seconds = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
b = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
now = int(time.time())
claims = {"iss": "ingot", "aud": "ingot", "iat": now - 10 if seconds > 0 else now - 1000, "exp": now + seconds,
    "access": [{"type": "repository", "name": "secret/vault", "actions": ["pull", "push"]}]}
if len(sys.argv) > 4:
    claims.update({"sub": sys.argv[4], "serial": int(sys.argv[5])})
text = b(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()) + b"." + b(json.dumps(claims).encode())
digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm)
print((text + b"." + (b(hmac.new(key, text, digest).digest()) if digest else b"")).decode())
PY
}
ask_sqlite() { python3 -c 'import sqlite3,sys; print(sqlite3.connect("file:"+sys.argv[1]+"?mode=ro", uri=True).execute(sys.argv[2]).fetchone()[0])' "$data/users.sqlite" "$1"; }
key=$(ask_sqlite 'select hex(key) from secret')
serial=$(ask_sqlite "select serial from users where name = 'alice'")
other_key=$(printf '00%.0s' $(seq 32))

# Each from an address of its own, so that none waits for another's failure.
source=1
try() { # STATUS CURL-ARGUMENTS...
    local wanted=$1 status
    shift
    source=$((source + 1))
    status=$(curl_ --interface "127.0.1.$source" -w '%{http_code}' "$@") || fail "curl $* ends with $?"
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted, of: $* ($(head -c 300 "$TMP/body"))"
    [ "$wanted" != 401 ] || grep -qi '^www-authenticate: bearer ' "$TMP/head" || fail "no challenge: $*"
    [[ " $* " = *" -I "* ]] && return
    case $wanted in
    401) grep -q UNAUTHORIZED "$TMP/body" || fail "$(cat "$TMP/body")" ;;
    403) grep -q DENIED "$TMP/body" || fail "$(cat "$TMP/body")" ;;
    esac
}
v2=$base/v2
bearer() { echo "Authorization: Bearer $1"; }

# Nobody: nothing, whether it is there or not.
try 401 "$v2/"
grep -qi "^www-authenticate: Bearer realm=\"https://$REGISTRY/token\",service=\"ingot\"" "$TMP/head" || fail "$(cat "$TMP/head")"
grep -qi '^www-authenticate: Basic realm="ingot"' "$TMP/head" || fail "$(cat "$TMP/head")"
for path in team/web/manifests/1.0.0 no/such/manifests/1.0.0 team/web/tags/list no/such/tags/list "team/web/blobs/$web" "team/web/referrers/$manifest" _catalog; do
    try 401 "$v2/$path"
    try 401 -I "$v2/$path"
done
try 401 "$v2/team/web/manifests/1.0.0"
grep -qi 'scope="repository:team/web:pull"' "$TMP/head" || fail "$(cat "$TMP/head")"
try 401 -X POST "$v2/team/web/blobs/uploads/"
grep -qi 'scope="repository:team/web:pull,push"' "$TMP/head" || fail "$(cat "$TMP/head")"
# A list of ranges reads.
printf '\0\0\0\0\0\0\0\0\001\0\0\0\0\0\0\0' >"$TMP/list"
try 401 --data-binary "@$TMP/list" "$v2/team/web/blobs/$web"
grep -qi 'scope="repository:team/web:pull"' "$TMP/head" || fail "$(cat "$TMP/head")"
try 401 -X PUT "$v2/team/web/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=$web"
try 401 -X PATCH "$v2/team/web/blobs/uploads/00000000-0000-4000-8000-000000000000"
try 401 -X DELETE "$v2/team/web/manifests/1.0.0"
try 401 -T "$TMP/manifest-web" "$v2/team/web/manifests/x"
for path in secret/vault/1.0.0/ secret/vault/1.0.0/raw/ secret/vault/1.0.0/raw/disk.raw secret/vault/1.0.0/raw/disk.raw.sha256 no/such/1.0.0/raw/disk.raw; do
    try 401 "$base/formats/$path"
    try 403 -u "$alice" "$base/formats/$path"
done
try 401 "$base/token?service=ingot&scope=repository:team/web:pull"
for path in healthz readyz metrics; do try 200 "$base/$path"; done
# A head that lies about its host gets no challenge that leads elsewhere.
curl_ -H 'Host: evil.example", x="' "$v2/" && ! grep -qi 'evil' "$TMP/head" || fail "$(cat "$TMP/head")"

# A user: what the scopes say, and no word on the rest.
try 200 -u "$alice" "$v2/"
try 200 -u "$alice" "$v2/team/web/manifests/1.0.0"
for path in secret/vault/manifests/1.0.0 no/such/manifests/1.0.0 secret/vault/tags/list no/such/tags/list "secret/vault/blobs/$vault" "secret/vault/blobs/$web" teams/web/tags/list team/../secret/vault/tags/list; do
    case $path in *..*) try 400 -u "$alice" "$v2/$path" ;; *) try 403 -u "$alice" "$v2/$path" ;; esac
done
try 404 -u "$alice" "$v2/team/web/blobs/$vault"
try 200 -u "$alice" --data-binary "@$TMP/list" "$v2/team/web/blobs/$web"
try 404 -u "$alice" --data-binary "@$TMP/list" "$v2/team/web/blobs/$vault"
try 403 -u "$alice" --data-binary "@$TMP/list" "$v2/secret/vault/blobs/$vault"
try 403 -u "$alice" -X POST "$v2/secret/vault/blobs/uploads/"
try 403 -u "$alice" -X DELETE "$v2/secret/vault/manifests/1.0.0"
try 200 -u "$alice" "$v2/_catalog"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"repositories":["team/web"]}' ] || fail "the catalog tells too much: $(cat "$TMP/body")"
try 200 -u "$root" "$v2/_catalog"
grep -q vault "$TMP/body" || fail "$(cat "$TMP/body")"
for path in "team/web/blobs/..%2f..%2fsecret%2fvault" "team/web/blobs/sha256:..%2f$vault" "team/web/manifests/..%2f1.0.0" "team%2f..%2fsecret/vault/tags/list" "team/web/blobs/uploads/..%2f..%2fx" "/secret/vault/tags/list" "team//vault/tags/list" "./secret/vault/tags/list"; do
    status=$(curl_ -u "$alice" -w '%{http_code}' "$v2/$path")
    case $status in 400 | 403 | 404) ;; *) fail "$path: status $status" ;; esac
    ! grep -q 'schemaVersion\|a blob of\|1.0.0"' "$TMP/body" || fail "$path gives something away"
done
# A manifest that names a blob of a repository that alice may not read, a mount from there, an upload that was never begun.
try 404 -u "$alice" -T "$TMP/manifest-vault" "$v2/team/web/manifests/stolen"
try 202 -u "$alice" -X POST "$v2/team/web/blobs/uploads/?mount=$vault&from=secret/vault"
try 404 -u "$alice" "$v2/team/web/blobs/$vault"
try 201 -u "$alice" -X POST "$v2/team/copy/blobs/uploads/?mount=$web&from=team/web"
try 201 -u "$root" -X POST "$v2/team/copy/blobs/uploads/?mount=$vault&from=secret/vault"
try 404 -u "$alice" -X PUT "$v2/team/web/blobs/uploads/..?digest=$web"
try 404 -u "$alice" -X PATCH --data-binary x "$v2/team/web/blobs/uploads/00000000-0000-4000-8000-000000000000"
# An upload is its repository's; what has come of it is not to be had elsewhere.
try 202 -u "$root" -X POST "$v2/secret/vault/blobs/uploads/"
location=$(sed -n 's/^Location: *\([^\r]*\)\r*$/\1/Ip' "$TMP/head")
echo 'half of a secret' >"$TMP/half"
half=sha256:$(sha256sum <"$TMP/half" | cut -d' ' -f1)
try 202 -u "$root" -X PATCH --data-binary "@$TMP/half" "$base$location"
try 404 -u "$alice" -X PUT "$v2/team/web/blobs/uploads/${location##*/}?digest=$half"
id=${location##*/}
for ticket in "${id%.*}" "${id%.*}." "${id%?}0" "${id%?}g" ".${id#*.}"; do
    [ "$ticket" = "$id" ] || try 404 -u "$alice" -X PUT "$v2/team/web/blobs/uploads/$ticket?digest=$half"
    [ "$ticket" = "$id" ] || try 404 -u "$root" -X DELETE "$v2/secret/vault/blobs/uploads/$ticket"
done
try 201 -u "$root" -X PUT "$base$location?digest=$half"
# Frames that only others have are not told of.
python3 -c 'import hashlib,struct,sys; d=open(sys.argv[1],"rb").read(); sys.stdout.buffer.write(hashlib.sha256(d).digest()+struct.pack("<I",len(d)))' "$TMP/half" >"$TMP/frames"
offer() { # USER REPOSITORY: what is missing
    try 202 -u "$1" -X POST "$v2/$2/blobs/uploads/"
    location=$(sed -n 's/^Location: *\([^\r]*\)\r*$/\1/Ip' "$TMP/head")
    try 200 -u "$1" -X POST --data-binary "@$TMP/frames" "$base$location"
    od -An -tx1 "$TMP/body" | tr -d ' '
}
[ "$(offer "$root" team/web)" = 00 ] || fail "a frame that is there counts as missing: $(offer "$root" team/web)"
[ "$(offer "$alice" team/web)" = 01 ] || fail "a frame of another repository is told of"
ok "nobody and users: what scopes allow, and no word on what else there is"

# Channels move by promotion alone; promotion is enough for any tag of what is there, and for nothing else.
type='Content-Type: application/vnd.oci.image.manifest.v1+json'
for tag in dev test prod; do try 403 -u "$alice" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/$tag"; done
own=sha256:$(sha256sum <"$TMP/manifest-web" | cut -d' ' -f1)
try 403 -u "$alice" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/$own?tag=other&tag=prod"
try 404 -u "$alice" "$v2/team/web/manifests/other"
try 201 -u "$alice" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/1.0.0"
for tag in dev prod other; do try 201 -u "$bob" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/$tag"; done
sed 's/"layers"/ "layers"/' "$TMP/manifest-web" >"$TMP/manifest-new"
try 403 -u "$bob" -H "$type" -T "$TMP/manifest-new" "$v2/team/web/manifests/prod"
try 403 -u "$bob" -H "$type" -T "$TMP/manifest-new" "$v2/team/web/manifests/other"
try 400 -u "$bob" -H 'Content-Type: text/plain' -T "$TMP/manifest-web" "$v2/team/web/manifests/other"
try 403 -u "$bob" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/$manifest"
try 403 -u "$bob" -X POST "$v2/team/web/blobs/uploads/"
try 403 -u "$bob" -X DELETE "$v2/team/web/manifests/other"
try 403 -u "$bob" -H "$type" -T "$TMP/manifest-web" "$v2/secret/vault/manifests/prod"
try 201 -H "$(bearer "$jwt_promote")" -H "$type" -T "$TMP/manifest-web" "$v2/team/web/manifests/test"
try 202 -u "$alice" -X DELETE "$v2/team/web/manifests/other"
# And go by promotion alone: neither by tag, nor by digest, nor as a blob, nor as what an index of theirs names.
try 201 -u "$alice" -X POST "$v2/team/gone/blobs/uploads/?mount=$web&from=team/web"
try 201 -u "$alice" -H "$type" -T "$TMP/manifest-web" "$v2/team/gone/manifests/1.0.0"
index_type=application/vnd.oci.image.index.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s","digest":"%s","size":%s}]}' \
    "$index_type" "${type#*: }" "$manifest" "$(stat -c %s "$TMP/manifest-web")" >"$TMP/index"
index=sha256:$(sha256sum <"$TMP/index" | cut -d' ' -f1)
try 201 -u "$alice" -H "Content-Type: $index_type" -T "$TMP/index" "$v2/team/gone/manifests/latest"
try 201 -u "$bob" -H "Content-Type: $index_type" -T "$TMP/index" "$v2/team/gone/manifests/prod"
for path in manifests/prod "manifests/$index" "manifests/$manifest" "blobs/$index" "blobs/$manifest" "blobs/$web"; do
    try 403 -u "$alice" -X DELETE "$v2/team/gone/$path"
done
grep -q "channel 'prod'" "$TMP/body" || fail "the channel is not named: $(cat "$TMP/body")"
try 403 -H "$(bearer "$(access "$alice" 'repository:team/gone:delete')")" -X DELETE "$v2/team/gone/manifests/$index"
try 202 -u "$alice" -X DELETE "$v2/team/gone/manifests/1.0.0"
try 403 -u "$bob" -X DELETE "$v2/team/gone/manifests/$index"
try 202 -H "$(bearer "$(access "$bob" 'repository:team/gone:delete')")" -X DELETE "$v2/team/gone/manifests/prod"
try 202 -u "$alice" -X DELETE "$v2/team/gone/manifests/$index"
try 202 -u "$alice" -X DELETE "$v2/team/gone/blobs/$web"
ok "dev, test and prod are set, and removed, by who may promote"

# Tokens.
try 200 -u "alice:$wide" "$v2/team/web/tags/list"
try 200 -H "$(bearer "$wide")" "$v2/team/web/tags/list"
try 202 -H "$(bearer "$wide")" -X POST "$v2/team/web/blobs/uploads/"
try 403 -H "$(bearer "$wide")" "$v2/secret/vault/tags/list"
try 200 -H "$(bearer "$narrow")" "$v2/team/web/tags/list"
try 403 -H "$(bearer "$narrow")" -X POST "$v2/team/web/blobs/uploads/"
try 403 -H "$(bearer "$narrow")" "$v2/team/other/tags/list"
try 401 -H "$(bearer "$expired")" "$v2/team/web/tags/list"
try 401 -u "alice:$expired" "$base/token"
try 401 -u "bob:$wide" "$v2/team/web/tags/list"
try 401 -H "$(bearer "${wide%?}x")" "$v2/"
try 401 -H "$(bearer "ingot_000000000000_${wide##*_}")" "$v2/"
try 200 -H "$(bearer "$jwt")" "$v2/team/web/tags/list"
try 202 -H "$(bearer "$jwt")" -X POST "$v2/team/web/blobs/uploads/"
try 403 -H "$(bearer "$jwt")" "$v2/secret/vault/tags/list"
try 401 -H "$(bearer "$jwt")" -X DELETE "$v2/team/web/manifests/1.0.0" # another token would do
grep -qi 'scope="repository:team/web:delete",error="insufficient_scope"' "$TMP/head" || fail "$(cat "$TMP/head")"
try 401 -H "$(bearer "$jwt_pull")" -X POST "$v2/team/web/blobs/uploads/"
try 401 -H "$(bearer "$jwt_pull")" "$v2/team/other/tags/list"
try 200 -H "$(bearer "$jwt_pull")" "$v2/"
try 200 -H "$(bearer "$jwt_narrow")" "$v2/team/web/tags/list"
try 403 -H "$(bearer "$jwt_narrow")" -X POST "$v2/team/web/blobs/uploads/"
try 401 -H "$(bearer "$jwt_empty")" "$v2/_catalog"
try 200 -H "$(bearer "$(access "$alice" 'registry:catalog:*')")" "$v2/_catalog"
[ "$(tr -d ' \n' <"$TMP/body")" = '{"repositories":["team/web"]}' ] || fail "the catalog by a token: $(cat "$TMP/body")"
try 401 -H "$(bearer "$jwt")" "$base/token?scope=repository:team/web:pull"
try 405 -u "$alice" -X POST "$base/token"
for name in "none $key 100" "HS384 $key 100" "HS512 $key 100" "HS256 $other_key 100" "RS256 $key 100" "HS256 $key -10 alice $serial" "HS256 $key 100 alice 1" "HS256 $key 100 nobody $serial"; do
    # shellcheck disable=SC2086
    try 401 -H "$(bearer "$(forge $name)")" "$v2/secret/vault/tags/list"
done
# Even a right signature gives no more than its user has.
try 403 -H "$(bearer "$(forge HS256 "$key" 100 alice "$serial")")" "$v2/secret/vault/tags/list"
try 401 -H "$(bearer "$(forge HS256 "$key" 100)")" "$v2/secret/vault/tags/list"
for header in 'Basic' 'Basic !' 'Bearer a b' 'Digest x' "Basic $(printf alice | base64)" "Basic $(printf 'alice:a\0b' | base64)"; do try 401 -H "Authorization: $header" "$v2/"; done
ok "long tokens and access tokens: narrower, expired, forged, of other algorithms and keys"

# A challenge says what to ask a token for, whatever was shown. CURL-ARGUMENTS, then what the challenge says.
challenge() { # WANTED CURL-ARGUMENTS...
    try 401 "${@:2}"
    grep -qiF "www-authenticate: Bearer realm=\"$base/token\",service=\"ingot\"$1" <(tr -d '\r' <"$TMP/head" | sed 's/$/;/') || fail "${*:2}: not '$1' but $(grep -i bearer "$TMP/head")"
}
pull='scope="repository:team/web:pull"' invalid='error="invalid_token"'
challenge ",$pull;" "$v2/team/web/tags/list"
challenge ",$pull,$invalid;" -H "$(bearer nonsense)" "$v2/team/web/tags/list"
challenge ",$pull,$invalid;" -H "$(bearer "$(forge HS256 "$key" -10 alice "$serial")")" "$v2/team/web/manifests/1.0.0"
challenge ",$pull,$invalid;" -H "$(bearer "$expired")" "$v2/team/web/manifests/1.0.0"
challenge ",scope=\"repository:team/web:pull,push\",$invalid;" -H "$(bearer nonsense)" -X POST "$v2/team/web/blobs/uploads/"
challenge ",scope=\"repository:team/web:pull,push repository:team/other:pull\";" -X POST "$v2/team/web/blobs/uploads/?mount=$web&from=team/other"
challenge ',scope="repository:team/web:pull,push";' -X POST "$v2/team/web/blobs/uploads/?mount=$web"
challenge ',scope="repository:team/web:pull,push";' -X POST "$v2/team/web/blobs/uploads/?mount=$web&from=a%22,b"
challenge ',scope="repository:team/web:delete";' -X DELETE "$v2/team/web/manifests/1.0.0"
challenge ',scope="registry:catalog:*";' "$v2/_catalog"
challenge ';' "$v2/"
challenge ",$invalid;" -H "$(bearer nonsense)" "$v2/a%22,b/tags/list"
challenge ",$pull,error=\"insufficient_scope\";" -H "$(bearer "$jwt_empty")" "$v2/team/web/tags/list"
ok "challenges say what a token is to be asked for"

# Changes count at once.
try 200 -H "$(bearer "$gone")" "$v2/team/web/tags/list"
try 200 -H "$(bearer "$jwt_token")" "$v2/team/web/tags/list"
try 200 -H "$(bearer "$jwt_gone")" "$v2/team/web/tags/list"
try 200 -u 'carol:typed by hand' "$v2/"
twice 'another word' | users passwd carol
try 401 -u 'carol:typed by hand' "$v2/"
try 401 -H "$(bearer "$jwt_gone")" "$v2/team/web/tags/list"
try 200 -u 'carol:another word' "$v2/"
jwt_gone=$(access "carol:another word" 'repository:team/web:pull')
jwt_token=$(access "carol:$gone" 'repository:team/web:pull')
tokens rm "$(id "$gone")"
try 401 -H "$(bearer "$gone")" "$v2/team/web/tags/list"
try 401 -H "$(bearer "$jwt_token")" "$v2/team/web/tags/list"
gone=$(tokens create --user carol --scope 'push:*')
users rm carol
try 401 -H "$(bearer "$gone")" "$v2/team/web/tags/list"
try 401 -H "$(bearer "$jwt_gone")" "$v2/team/web/tags/list"
try 401 -u 'carol:another word' "$v2/"
twice 'another word' | users add carol
try 401 -H "$(bearer "$gone")" "$v2/team/web/tags/list"
try 401 -H "$(bearer "$jwt_gone")" "$v2/team/web/tags/list"
ok "a changed password, a removed token, a removed user count from the next request on"

# The key is rotated while it serves: what it signed is good until the former key ends.
tokens rotate --expires 1h
try 200 -H "$(bearer "$jwt")" "$v2/team/web/tags/list"
jwt_new=$(access "$alice" 'repository:team/web:pull')
try 200 -H "$(bearer "$jwt_new")" "$v2/team/web/tags/list"
try 401 -H "$(bearer "$(forge none "$key" 100)")" "$v2/secret/vault/tags/list"
tokens rotate --expires 0s
try 401 -H "$(bearer "$jwt_new")" "$v2/team/web/tags/list"
grep -q 'error="invalid_token"' "$TMP/head" || fail "a token of a key that has ended: $(cat "$TMP/head")"
try 401 -H "$(bearer "$jwt")" "$v2/team/web/tags/list" # nor is one of the key before that
try 200 -H "$(bearer "$(access "$alice" 'repository:team/web:pull')")" "$v2/team/web/tags/list"
jwt=$(access "$alice" 'repository:team/web:pull,push' 'repository:secret/vault:pull')
expect 2 ingotd token rotate --data "$data" --expires soon
ok "a rotated key: what former ones signed ends when they do"

# A user who fails is slowed where that was; nobody else is, nowhere.
from() { # ADDRESS CURL-ARGUMENTS...: the status
    curl_ --interface "$1" -w '%{http_code}' "${@:2}" || true
}
here=127.0.2.1
[ "$(from $here -u 'alice:guess "1' "$v2/")" = 401 ] || fail "a wrong password"
grep -qi '^Retry-After' "$TMP/head" && fail "$(cat "$TMP/head")"
# The wait doubles, although another logs in from there all the time.
for _ in $(seq 200); do
    [ "$(from $here -u "$root" "$v2/")" = 200 ] || fail "root waits for alice: $(cat "$TMP/head")"
    from $here -u 'alice:guess 2' "$v2/" >/dev/null
    grep -qiE '^Retry-After: ([4-8])' "$TMP/head" && break
done
[ "$(from $here -u "$alice" "$v2/")" = 429 ] || fail "guesses are not slowed: $(cat "$TMP/head")"
# What another asks meanwhile, from the same address or another one: WANTED WHO... (of each, its status)
while read -r wanted address what; do
    case $what in
    bob) args=(-u "$bob") ;;
    alice) args=(-u "$alice") ;;
    nobody) args=() ;;
    unknown) args=(-u 'mallory:guess') ;;
    bearer) args=(-H "$(bearer "$wide")") ;;
    basic) args=(-u "alice:$wide") ;;
    access) args=(-H "$(bearer "$jwt")") ;;
    stale) args=(-H "$(bearer nonsense)") ;;
    forged) args=(-H "$(bearer "${wide%?}x")") ;;
    esac
    [ "$(from "$address" "${args[@]}" "$v2/")" = "$wanted" ] || fail "$what from $address while alice waits: $(head -1 "$TMP/head"), not $wanted"
done <<EOF
200 $here bob
200 127.0.2.2 alice
200 $here bearer
200 $here basic
200 $here access
401 $here nobody
401 $here stale
401 $here forged
401 $here unknown
200 $here bob
EOF
# Unknown tokens, however many, slow nobody down.
for i in $(seq 20); do [ "$(from 127.0.2.3 -H "$(bearer "unknown-$i")" "$v2/")" = 401 ] || fail "an unknown token: $(cat "$TMP/head")"; done
[ "$(from 127.0.2.3 -u "$alice" "$v2/")" = 200 ] || fail "unknown tokens slow a right password: $(cat "$TMP/head")"
for _ in $(seq 100); do
    sleep 0.5
    status=$(from $here -u "$alice" "$v2/")
    [ "$status" = 429 ] || break
done
[ "$status" = 200 ] || fail "the right password after the wait: $(cat "$TMP/head")"
[ "$(from $here -u $'al\e[31mice:guess' "$v2/")" = 401 ] || fail "a wrong user"
grep -q 'login from 127\.0\.2\.1 failed: user="alice": wrong' "$TMP/ingotd.log" || fail "$(tail -3 "$TMP/ingotd.log")"
grep -qE ' 127\.0\.2\.2 alice GET /v2/ status=200' "$TMP/ingotd.log" || fail "$(tail -3 "$TMP/ingotd.log")"
grep -qE ' 127\.0\.1\.2 - GET /v2/ status=401' "$TMP/ingotd.log" || fail "$(head -3 "$TMP/ingotd.log")"
! grep -aqE "guess|the word of|${wide##*_}|eyJ|$(printf '\033')" "$TMP/ingotd.log" || fail "the log tells a secret: $(grep -aE 'guess|the word of|eyJ' "$TMP/ingotd.log" | head -3)"
ok "a user's failures are logged and slowed where they are; tokens, other users, other addresses are not"

# Guesses from many addresses slow down new ones, and never the one where alice works.
answers=
for i in $(seq 2 30); do answers+=" $(from "127.0.4.$i" -u 'alice:guess' "$v2/")"; done
[[ $answers = *" 401 401 401 401 401 "*" 429"* ]] || fail "guesses from many addresses are not slowed:$answers"
[ "$(from $here -u "$alice" "$v2/")$(from 127.0.4.1 -u "$bob" "$v2/")" = 200200 ] || fail "guesses from elsewhere lock out alice, or bob"
ok "guesses from many addresses are slowed and lock nobody out"

# Passwords of many addresses at once hold up nobody else.
for i in $(seq 2 30); do curl_ --interface "127.0.3.$i" -o /dev/null -D /dev/null -u "user$i:guess" "$v2/" & guesses[i]=$!; done
try 200 -H "$(bearer "$wide")" "$v2/"
waiting=$(jobs -pr | grep -cxFf <(printf '%s\n' "${guesses[@]}"))
wait "${guesses[@]}"
[ "$waiting" -gt 0 ] || fail "a token waits until all others' passwords are checked"
ok "password checks hold up no other request ($waiting of 29 were still being checked)"

# --- skopeo ---
sk() { skopeo "$@" || fail "skopeo $*"; }
expect 1 skopeo login --cert-dir "$TMP/certs" -u alice -p 'not the word' "$REGISTRY"
sleep 1.1
sk login --cert-dir "$TMP/certs" -u alice -p 'the word of alice' "$REGISTRY" >/dev/null
small_disk "$TMP/disk.raw"
digest=$(ingot pack -q "$TMP/disk.raw" web:2.0.0)
sk copy -q --dest-cert-dir "$TMP/certs" "oci:$INGOT_STORE:web:2.0.0" "docker://$REGISTRY/team/sk:2.0.0"
sk copy -q --src-cert-dir "$TMP/certs" "docker://$REGISTRY/team/sk:2.0.0" "oci:$TMP/folder:web"
[ "sha256:$(sk inspect --cert-dir "$TMP/certs" --raw "docker://$REGISTRY/team/sk:2.0.0" | sha256sum | cut -d' ' -f1)" = "$digest" ] || fail "skopeo's copy"
expect 1 skopeo copy -q --dest-cert-dir "$TMP/certs" "oci:$TMP/folder:web" "docker://$REGISTRY/secret/sk:2.0.0"
expect 1 skopeo copy -q --dest-cert-dir "$TMP/certs" "oci:$TMP/folder:web" "docker://$REGISTRY/team/sk:prod"
sk delete --cert-dir "$TMP/certs" "docker://$REGISTRY/team/sk:2.0.0"
sk copy -q --dest-cert-dir "$TMP/certs" --dest-creds "alice:$wide" "oci:$TMP/folder:web" "docker://$REGISTRY/team/sk:2.0.0"
expect 1 skopeo copy -q --dest-cert-dir "$TMP/certs" --dest-creds "alice:$narrow" "oci:$TMP/folder:web" "docker://$REGISTRY/team/web:2.0.0"
sk copy -q --dest-cert-dir "$TMP/certs" --dest-creds "$root" "oci:$TMP/folder:web" "docker://$REGISTRY/team/sk:prod"
sk logout "$REGISTRY" >/dev/null
expect 1 skopeo inspect --raw --cert-dir "$TMP/certs" "docker://$REGISTRY/team/sk:2.0.0"
ok "skopeo logs in, copies in and out, with a password and with a token"

# --- anonymous pulls ---
kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
expect 2 ingotd --data "$data" --check-config --token-life 59s
grep -q -- '--token-life' "$TMP/err" || fail "$(cat "$TMP/err")"
serve --tls-cert "$TMP/cert.pem" --tls-key "$TMP/key.pem" --anonymous pull --token-life 2m
v2=$base/v2
try 200 -u "$alice" "$base/token"
grep -q '"expires_in":120' "$TMP/body" || fail "the life of a token: $(cat "$TMP/body")"
try 200 "$v2/team/web/manifests/1.0.0"
try 401 -X POST "$v2/team/web/blobs/uploads/"
try 401 -X DELETE "$v2/team/web/manifests/1.0.0"
try 401 -T "$TMP/manifest-web" "$v2/team/web/manifests/prod"
try 401 -u 'alice:guess' "$v2/team/web/manifests/1.0.0"
try 200 "$v2/_catalog"
try 200 "$base/token?service=ingot&scope=repository:team/web:pull,push"
jwt=$(token_of)
[ "$(claims "$jwt")" = '[{"actions": ["pull"], "name": "team/web", "type": "repository"}]' ] || fail "anybody's token: $(claims "$jwt")"
try 200 -H "$(bearer "$jwt")" "$v2/"
try 200 -H "$(bearer "$jwt")" "$v2/team/web/manifests/1.0.0"
try 401 -H "$(bearer "$jwt")" -X POST "$v2/team/web/blobs/uploads/"
# A token for nothing in particular is told what to ask for, as is one for another name.
try 200 "$base/token?service=ingot"
jwt=$(token_of)
challenge ",$pull,error=\"insufficient_scope\";" -H "$(bearer "$jwt")" "$v2/team/web/manifests/1.0.0"
sk inspect --raw --cert-dir "$TMP/certs" "docker://$REGISTRY/team/sk:2.0.0" >/dev/null
expect 1 skopeo copy -q --dest-cert-dir "$TMP/certs" "oci:$TMP/folder:web" "docker://$REGISTRY/team/sk:3.0.0"
sk copy -q --dest-cert-dir "$TMP/certs" --dest-creds "$alice" "oci:$TMP/folder:web" "docker://$REGISTRY/team/sk:3.0.0"
ok "anonymous pulls; who pushes logs in"

kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
serve --trusted-proxy 127.0.0.1
curl -s -D "$TMP/head" -o "$TMP/body" -H 'X-Forwarded-Proto: https' "http://$REGISTRY/v2/"
grep -qi "realm=\"https://$REGISTRY/token\"" "$TMP/head" || fail "behind a proxy: $(cat "$TMP/head")"
# What is taken away while the disk is slow to flush it: a request in between may still be let in, none behind it.
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libslow.so" tests/faults/slow.c -ldl
printf 'the word of dora\nthe word of dora\n' | ingotd user add --data "$data" --scope 'pull:*' dora >/dev/null
# slowly VERB...: a verb whose flush lasts until $TMP/slow goes; requests come meanwhile.
slowly() {
    local verb i
    : >"$TMP/slow"
    SLOW_FLUSH=1 SLOW_FILE=$data/users.sqlite-wal SLOW_WHILE=$TMP/slow LD_PRELOAD=$TMP/libslow.so ingotd "$@" >"$TMP/out" 2>&1 &
    verb=$!
    for i in 1 2 3 4 5 6 7 8; do
        curl -s -o /dev/null -H "Authorization: Bearer $(cut -d' ' -f1 "$TMP/token")" "http://$REGISTRY/v2/"
        curl -s -o "$TMP/jwt" -u "$alice" "http://$REGISTRY/token"
        sleep 0.1
    done
    rm "$TMP/slow"
    wait $verb || fail "ingotd $*: $(cat "$TMP/out")"
}
bearer_status() { curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" "http://$REGISTRY/v2/"; }
ingotd token create --data "$data" --user dora --scope 'pull:*' >"$TMP/token" 2>"$TMP/err"
slow_token=$(cut -d' ' -f1 "$TMP/token")
[ "$(bearer_status "$slow_token")" = 200 ] || fail "a new token: $(cat "$TMP/token" "$TMP/err")"
slowly token rm --data "$data" "$(ingotd token ls --data "$data" | grep dora | cut -d' ' -f1)"
[ "$(bearer_status "$slow_token")" = 401 ] || fail "a token that was removed on a slow disk is good"
slowly token rotate --data "$data" --expires 1s
sleep 2
old=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token"])' "$TMP/jwt")
[ "$(bearer_status "$old")" = 401 ] || fail "a key that was rotated away on a slow disk signs on"
ok "what is taken away on a slow disk is gone when the verb has ended"

kill "$SERVER"
wait "$SERVER" || fail "the server ends with $?"
expect 124 timeout 1 ingotd --data "$data" --listen 0.0.0.0:0
grep -q 'in the clear' "$TMP/err" || fail "no warning of passwords in the clear: $(cat "$TMP/err")"
ok "plain HTTP on other addresses is warned of"
