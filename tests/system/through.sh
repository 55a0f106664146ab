#!/bin/bash
# A pull-through cache: what it gets from its upstreams, and what it answers when they are slow, gone or lying.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

start_ingotd "$TMP/first"
first=$REGISTRY
start_upstream "$first"
head -c 600000 /dev/urandom >"$TMP/v1.raw"
truncate -s 1M "$TMP/v1.raw"
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
ingot push -q web:1.0.0 "$first/team/web" >/dev/null
ingot push -q web:1.0.0 "$first/team/other" >/dev/null
manifest=$(curl -s "http://$first/v2/team/web/manifests/1.0.0")
disk=$(python3 -c 'import json, sys; print(next(layer["digest"] for layer in json.loads(sys.argv[1])["layers"] if "disk" in layer["mediaType"]))' "$manifest")

start_cache cold "http://$upstream" --upstream-absent 1h
[ "$(code /v2/team/web/tags/list)" = 200 ] && grep -q '"1.0.0"' "$TMP/answer" || fail "tags: $(cat "$TMP/answer")"
[ "$(code /v2/_catalog)" = 200 ] && grep -q '"team/other","team/web"' "$TMP/answer" || fail "names: $(cat "$TMP/answer")"
[ "$(code "/v2/team/web/blobs/$disk" -I)" = 200 ] || fail "HEAD of a blob"
grep -q '^GET /v2/team/web/blobs' "$TMP/asked" && fail "a HEAD copies the blob"
[ "$(code /formats/team/web/1.0.0/raw/disk.raw)" = 200 ] && cmp "$TMP/answer" "$TMP/v1.raw" || fail "a format of what is not here"
[ "$(code /v2/team/web/manifests/1.0.0)" = 200 ] && [ "$(cat "$TMP/answer")" = "$manifest" ] || fail "a manifest"
ok "lists, formats, sizes and manifests come through a cache that is empty"

before=$(wc -l <"$TMP/asked")
for _ in 1 2 3; do
    [ "$(code /v2/team/web/manifests/9.9.9)" = 404 ] || fail "a tag that is nowhere"
    [ "$(code "/v2/team/web/blobs/sha256:$(printf '0%.0s' {1..64})")" = 404 ] || fail "a blob that is nowhere"
done
[ $(($(wc -l <"$TMP/asked") - before)) = 2 ] || fail "asked again: $(tail -n +$((before + 1)) "$TMP/asked")"
ok "what is not there is not asked for again and again"

before=$(wc -l <"$TMP/asked")
for path in /formats/team/web/..%252f..%252fother%252fmanifests%252f1.0.0/raw/disk.raw '/formats/team/web/..%2f..%2fother/raw/disk.raw' \
    '/v2/team/web/manifests/..%2f..%2fother%2fmanifests%2f1.0.0' '/v2/team/web/manifests/.1' '/v2/team/web/manifests/a%20b' \
    '/v2/team/web/manifests/1.0.0%0d%0aX:y' '/v2/team/web/manifests/sha256:abc' '/v2/team/web/manifests/sha512:abc' '/v2/Team/web/manifests/1' \
    '/v2/team/../web/manifests/1' '/v2/team/web/blobs/..%2f1' '/v2/team/web/referrers/..%2f1' '/v2/team/web%3f/tags/list' "/v2/team/web/manifests/$(printf 'a%.0s' {1..129})" \
    '/formats/team/web/1.0.0%3fx/raw/disk.raw' '/formats/TEAM/web/1/raw/disk.raw' '/v2/team/web/manifests/%ff'; do
    status=$(code "$path" --path-as-is)
    case $status in 400 | 404) ;; *) fail "$path: $status" ;; esac
