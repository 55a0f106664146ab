#!/bin/bash
# Images between a store and ingotd: push, promote, delta pull, resumption, damage, unreachable registries.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd
small_disk "$TMP/v1.raw"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
head -c 3000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
digest=$(ingot pack -q "$TMP/v2.raw" web:2.0.0)

ingot push -q web:1.0.0 "$REGISTRY/team/web" >/dev/null
[ "$(ingot push -q web:2.0.0 "$REGISTRY/team/web")" = "$digest" ] || fail "push tells another digest"
ingot promote "$REGISTRY/team/web" 2.0.0 dev >/dev/null
[ "$(ingot promote -q "$REGISTRY/team/web" dev prod)" = "$digest" ] || fail "promote tells another digest"
[ "$(ingot ls "$REGISTRY/team/web" | tr '\n' ' ')" = "1.0.0 2.0.0 dev prod " ] || fail "ls: $(ingot ls "$REGISTRY/team/web")"
[ "$(ingot ls "$REGISTRY")" = team/web ] || fail "ls of the registry"
ok "push, promote and ls"

# index TAG PLATFORM: puts an index with 2.0.0 as the image for that platform, and something else for another.
index() {
    local size
    size=$(curl -sf "http://$REGISTRY/v2/team/web/manifests/$digest" -H 'Accept: */*' | wc -c)
    printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "%s", "size": %s, "platform": {"os": "linux", "architecture": "%s"}}]}' "$digest" "$size" "$2" >"$TMP/index.json"
    curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$TMP/index.json" "http://$REGISTRY/v2/team/web/manifests/$1" || fail "PUT of an index"
}
index many amd64
whole=sha256:$(sha256sum <"$TMP/index.json" | cut -d' ' -f1)
[ "$(ingot pull -q --store "$TMP/many" "$REGISTRY/team/web:many")" = "$digest" ] || fail "a pull by an index"
[ "$(ingot show --json "$REGISTRY/team/web:many" | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" = "$digest" ] || fail "show by an index"
ingot export -q --store "$TMP/by-digest" "$REGISTRY/team/web@$whole" -F raw -o "$TMP/many.raw" || fail "export by an index's digest"
cmp "$TMP/many.raw" "$TMP/v2.raw" || fail "another disk by an index"
index arm arm64
expect 1 ingot pull --store "$TMP/many" "$REGISTRY/team/web:arm"
grep -qF "without an image for linux/amd64; --arch or NAME@DIGEST names one of what it has: linux/arm64 ($digest)" "$TMP/err" || fail "$(cat "$TMP/err")"
[ "$(ingot pull -q --store "$TMP/many" "$REGISTRY/team/web@$digest")" = "$digest" ] || fail "a pull of one of an index"
curl -sf -X DELETE "http://$REGISTRY/v2/team/web/manifests/many" && curl -sf -X DELETE "http://$REGISTRY/v2/team/web/manifests/arm"
rm "$TMP/many.raw"
ok "an index is resolved to the image for linux/amd64, or tells what it has"

