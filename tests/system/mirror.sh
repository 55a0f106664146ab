#!/bin/bash
# One registry copies from another: mirrored by a verb, or pulled through when it is asked for.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

small_disk "$TMP/v1.raw"
cp --sparse=always "$TMP/v1.raw" "$TMP/v2.raw"
head -c 2000000 /dev/urandom >"$TMP/new"
echo "write $TMP/new new" | debugfs -w "$TMP/v2.raw" >/dev/null 2>&1
ingot pack -q "$TMP/v1.raw" web:1.0.0 >/dev/null
digest=$(ingot pack -q "$TMP/v2.raw" web:2.0.0)
start_ingotd "$TMP/first"
first=$REGISTRY
ingot push -q web:1.0.0 "$first/team/web" >/dev/null
ingot push -q web:1.0.0 "$first/other/thing" >/dev/null
ingot promote -q "$first/team/web" 1.0.0 prod >/dev/null
# What is attached: a manifest whose subject the image is.
printf 'report' >"$TMP/report"
report=sha256:$(sha256sum <"$TMP/report" | cut -d' ' -f1)
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X POST --data-binary "@$TMP/report" "http://$first/v2/team/web/blobs/uploads/?digest=$report")" = 201 ] || fail "$(cat "$TMP/answer")"
subject=$(curl -sfI "http://$first/v2/team/web/manifests/1.0.0" | sed -n 's/^Docker-Content-Digest: *\([^\r]*\).*/\1/ip')
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"text/report","config":{"mediaType":"a/b","digest":"%s","size":6},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":1}}' "$report" "$subject" >"$TMP/about"
about=sha256:$(sha256sum <"$TMP/about" | cut -d' ' -f1)
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TMP/about" "http://$first/v2/team/web/manifests/$about")" = 201 ] || fail "$(cat "$TMP/answer")"

start_ingotd "$TMP/second"
second=$REGISTRY
ingotd mirror --data "$TMP/second" "http://$first" 'team/*' >"$TMP/out" || fail "mirror: $(cat "$TMP/out")"
grep -q '^team/web:prod$' "$TMP/out" && grep -q '^1 repositories: 2 tags' "$TMP/out" || fail "mirror says: $(cat "$TMP/out")"
[ "$(ingot ls "$second")" = team/web ] || fail "copied: $(ingot ls "$second")"
[ "$(ingot ls "$second/team/web" | tr '\n' ' ')" = "1.0.0 prod " ] || fail "tags: $(ingot ls "$second/team/web")"
ingot pull -q --store "$TMP/check" "$second/team/web:prod" -o "$TMP/check.raw" >/dev/null
cmp "$TMP/check.raw" "$TMP/v1.raw" || fail "the copy differs"
curl -sf "http://$second/v2/team/web/referrers/$subject" | grep -q "$about" || fail "what is attached did not come along"
curl -sf "http://$second/v2/team/web/blobs/$report" | cmp - "$TMP/report" || fail "the report"
ok "a mirror has the repositories that match, with tags and what is attached"

ingot push -q web:2.0.0 "$first/team/web" >/dev/null
ingot promote -q "$first/team/web" 2.0.0 prod >/dev/null
ingotd mirror --data "$TMP/second" --json "http://$first" 'team/*' >"$TMP/out" 2>"$TMP/err" || fail "mirror: $(cat "$TMP/err")"
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["tags"] == 2 and 2000000 < o["received"] < 4000000, o' "$TMP/out" || fail "$(cat "$TMP/out")"
curl -sfI "http://$second/v2/team/web/manifests/prod" | grep -q "$digest" || fail "prod did not move"
ingotd mirror --data "$TMP/second" --json "http://$first" 'team/*' >"$TMP/out" 2>"$TMP/err"
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["tags"] == 0 and o["received"] == 0, o' "$TMP/out" || fail "$(cat "$TMP/out")"
ok "the next time only what is new crosses the network"