done
[ "$(wc -l <"$TMP/asked")" = "$before" ] || fail "an unchecked reference went upstream: $(tail -n +$((before + 1)) "$TMP/asked")"
[ "$(curl -s "http://$cache/v2/team/web/tags/list")" = '{"name":"team/web","tags":["1.0.0"]}' ] || fail "$(curl -s "http://$cache/v2/team/web/tags/list")"
ok "what is no name, tag or digest goes nowhere"
end_cache

# What is pushed to a cache is its own, whatever the upstream calls by the same name.
start_cache own "http://$upstream" --upstream-absent 1s
index() { printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"of":"%s"}}' "$1"; }
put() { # HOST TAG TEXT
    curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' -d "$(index "$3")" "http://$1/v2/team/both/manifests/$2" || fail "PUT $2 to $1"
}
for tag in 1.0.0 prod latest; do
    put "$cache" $tag ours
    put "$first" $tag theirs
done
put "$first" theirs theirs
for tag in 1.0.0 prod latest; do
    [ "$(curl -s "http://$cache/v2/team/both/manifests/$tag")" = "$(index ours)" ] || fail "a pull moved $tag, which was pushed here"
done
[ "$(curl -s "http://$cache/v2/team/both/manifests/theirs")" = "$(index theirs)" ] || fail "a tag of the upstream's"
grep '"tag":"\(1.0.0\|prod\|latest\)"' "$TMP/own/names.log" | grep -q '"by":"mirror"' && fail "a mirror moved a tag: $(cat "$TMP/own/names.log")"
ok "what was pushed to a cache stays, whatever its upstream has under the same name"

# What is withdrawn there is not served for ever. An upstream that knows nothing at all for a while withdraws nothing.
theirs=sha256:$(index theirs | sha256sum | cut -d' ' -f1)
put "$first" other other
[ "$(code /v2/team/both/manifests/other)" = 200 ] && [ "$(code /v2/team/both/manifests/theirs)" = 200 ] || fail "two tags of the upstream's"
echo '. status 404' >"$TMP/rules"
sleep 1.1 # --upstream-absent
for tag in other theirs 1.0.0 prod; do [ "$(code "/v2/team/both/manifests/$tag")" = 200 ] || fail "$tag goes when all of the upstream is away"; done
: >"$TMP/rules"
for tag in theirs 1.0.0 prod; do curl -sf -X DELETE "http://$first/v2/team/both/manifests/$tag" || fail "DELETE $tag"; done
sleep 1.1
[ "$(code /v2/team/both/manifests/theirs)" = 404 ] || fail "a tag that was withdrawn is served: $(cat "$TMP/head")"
[ "$(code "/v2/team/both/manifests/$theirs")" = 200 ] || fail "what a withdrawn tag named has gone at once"
[ "$(code /v2/team/both/manifests/other)" = 200 ] || fail "a tag that was not withdrawn"
for tag in 1.0.0 prod latest; do
    [ "$(curl -s "http://$cache/v2/team/both/manifests/$tag")" = "$(index ours)" ] || fail "$tag, which was pushed here, was withdrawn"
done
grep '"tag":"theirs"' "$TMP/own/names.log" | grep '"op":"untag"' | grep '"by":"mirror"' | grep -q 'has it no more' || fail "the event: $(grep theirs "$TMP/own/names.log")"
ok "a tag that its upstream has withdrawn is served no more, one that was pushed is"
end_cache

# Of an index, the amd64 image is meant: while what describes it does not come, the other one is not given in its place.
for word in amd64 arm64; do
    head -c 200000 /dev/urandom >"$TMP/$word.raw"
    truncate -s 1M "$TMP/$word.raw"
    ingot pack -q --arch $word "$TMP/$word.raw" "of-$word:1.0.0" >"$TMP/$word.digest"
done
ingot push -q of-arm64:1.0.0 of-amd64:1.0.0 "$first/team/several:1.0.0" >/dev/null
config=$(curl -s "http://$first/v2/team/several/manifests/$(cat "$TMP/amd64.digest")" | python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"])')
start_cache several "http://$upstream" --upstream-absent 1s
echo "^GET.*/team/several/manifests/$(cat "$TMP/amd64.digest") status 500" >"$TMP/rules"
[ "$(code /formats/team/several/1.0.0/raw/disk.raw)" = 503 ] && grep -qi '^retry-after:' "$TMP/head" || fail "an image that failed to come: $(cat "$TMP/head")"
[ "$(code '/formats/team/several/1.0.0/raw/disk.raw?arch=arm64')" = 200 ] && cmp "$TMP/answer" "$TMP/arm64.raw" || fail "the other one"
: >"$TMP/asked"
echo "^GET.*/team/several/blobs/$config hold $TMP/let" >"$TMP/rules"
curl -s -m 60 --retry 30 -o "$TMP/waited" "http://$cache/formats/team/several/1.0.0/raw/disk.raw" &
waiting=$!
until grep -q "^GET.*/team/several/blobs/$config" "$TMP/asked"; do
    kill -0 "$waiting" || fail "it did not wait for what describes the image"
    sleep 0.05
done
: >"$TMP/let"
wait "$waiting" || fail "an image whose description comes late: $?"
cmp "$TMP/waited" "$TMP/amd64.raw" || fail "an image whose description came late is not what is given"
: >"$TMP/rules"
end_cache
ok "of an index, what can't be had yet is waited for, and is not another architecture's instead"

# With the image cached, whatever the upstream does. "once" is what a client sees of it.
start_cache warm "http://$upstream" --upstream-absent 1s
ingot pull -q --store "$TMP/warm-store" "$cache/team/web:1.0.0" >/dev/null
round=0
for rule in '. hang' '. html' '. status 500' '. status 429 1000' '. status 401' '. body {"schemaVersion":1}' '. body []' '. cut 0' '. flip' gone; do
    round=$((round + 1))
    echo "$rule" >"$TMP/rules"
    if [ "$rule" = gone ]; then
        kill "$upstream_pid"
        wait "$upstream_pid" || true
    fi
    if [ "$rule" = '. hang' ]; then
        # More that hang than there are workers of the old kind: nothing else may wait for them.
        for n in $(seq 40); do
            curl -s -m 60 -o /dev/null "http://$cache/v2/team/cold$n/manifests/1" &
            pids[n]=$!
        done
        [ "$(code /healthz -m 10)" = 200 ] || fail "healthz while the upstream hangs"
        [ "$(code "/v2/team/web/blobs/$disk" -m 10 -r 0-99)" = 206 ] || fail "a cached blob while the upstream hangs"
        [ "$(curl -s -m 10 -o "$TMP/answer" -w '%{http_code}' -X POST --data-binary x "http://$cache/v2/own/thing/blobs/uploads/?digest=sha256:$(printf x | sha256sum | cut -d' ' -f1)")" = 201 ] || fail "a push while the upstream hangs"
    fi
    ingot pull -q --store "$TMP/store$round" "$cache/team/web:1.0.0" -o "$TMP/back$round.raw" >/dev/null || fail "$rule: the cached image can't be pulled"
    cmp "$TMP/back$round.raw" "$TMP/v1.raw" || fail "$rule: another image"
    rm -rf "$TMP/store$round" "$TMP/back$round.raw"
    if [ "$rule" = '. hang' ]; then
        for n in $(seq 40); do kill "${pids[n]}" 2>/dev/null || true; done
        wait "${pids[@]}" 2>/dev/null || true
    fi
done
[ "$(code /v2/team/never/manifests/1)" = 503 ] && grep -qi '^retry-after:' "$TMP/head" || fail "what an upstream that is gone may have: $(cat "$TMP/head")"
end_cache
ok "what is cached is served while the upstream hangs, lies or is gone, and nothing else waits for it"

# Two upstreams: the names of one have a prefix. What is private here stays so, whatever they name.
printf 'a secret' >"$TMP/secret"
secret=sha256:$(sha256sum <"$TMP/secret" | cut -d' ' -f1)
start_ingotd "$TMP/second"
second=$REGISTRY
head -c 102400 /dev/urandom >"$TMP/other.raw"
ingot pack -q "$TMP/other.raw" other:1.0.0 >/dev/null
ingot push -q other:1.0.0 "$second/team/web" >/dev/null
start_cache pair "http://$first; second/=http://$second" --upstream-absent 1h
ingot pull -q --store "$TMP/two" "$cache/team/web:1.0.0" -o "$TMP/one.raw" >/dev/null && cmp "$TMP/one.raw" "$TMP/v1.raw" || fail "the first upstream"
ingot pull -q --store "$TMP/two" "$cache/second/team/web:1.0.0" -o "$TMP/two.raw" >/dev/null && cmp "$TMP/two.raw" "$TMP/other.raw" || fail "the second upstream"
[ "$(code /v2/_catalog)" = 200 ] && grep -q 'second/team/web' "$TMP/answer" && grep -q '"team/other"' "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X POST --data-binary "@$TMP/secret" "http://$cache/v2/private/thing/blobs/uploads/?digest=$secret")" = 201 ] || fail "$(cat "$TMP/answer")"
[ "$(code "/v2/team/web/blobs/$secret")" = 404 ] || fail "a blob of a private repository is readable in a cached one"
end_cache
for wrong in 'http://a;http://b' 'x=' 'UP=http://a' 'a b=http://c' ''; do
    status=0
    timeout 20 ingotd --data "$TMP/wrong" --listen 127.0.0.1:0 --upstream "$wrong" >"$TMP/out" 2>&1 || status=$?
    [ $status = 2 ] || fail "--upstream '$wrong' ends with $status: $(cat "$TMP/out")"
done
ok "several upstreams have names of their own, and none learns what is private here"

# Docker's types come byte for byte.
start_docker_registry "$TMP/data"
python3 - "$docker" "$TMP/want" <<'PY'
import hashlib, json, sys, urllib.request
host, want = sys.argv[1:]
V2, LIST = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"
def call(method, url, data, kind):
    return urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind}, method=method))
def blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    where = call("POST", f"http://{host}/v2/team/app/blobs/uploads/", b"", "text/plain").headers["Location"]
    call("PUT", f"{where}&digest={digest}", data, "application/octet-stream")
    return {"digest": digest, "size": len(data)}
config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}, "history": [{"created_by": "x"}]}).encode())
layer = blob(b"layer")
one = json.dumps({"schemaVersion": 2, "mediaType": V2, "config": dict(config, mediaType="application/vnd.docker.container.image.v1+json"),
                  "layers": [dict(layer, mediaType="application/vnd.docker.image.rootfs.diff.tar.gzip")]}, indent=5).encode()