# What a registry says goes to a terminal without what a terminal obeys.
cat >"$TMP/shouts.py" <<'PY'
import hashlib, http.server, json, sys, urllib.request
text = "a\x1b]0;title\x07b\x9b1mc\x7fd"
class Shouts(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("/_catalog"):
            status, body = 200, {"repositories": [text]}
        elif self.path.endswith("/tags/list"):
            status, body = 200, {"tags": [text]}
        else:
            status, body = 403, {"errors": [{"message": text}]}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_POST = do_GET
    log_message = lambda *a: None
# The same in an image's config.
base = "http://%s/v2/team/web/" % sys.argv[1]
def call(method, path, data=None, kind="application/octet-stream"):
    return urllib.request.urlopen(urllib.request.Request(base + path, data, {"Content-Type": kind}, method=method)).read()
manifest = json.loads(call("GET", "manifests/2.0.0"))
config = json.loads(call("GET", "blobs/" + manifest["config"]["digest"]))
config.update(created=text, os={"id": text, "version": text}, outputs=[text], steps=[{"title": text, "seconds": 1}], recipe={"name": text})
data = json.dumps(config).encode()
digest = "sha256:" + hashlib.sha256(data).hexdigest()
call("POST", "blobs/uploads/?digest=" + digest, data)
manifest["config"].update(digest=digest, size=len(data))
call("PUT", "manifests/shouts", json.dumps(manifest).encode(), manifest["mediaType"])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shouts)
print("127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
PY
python3 "$TMP/shouts.py" "$REGISTRY" >"$TMP/shouts" 2>"$TMP/shouts.err" &
ENDING+=($!)
until [ -s "$TMP/shouts" ]; do kill -0 $! || fail "$(cat "$TMP/shouts.err")"; sleep 0.05; done
shouts=$(cat "$TMP/shouts")
ingot pull -q --store "$TMP/many" "$REGISTRY/team/web:shouts" >/dev/null
for command in "ls $shouts" "ls $shouts/a" "ls --json $shouts" "show $shouts/a:1" "pull $shouts/a" "pull $shouts/a:1" "push web:1.0.0 $shouts/a" "show $REGISTRY/team/web:shouts" \
    "show --json $REGISTRY/team/web:shouts" "images --store $TMP/many" "images --json --store $TMP/many"; do
    # shellcheck disable=SC2086
    ingot $command >"$TMP/out" 2>&1 || true
    grep -q '[ad]' "$TMP/out" || fail "$command says nothing"
    ! LC_ALL=C.UTF-8 grep -qP '[\x00-\x09\x0b-\x1f\x7f-\x{9f}]' "$TMP/out" || fail "$command prints what a terminal obeys: $(cat -v "$TMP/out")"
done
curl -sf -X DELETE "http://$REGISTRY/v2/team/web/manifests/shouts"
ok "what a registry says reaches a terminal as plain text"

# A reference without a tag: the highest version, here and there; where there is none, the tags are told.
named=$TMP/named
[ "$(ingot pull --store "$named" "$REGISTRY/team/web" 2>/dev/null)" = "$REGISTRY/team/web:2.0.0 $digest" ] || fail "a pull without a tag"
[ "$(ingot show --json --store "$named" "$REGISTRY/team/web" | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" = "$digest" ] || fail "show without a tag"
ingot push -q web:2.0.0 "$REGISTRY/channels:prod" >/dev/null
# told STATUS TEXT COMMAND...: what it says on stderr.
told() {
    local wanted=$1 text=$2 status=0
    shift 2
    "$@" >/dev/null 2>"$TMP/err" || status=$?
    [ $status = "$wanted" ] && grep -qF -- "$text" "$TMP/err" || fail "$* ends with $status: $(cat "$TMP/err")"
}
for verb in pull show "export -F raw -o $TMP/none" run; do
    # shellcheck disable=SC2086
    told 1 "$REGISTRY/channels has no version: say which tag (it has prod)" ingot $verb "$REGISTRY/channels"
    # shellcheck disable=SC2086
    told 1 "$REGISTRY/team/web has no tag 'latest' (it has 1.0.0, 2.0.0, dev, prod)" ingot $verb "$REGISTRY/team/web:latest"
    # shellcheck disable=SC2086
    told 1 "$REGISTRY/team/wbe is not in the registry" ingot $verb "$REGISTRY/team/wbe"
    # shellcheck disable=SC2086
    [ "$verb" = pull ] || told 1 "web has no tag '3.0.0' in the store (it has 1.0.0, 2.0.0)" ingot $verb web:3.0.0
done
told 1 "$REGISTRY/team/web has no tag 'test' (it has 1.0.0, 2.0.0, dev, prod)" ingot promote "$REGISTRY/team/web" test prod
told 2 "'x/../y' is no tag" ingot promote "$REGISTRY/team/web" x/../y prod
told 1 "$REGISTRY/team/web has no manifest sha256:0" ingot pull "$REGISTRY/team/web@sha256:$(printf '0%.0s' $(seq 64))"
ok "a missing tag is the highest version; what is not there is told with what is"

# What the store knows of a disk's frames is a hint: a wrong one costs a push of the whole, and is not kept.
hint=$INGOT_STORE/frame-digests/$(python3 -c "import json; print(json.load(open('$INGOT_STORE/blobs/sha256/${digest#sha256:}'))['layers'][1]['digest'][7:])")
cp "$hint" "$TMP/hint"
python3 - "$hint" <<'PY'
import hashlib, sys
text = bytearray(open(sys.argv[1], "rb").read()[:-32])
text[16 + 32] ^= 1
open(sys.argv[1], "wb").write(text + hashlib.sha256(text).digest())
PY
[ "$(ingot push -q web:2.0.0 "$REGISTRY/team/hint")" = "$digest" ] || fail "a wrong hint is in the way of a push"
[ ! -e "$hint" ] || fail "a wrong hint stays"
: >"$TMP/ingotd.log"
ingot push -q web:2.0.0 "$REGISTRY/team/again" >/dev/null
cmp "$hint" "$TMP/hint" || fail "a push works out other digests than the pack did"
bytes=$(grep -o ' PUT .*received=[0-9]*' "$TMP/ingotd.log" | sed 's/.*received=//' | awk '{ s += $1 } END { print s }')
[ "$bytes" -lt 1000000 ] || fail "$bytes bytes were sent of what is there"
ok "a wrong hint of a disk's frames does no harm"

other=$TMP/other
ingot pull -q --store "$other" "$REGISTRY/team/web:1.0.0" >/dev/null
: >"$TMP/ingotd.log"
[ "$(ingot pull -q --store "$other" "$REGISTRY/team/web:prod" -o "$TMP/back.raw")" = "$digest" ] || fail "pull tells another digest"
cmp "$TMP/back.raw" "$TMP/v2.raw" || fail "the pulled disk differs"
bytes=$(grep -oE ' (GET|POST) .*bytes=[0-9]*' "$TMP/ingotd.log" | sed 's/.*bytes=//' | awk '{ s += $1 } END { print s }')
[ "$bytes" -lt 4500000 ] || fail "$bytes bytes came for 3 MB that are new"
ok "a pull fetches only what is new ($bytes bytes for 3000000)"

# A seed that was damaged on this disk is found by the digest of the whole, and what it spoiled is fetched.
spoiled=$TMP/spoiled
ingot pull -q --store "$spoiled" "$REGISTRY/team/web:1.0.0" >/dev/null
largest=$(find "$spoiled/blobs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
for at in 100000 2000000; do flip "$largest" $at; done
[ "$(ingot pull -q --store "$spoiled" "$REGISTRY/team/web:prod" -o "$TMP/back.raw")" = "$digest" ] || fail "a damaged seed"
cmp "$TMP/back.raw" "$TMP/v2.raw" || fail "a damaged seed got into the disk"
ok "a damaged seed does no harm"

# A disk that is full when only the table of frames is missing: what came is kept, and is not fetched again.
full=$TMP/full
blob=$(python3 -c "import json; print(json.load(open('$INGOT_STORE/blobs/sha256/${digest#sha256:}'))['layers'][1]['digest'][7:])")
size=$(stat -c %s "$INGOT_STORE/blobs/sha256/$blob")
(trap '' XFSZ && exec prlimit --fsize=$((size - 1)) ingot pull -q --store "$full" "$REGISTRY/team/web:prod") >/dev/null 2>"$TMP/err" &&
    fail "a pull to a disk that is full"
grep -q "cannot write at offset" "$TMP/err" || fail "a full disk: $(cat "$TMP/err")"
[ -e "$full/tmp/partial-$blob" ] || fail "what came before the disk was full is gone"
: >"$TMP/ingotd.log"
[ "$(ingot pull -q --store "$full" "$REGISTRY/team/web:prod")" = "$digest" ] || fail "a pull once there is room"
bytes=$(grep -oE ' (GET|POST) .*bytes=[0-9]*' "$TMP/ingotd.log" | sed 's/.*bytes=//' | awk '{ s += $1 } END { print s + 0 }')
[ "$bytes" -lt 1000000 ] || fail "$bytes bytes came again"
ok "a disk that is full at the end of a pull costs nothing that came"

third=$TMP/third
ingot pull -q --store "$third" "$REGISTRY/team/web:1.0.0" >/dev/null 2>&1 &
pid=$!
until ls "$third"/tmp/partial-* >/dev/null 2>&1; do kill -0 $pid 2>/dev/null || break; sleep 0.01; done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
[ "$(ingot pull -q --store "$third" "$REGISTRY/team/web:1.0.0")" = "$(ingot show --json web:1.0.0 | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" ] || fail "the resumed pull"
ok "a killed pull is resumed"

blob=$(python3 -c "import json; print(json.load(open('$INGOT_STORE/blobs/sha256/${digest#sha256:}'))['layers'][1]['digest'][7:])")
pack=$(find "$TMP/registry/packs" -size +1M | head -1)
cp "$pack" "$TMP/whole.pack"
flip "$pack" 200000
expect 1 ingot pull --store "$TMP/fourth" "$REGISTRY/team/web:prod" -o "$TMP/no.raw"
grep -q "$(basename "$pack"): the piece at offset .* is damaged" "$TMP/ingotd.log" || fail "the registry does not say what is damaged"
[ ! -e "$TMP/no.raw" ] || fail "a damaged disk was written"
[ ! -e "$TMP/fourth/blobs/sha256/$blob" ] || fail "a damaged disk is in the store"
cp "$TMP/whole.pack" "$pack"
ok "a damaged disk is not served, nothing is written"

expect 1 ingot pull "$REGISTRY/team/web:nothing"
grep -q "has no tag 'nothing'" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 1 ingot ls 127.0.0.1:1
grep -q '127.0.0.1:1' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 1 ingot ls no-such-host.invalid
grep -q 'no-such-host.invalid' "$TMP/err" || fail "$(cat "$TMP/err")"
python3 -c 'import socket,time; s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(5); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$TMP/port" &
ENDING+=($!)
until [ -s "$TMP/port" ]; do sleep 0.05; done
INGOT_TIMEOUT=2 expect 1 timeout 20 ingot ls "127.0.0.1:$(cat "$TMP/port")"
grep -q 'nothing came for 2 s' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "unreachable, refusing and stalled registries are named"

skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/team/web:1.0.0" "oci:$TMP/folder:web" || fail "skopeo cannot pull"
skopeo copy -q --dest-tls-verify=false "oci:$TMP/folder:web" "docker://$REGISTRY/copy:1.0.0" || fail "skopeo cannot push"
[ "$(ingot show --json "$REGISTRY/copy:1.0.0" | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" = "$(ingot show --json web:1.0.0 | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')" ] || fail "skopeo's copy differs"
ok "skopeo pulls from the registry and pushes to it"

# What is attached is of use, but an image is whole without it.
front() { ingot "$1" --store "$TMP/$2" "${@:3}" "$upstream/team/web:1.0.0"; }
start_upstream "$REGISTRY"
printf '/referrers/ status 503 60\n' >"$TMP/rules"
front pull bare.store -q >/dev/null 2>"$TMP/err" || fail "a pull without the list of what is attached: $(cat "$TMP/err")"
grep -q 'not all that is attached came along: .*status 503' "$TMP/err" || fail "$(cat "$TMP/err")"
front show bare.store --pull=always --json >"$TMP/out" 2>"$TMP/err" || fail "show without that list: $(cat "$TMP/err")"
python3 -c 'import json, sys; assert json.load(sys.stdin)["attached"] is None' <"$TMP/out" || fail "$(cat "$TMP/out")"
grep -q 'what is attached is not known.*status 503' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "an image whose attachments can't be had is pulled and shown, and that is said"

kill "$SERVER"
wait "$SERVER" || fail "ingotd ends with status $?"
start_ingotd
ingot ls "$REGISTRY/team/web" | grep -q prod || fail "a restart lost a tag"
expect 1 ingotd --data "$TMP/registry" --listen 127.0.0.1:0
grep -q 'another ingotd' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a restart keeps everything; one folder has one server"

# What another process holds is waited for, and that is said.
(
    flock 9
    touch "$TMP/held"
    sleep 3
) 9>"$INGOT_STORE/.lock" &
holder=$!
until [ -e "$TMP/held" ]; do sleep 0.05; done
expect 0 ingot rm web:1.0.0
wait $holder
[ "$(grep -c 'waiting for .*process.*, which holds .*/store/.lock$' "$TMP/err")" = 1 ] || fail "the wait for a lock: $(cat "$TMP/err")"
ok "a wait for another process is said once"

# -q, -F and -o mean the same in every verb that has them.
[ "$(ingot images -q | sort -u)" = "$(ingot images --json | grep -o 'sha256:[0-9a-f]*' | sort -u)" ] || fail "images -q: $(ingot images -q)"
[ "$(ingot -q show web:2.0.0)" = "$digest" ] || fail "show -q"
ingot export web:2.0.0 -o - 2>/dev/null | cmp - "$TMP/v2.raw" || fail "export to stdout"
ingot pull -q web:2.0.0 -F qcow2 -o "$TMP/pulled.qcow2" >/dev/null
ingot export web:2.0.0 -F qcow2 -o "$TMP/exported.qcow2" 2>/dev/null
cmp "$TMP/pulled.qcow2" "$TMP/exported.qcow2" || fail "pull -F"
told 2 "only raw can go to stdout, not qcow2" ingot export web:2.0.0 -F qcow2 -o -
told 2 "only raw can go to stdout, not qcow2" ingot pull web:2.0.0 -F qcow2 -o -
ingot export web:2.0.0 -o /dev/stdout 2>/dev/null | cmp - "$TMP/v2.raw" || fail "export to /dev/stdout, a pipe"
(echo before; ingot export web:2.0.0 -o /dev/stdout 2>/dev/null; echo after) >"$TMP/around"
{ echo before; cat "$TMP/v2.raw"; echo after; } | cmp - "$TMP/around" || fail "export to /dev/stdout, a file"
ingot pull -q web:2.0.0 -o >(sha256sum | cut -c-64 >"$TMP/sum")
wait $!
[ "$(cat "$TMP/sum")" = "$(sha256sum <"$TMP/v2.raw" | cut -c-64)" ] || fail "pull to >(a command)"
mkfifo "$TMP/fifo"
cmp "$TMP/fifo" "$TMP/v2.raw" &
ingot export -q web:2.0.0 -o "$TMP/fifo"
wait $! || fail "export to a named pipe"
[ -p "$TMP/fifo" ] || fail "a named pipe is replaced"
ingot export -q web:2.0.0 -o /dev/null
told 2 "only raw can go to a pipe or the like, not qcow2" ingot export web:2.0.0 -F qcow2 -o "$TMP/fifo"
# Where nothing can be written nothing is fetched: there is no such registry.
for place in "$TMP/none/web.raw" "$TMP" "$TMP/slash/" ""; do
    ! ingot pull 127.0.0.1:1/web:2.0.0 -o "$place" 2>"$TMP/err" || fail "pull -o '$place'"
    ! grep -q '127.0.0.1' "$TMP/err" || fail "pull -o '$place' asks first: $(cat "$TMP/err")"
done
python3 - web:2.0.0 <<'END' || fail "a disk goes to a terminal"
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
for place in "-", "/dev/stdout", os.ttyname(theirs):
    run = subprocess.run(["ingot", "export", sys.argv[1], "-o", place], stdout=theirs, stderr=subprocess.PIPE)
    assert run.returncode == 2 and b"no text for a terminal" in run.stderr, (place, run)
END
ingot export web:2.0.0 -o "$TMP/named.qcow2" 2>"$TMP/err"
grep -q 'named.qcow2 is a raw disk; -F qcow2' "$TMP/err" || fail "a raw disk called qcow2: $(cat "$TMP/err")"
told 2 "--output FILE is missing" ingot export web:2.0.0
told 2 "--output FILE is missing" ingot pull web:2.0.0 -F qcow2
for command in "export web:2.0.0 -o -" "pull web:2.0.0 -o -" "images --json"; do
    # shellcheck disable=SC2086
    status=$({ set +e; ingot $command 2>"$TMP/err"; echo $? >"$TMP/status"; } | head -c 1 >"$TMP/none"; cat "$TMP/status")
    # A list may fit into the pipe before its reader goes.
    [ "$status" = 141 ] || { [ "$status" = 0 ] && [ "${command%% *}" = images ]; } || fail "$command with a reader that goes ends with $status"
    ! grep -v 'write -' "$TMP/err" || fail "$command with a reader that goes says: $(cat "$TMP/err")"
done
ok "-q, -F, -o - are alike in all verbs; a reader that goes ends them quietly"

# The store's image and the registry's are told apart.
shown() { ingot -q show --store "$TMP/apart" "$@"; }
first=$(ingot pack -q "$TMP/v1.raw" web:1.0.0)
ingot push -q web:1.0.0 "$REGISTRY/moving:prod" >/dev/null
[ "$(shown "$REGISTRY/moving:prod")" = "$first" ] || fail "show of what the store lacks"
told 1 "no image $REGISTRY/moving:prod in the store" ingot show --pull=never --store "$TMP/apart" "$REGISTRY/moving:prod"
told 1 "no image $REGISTRY/moving:prod in the store" ingot run --pull=never --store "$TMP/apart" "$REGISTRY/moving:prod"
ingot pull -q --store "$TMP/apart" "$REGISTRY/moving:prod" >/dev/null
ingot push -q web:2.0.0 "$REGISTRY/moving:prod" >/dev/null
[ "$(shown "$REGISTRY/moving:prod")" = "$first" ] || fail "show of what the store has"
[ "$(shown --pull=never "$REGISTRY/moving:prod")" = "$first" ] || fail "show --pull=never"
[ "$(shown --pull=always "$REGISTRY/moving:prod")" = "$digest" ] || fail "show --pull=always"
for when in missing never; do
    ingot export -q --store "$TMP/apart" --pull=$when "$REGISTRY/moving:prod" -o - | cmp - "$TMP/v1.raw" || fail "export --pull=$when"
done
ingot export -q --store "$TMP/apart" --pull=always "$REGISTRY/moving:prod" -o - | cmp - "$TMP/v2.raw" || fail "export --pull=always"
for verb in show "export -o -" run; do
    # shellcheck disable=SC2086
    told 2 "missing, always or never is expected" ingot $verb --pull=often "$REGISTRY/moving:prod"
    # shellcheck disable=SC2086
    told 2 "web has no host" ingot $verb --pull=always web:1.0.0
done
told 0 "removed from the store; $REGISTRY was not asked to remove it" ingot rm --store "$TMP/apart" "$REGISTRY/moving:prod"
ingot ls "$REGISTRY/moving" | grep -qx prod || fail "rm of the store's copy removed the registry's"
ok "the store's image and the registry's are told apart"

# An index that is wrong about a disk that is right: two of its digests are exchanged. What it spoils is fetched, and from
# the second pull on each frame of that disk is looked at, so that no more is read twice.
head -c 12000000 /dev/urandom >"$TMP/more"
cp --sparse=always "$TMP/v2.raw" "$TMP/v3.raw"
echo "write $TMP/more more" | debugfs -w "$TMP/v3.raw" >/dev/null 2>&1
cp --sparse=always "$TMP/v3.raw" "$TMP/v4.raw"
head -c 3000000 /dev/urandom >"$TMP/last"
echo "write $TMP/last last" | debugfs -w "$TMP/v4.raw" >/dev/null 2>&1
for n in 3 4; do
    ingot pack -q "$TMP/v$n.raw" lies:$n.0.0 >/dev/null
    ingot push -q lies:$n.0.0 "$REGISTRY/lies" >/dev/null
done
python3 - "$INGOT_STORE" "$(ingot -q show lies:3.0.0)" "$TMP" <<'PY'
import hashlib, json, struct, subprocess, sys
store, digest, out = sys.argv[1:]
blob = lambda d: open(f"{store}/blobs/sha256/{d[7:]}", "rb").read()
manifest = json.loads(blob(digest))
text = bytearray(subprocess.run(["zstd", "-dc"], input=blob(manifest["layers"][0]["digest"]), stdout=subprocess.PIPE, check=True).stdout)
named, count = struct.unpack_from("<I8xQ", text, 20)
at = 40 + named
rows = [struct.unpack_from("<II", text, at + 8 * i) for i in range(count)]
kept = [row for row in rows if not row[1] >> 31]
place = lambda i: slice(at + 8 * count + 32 * i, at + 8 * count + 32 * i + 32)
i, j = next((i, j) for i in range(len(kept)) for j in range(i) if kept[i] == kept[j] and text[place(i)] != text[place(j)])
text[place(i)], text[place(j)] = text[place(j)], text[place(i)]
index = subprocess.run(["zstd", "-c", f"--stream-size={len(text)}"], input=bytes(text), stdout=subprocess.PIPE, check=True).stdout
manifest["layers"][0] |= {"digest": "sha256:" + hashlib.sha256(index).hexdigest(), "size": len(index)}
open(f"{out}/index", "wb").write(index)
json.dump(manifest, open(f"{out}/manifest", "w"))
PY
curl -sf -X POST --data-binary "@$TMP/index" "http://$REGISTRY/v2/lies/blobs/uploads/?digest=sha256:$(sha256sum <"$TMP/index" | cut -d' ' -f1)" || fail "POST of an index"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/manifest" "http://$REGISTRY/v2/lies/manifests/lie" || fail "PUT of a manifest"
lies=$TMP/lies
# With the right image's disk there, the wrong one's index is taken.
for tag in 3.0.0 lie; do ingot pull -q --store "$lies" "$REGISTRY/lies:$tag" >/dev/null; done
ingot rm --store "$lies" "$REGISTRY/lies:3.0.0" >/dev/null 2>&1
for time in first second; do
    : >"$TMP/ingotd.log"
    [ "$(ingot pull -q --store "$lies" "$REGISTRY/lies:4.0.0" -o "$TMP/back.raw")" = "$(ingot -q show lies:4.0.0)" ] || fail "the $time pull with an index that is wrong"
    cmp "$TMP/back.raw" "$TMP/v4.raw" || fail "an index that is wrong got into the disk at the $time pull"
    bytes=$(grep -oE ' (GET|POST) .*bytes=[0-9]*' "$TMP/ingotd.log" | sed 's/.*bytes=//' | awk '{ s += $1 } END { print s }')
    [ "$bytes" -lt 5500000 ] || fail "the $time pull fetched $bytes bytes"
    [ "$(find "$lies/doubts" -type f | wc -l)" = 1 ] || fail "what is doubted after the $time pull"
    ingot rm --store "$lies" "$REGISTRY/lies:4.0.0" >/dev/null 2>&1
done
ingot rm --store "$lies" "$REGISTRY/lies:lie" >/dev/null 2>&1
[ "$(find "$lies/doubts" -type f | wc -l)" = 0 ] || fail "what is doubted stays when it has gone"
ok "an index that is wrong about its disk does no harm, and is known from then on"