# names HOST TAG: the digest, or nothing.
names() { curl -sI "http://$1/v2/team/web/manifests/$2" | sed -n 's/^Docker-Content-Digest: *\([^\r]*\).*/\1/ip'; }
printf 'pipelines:\n  team/*:\n    channels: [{name: prod}]\n' >"$TMP/pipeline.yaml"
ingot pipeline apply "$second" "$TMP/pipeline.yaml" >/dev/null
ingot promote -q "$first/team/web" 1.0.0 prod >/dev/null
expect 0 ingotd mirror --data "$TMP/second" "http://$first" 'team/*'
grep -q "^kept: team/web:prod stays (there it is $subject): a pipeline guards it" "$TMP/out" || fail "mirror says: $(cat "$TMP/out")"
grep -q '^1 channels name something else' "$TMP/out" && grep -q ': 0 tags' "$TMP/out" || fail "mirror says: $(cat "$TMP/out")"
expect 0 ingotd mirror --data "$TMP/second" --json "http://$first" 'team/*'
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["kept"] == 1 and o["tags"] == 0 and o["manifests"] == 0, o' "$TMP/out" || fail "$(cat "$TMP/out")"
grep -q kept: "$TMP/err" && fail "it is said again: $(cat "$TMP/err")"
[ "$(names "$second" prod)" = "$digest" ] || fail "a mirror moves a channel past its gates"
ingot log "$second/team/web" prod --json | python3 -c 'import json,sys; log = json.load(sys.stdin); assert len(log) == 2, log' || fail "ingot log"
ingot promote -q "$second/team/web" 1.0.0 prod >/dev/null
expect 0 ingotd mirror --data "$TMP/second" --json "http://$first" 'team/*'
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["kept"] == 0, o' "$TMP/out" || fail "$(cat "$TMP/out")"
ok "a mirror moves no channel that a pipeline guards, and says so once"

# An image that only the other registry's channel names comes once: each run counts as a use of it.
${CC:-gcc} -O2 -D_GNU_SOURCE -shared -fPIC -o "$TMP/libclock.so" tests/faults/clock.c -ldl
ingot push -q web:1.0.0 "$first/solo/web:prod" >/dev/null
start_ingotd "$TMP/kept"
printf 'pipelines:\n  solo/*:\n    channels: [{name: prod}]\n' >"$TMP/solo.yaml"
ingot pipeline apply "$REGISTRY" "$TMP/solo.yaml" >/dev/null
kill "$SERVER"
wait "$SERVER" || true
# days AFTER COMMAND...: as if so many days had passed.
days() {
    echo $(($1 * 86400)) >"$TMP/clock"
    CLOCK=$TMP/clock LD_PRELOAD=$TMP/libclock.so expect 0 "${@:2}"
}
mirror_again() { days "$1" ingotd mirror --data "$TMP/kept" --json "http://$first" 'solo/*'; }
mirror_again 0
grep -q "^kept: solo/web:prod stays" "$TMP/err" || fail "mirror says: $(cat "$TMP/out" "$TMP/err")"
mirror_again 6
days 8 ingotd gc --data "$TMP/kept"
mirror_again 8
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["kept"] == 1 and o["manifests"] == 0 and o["received"] == 0, o' "$TMP/out" || fail "it comes again: $(cat "$TMP/out")"
grep -q kept: "$TMP/err" && fail "it is said again: $(cat "$TMP/err")"
days 16 ingotd gc --data "$TMP/kept"
mirror_again 16
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["manifests"] == 1, o' "$TMP/out" || fail "it stays for ever: $(cat "$TMP/out")"
REGISTRY=$second
ok "what a channel is kept from comes once, as long as the other registry's names it"

curl -sf -o "$TMP/answer" -X PUT --data '{"pipelines":{}}' "http://$second/api/v1/pipelines?prune=1" || fail "$(cat "$TMP/answer")"
ingot promote -q "$first/team/web" 2.0.0 prod >/dev/null
ingot revoke "$second/team/web:2.0.0" --reason 'not here' >/dev/null
expect 0 ingotd mirror --data "$TMP/second" "http://$first" 'team/*'
grep -q '^kept: team/web:prod stays .* is revoked' "$TMP/out" && [ "$(names "$second" prod)" = "$subject" ] || fail "a mirror has a channel name what is revoked: $(cat "$TMP/out")"
ingot restore "$second/team/web:2.0.0" --reason 'here too' >/dev/null
expect 0 ingotd mirror --data "$TMP/second" "http://$first" 'team/*'
[ "$(names "$second" prod)" = "$digest" ] || fail "prod does not follow: $(cat "$TMP/out")"
ok "by a mirror no channel comes to name what is revoked here"

ingotd mirror --data "$TMP/second" --every 1s "http://$first" 'other/*' >"$TMP/out" 2>&1 &
mirror=$!
ENDING+=("$mirror")
until ingot ls "$second" | grep -q other/thing; do kill -0 $mirror || fail "$(cat "$TMP/out")"; sleep 0.1; done
ingot promote -q "$first/other/thing" 1.0.0 dev >/dev/null
until ingot ls "$second/other/thing" | grep -q dev; do kill -0 $mirror || fail "$(cat "$TMP/out")"; sleep 0.1; done
kill "$mirror"
wait "$mirror" || fail "the mirror ends with $?"
ok "a mirror follows until it is ended"