call("PUT", f"http://{host}/v2/team/app/manifests/one", one, V2)
many = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": [
    {"mediaType": V2, "digest": "sha256:" + hashlib.sha256(one).hexdigest(), "size": len(one), "platform": {"architecture": "amd64", "os": "linux"}}]}, indent=4).encode()
call("PUT", f"http://{host}/v2/team/app/manifests/many", many, LIST)
for tag, data in ("one", one), ("many", many):
    open(f"{want}.{tag}", "wb").write(data)
PY
start_cache docker "http://$docker" --upstream-absent 1h
ingotd mirror --data "$TMP/docker-copy" "http://$docker" '*' >"$TMP/out" || fail "$(cat "$TMP/out")"
start_ingotd "$TMP/docker-copy"
for tag in one many; do
    [ "$(code /v2/team/app/manifests/$tag)" = 200 ] && cmp "$TMP/answer" "$TMP/want.$tag" || fail "$tag through the cache"
    grep -qi "^content-type: application/vnd.docker.distribution.manifest" "$TMP/head" || fail "$(cat "$TMP/head")"
    curl -sf "http://$REGISTRY/v2/team/app/manifests/$tag" | cmp - "$TMP/want.$tag" || fail "$tag in the mirror"
done
ok "Docker's manifests and lists come byte for byte"