expect 1 ingotd mirror --data "$TMP/second" http://127.0.0.1:1 '*'
grep -q '127.0.0.1:1' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingotd mirror --data "$TMP/second" "http://$first"
expect 2 ingotd mirror --data "$TMP/second" "http://$first/v2/" '*'
ok "a registry that can't be reached, and wrong usage, are named"

# A registry that is not ours.
start_docker_registry "$TMP/data"
ingot push -q web:2.0.0 "$docker/foreign/web" >/dev/null
ingotd mirror --data "$TMP/third" "http://$docker" '*' >/dev/null # nobody serves the folder
start_ingotd "$TMP/third"
ingot pull -q --store "$TMP/foreign" "$REGISTRY/foreign/web:2.0.0" -o "$TMP/foreign.raw" >/dev/null
cmp "$TMP/foreign.raw" "$TMP/v2.raw" || fail "the copy from docker-registry differs"
ok "docker-registry is mirrored too"

# Pulled through.
: >"$TMP/ingotd.address"
ingotd --data "$TMP/cache-data" --listen 127.0.0.1:0 --upstream "http://$first" >"$TMP/ingotd.address" 2>>"$TMP/ingotd.log" &
cache_pid=$!
ENDING+=("$cache_pid")
until grep -q http "$TMP/ingotd.address"; do kill -0 $cache_pid; sleep 0.05; done
cp "$TMP/ingotd.address" "$TMP/through.address"
cache=$(sed 's,.*http://,,' "$TMP/through.address")
for n in 1 2; do ingot pull -q --store "$TMP/through$n" "$cache/team/web:prod" >/dev/null & pids[n]=$!; done
wait "${pids[1]}" && wait "${pids[2]}" || fail "pulling through"
[ "$(ingot pull -q --store "$TMP/through1" "$cache/team/web:prod" -o "$TMP/through.raw")" = "$digest" ] && cmp "$TMP/through.raw" "$TMP/v2.raw" || fail "what came through differs"
ingot pull -q --store "$TMP/through3" "$cache/team/web:1.0.0" >/dev/null
ingot show --pull=always --store "$TMP/through3" "$cache/team/web:1.0.0" | grep -q text/report || fail "what is attached did not come through"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$cache/v2/team/web/manifests/9.9.9")" = 404 ] || fail "a tag that is nowhere"
ingot promote -q "$first/team/web" 1.0.0 prod >/dev/null
for _ in $(seq 100); do # a look-up that takes long goes on without the client
    curl -sfI "http://$cache/v2/team/web/manifests/prod" | grep -q "$subject" && break
    sleep 0.1
done
curl -sfI "http://$cache/v2/team/web/manifests/prod" | grep -q "$subject" || fail "the cache is behind"
# A mirror into a cache's folder: what the cache has of an image may be its manifest alone.
start_cache partial "http://$first"
[ "$(code /v2/team/web/manifests/1.0.0)" = 200 ] || fail "a manifest by a cache"
ingot pull -q --store "$TMP/partial-store" "$cache/team/web:2.0.0" >/dev/null
end_cache
expect 0 ingotd mirror --data "$TMP/partial" --json "http://$first" 'team/*'
start_ingotd "$TMP/partial"
for version in 1 2; do
    ingot pull -q --store "$TMP/partial-store$version" "$REGISTRY/team/web:$version.0.0" -o "$TMP/partial$version.raw" >/dev/null || fail "$version.0.0 was not copied: $(cat "$TMP/out")"
    cmp "$TMP/partial$version.raw" "$TMP/v$version.raw" || fail "another $version.0.0"
done
expect 0 ingotd mirror --data "$TMP/partial" --json "http://$first" 'team/*'
python3 -c 'import json,sys; o = json.load(open(sys.argv[1])); assert o["tags"] == 0 and o["received"] == 0, o' "$TMP/out" || fail "it is copied again: $(cat "$TMP/out")"
grep -c '"origin":"upstream"' "$TMP/partial/names.log" >/dev/null || fail "nothing came by the cache: the test is of no use"
cache=$(sed 's,.*http://,,' "$TMP/through.address")
ok "a mirror completes what a cache has begun"
# The upstream goes away: what is here stays.
for pid in "${ENDING[@]:0:1}"; do
    kill "$pid"
    wait "$pid" || true
done
ingot pull -q --store "$TMP/through4" "$cache/team/web:prod" >/dev/null || fail "without its upstream"
ingotd scrub --data "$TMP/cache-data" >"$TMP/out" || fail "the cache scrubs: $(cat "$TMP/out")"
ok "a cache gets from its upstream what it is asked for, once, and serves it without"
