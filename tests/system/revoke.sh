#!/bin/bash
# An image is deprecated, disabled, revoked and restored: who may, who is told, and what stands on it.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
type=application/vnd.oci.image.manifest.v1+json

small_disk "$TMP/disk.raw"
ingot pack -q "$TMP/disk.raw" web:1.0.0 >/dev/null
head -c 100000 /dev/urandom | dd of="$TMP/disk.raw" bs=1 seek=3000000 conv=notrunc status=none
ingot pack -q "$TMP/disk.raw" web:2.0.0 >/dev/null
for name in root reader writer owner mallory; do
    scope=(--scope 'admin:*')
    [ $name != owner ] || scope=(--scope 'delete:team/*' --scope 'delete:other/*' --scope 'pull:*')
    [ $name != mallory ] || scope=(--scope 'delete:mallory/*' --scope 'pull:other/*')
    [ $name != reader ] || scope=(--scope 'pull:*')
    [ $name != writer ] || scope=(--scope 'push:team/*')
    printf '%s\n%s\n' "the word of $name" "the word of $name" | ingotd user add --data "$TMP/registry" "${scope[@]}" $name 2>/dev/null
done
token() { ingotd token create --data "$TMP/registry" --user "$1" --scope "$2" 2>/dev/null; }
root=$(token root 'admin:*') reader=$(token reader 'pull:*') writer=$(token writer 'push:team/*')
owner=$(ingotd token create --data "$TMP/registry" --user owner --scope 'delete:team/*' --scope 'delete:other/*' --scope 'pull:*' 2>/dev/null)
start_ingotd
first=$REGISTRY
export INGOT_TOKEN=$root
web=$first/team/web
ingot push -q web:1.0.0 "$web" >/dev/null
ingot push -q web:2.0.0 "$web" >/dev/null
as() { INGOT_TOKEN=$1 "${@:2}"; }
plain() { curl -s -m 60 -o "$TMP/answer" -D "$TMP/head" -w '%{http_code}' -u 'root:the word of root' "$@"; }
header() { sed -n "s/^$1: *\([^\r]*\).*/\1/ip" "$TMP/head"; }
digest=$(plain "http://$first/v2/team/web/manifests/1.0.0" >/dev/null; header Docker-Content-Digest)
cp "$TMP/answer" "$TMP/base.json"

# on NAME DIGEST: an image whose manifest says that it stands on that one; prints its digest.
on() {
    python3 - "$TMP/base.json" "$2" >"$TMP/on.json" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))
m.setdefault("annotations", {})["org.opencontainers.image.base.digest"] = sys.argv[2]
print(json.dumps(m), end="")
PY
    ingot push -q web:1.0.0 "$first/$1" >/dev/null
    [ "$(plain -X PUT -H "Content-Type: $type" --data-binary "@$TMP/on.json" "http://$first/v2/$1/manifests/2.0.0")" = 201 ] || fail "$(cat "$TMP/answer")"
    header Docker-Content-Digest
}
middle=$(on team/middle "$digest")
top=$(on other/top "$middle")
ingot descendants "$web:1.0.0" >"$TMP/out"
printf '%s\n' "$first/team/middle@$middle 2.0.0" "  $first/other/top@$top 2.0.0" | cmp - "$TMP/out" || fail "descendants: $(cat "$TMP/out")"
ok "all that stands on an image is listed, two levels deep and across repositories"

# --- somebody else's copy ---
# as_mallory CURL…: what somebody is answered who may pull from other/ alone.
as_mallory() { curl -s -m 60 -o "$TMP/answer" -D "$TMP/head" -w '%{http_code}' -u 'mallory:the word of mallory' "$@"; }
ingot push -q web:1.0.0 "$first/mallory/x" >/dev/null
[ "$(as_mallory -X PUT -d '{"state":"revoked","reason":"spite"}' "http://$first/api/v1/mallory/x/lifecycle/$digest")" = 200 ] || fail "$(cat "$TMP/answer")"
for one in team/middle other/top; do
    [ "$(plain "http://$first/v2/$one/manifests/2.0.0")" = 200 ] && [ -z "$(header Warning)$(header Ingot-Lifecycle-Base)" ] || fail "$one: $(cat "$TMP/head")"
done
ok "a copy of a base in a repository of one's own holds up nobody else"

# --- who may ---
expect 2 ingot revoke "$web:1.0.0"
grep -q -- '--reason' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot revoke "$web:1.0.0" --reason x --at tomorrow
expect 2 ingot revoke web:1.0.0 --reason x
expect 1 ingot revoke "$web:3.0.0" --reason x
grep -q '2\.0\.0' "$TMP/err" || fail "the tags that there are: $(cat "$TMP/err")"
for who in "$reader" "$writer"; do
    expect 1 as "$who" ingot revoke "$web:1.0.0" --reason 'not mine'
    grep -qi 'denied' "$TMP/err" || fail "$(cat "$TMP/err")"
done
[ "$(plain -X PUT -d '{"state":"revokd","reason":"x"}' "http://$first/api/v1/team/web/lifecycle/$digest")" = 400 ] && grep -q "did you mean 'revoked'" "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(plain -X PUT -d '{"state":"revoked"}' "http://$first/api/v1/team/web/lifecycle/$digest")" = 400 ] || fail "a revocation without a reason"
[ "$(plain "http://$first/api/v1/team/web/lifecycle/$digest")" = 200 ] && grep -q '"state": "active"' "$TMP/answer" || fail "$(cat "$TMP/answer")"
ok "a reader and a writer revoke nothing, and nothing is said without a reason or for another word"

# --- deprecated: a warning ---
as "$reader" ingot pull -q --store "$TMP/store" "$web:1.0.0" >/dev/null 2>"$TMP/err"
[ ! -s "$TMP/err" ] || fail "a warning of an active image: $(cat "$TMP/err")"
ingot deprecate "$web:1.0.0" --reason 'use 2.0.0' >"$TMP/out"
grep -q "^$web@$digest deprecated by root, .*: use 2.0.0$" "$TMP/out" || fail "$(cat "$TMP/out")"
as "$reader" ingot pull --store "$TMP/store" "$web:1.0.0" >/dev/null 2>"$TMP/err"
grep -q 'deprecated by root.*use 2\.0\.0' "$TMP/err" || fail "no warning: $(cat "$TMP/err")"
[ "$(plain "http://$first/v2/team/web/manifests/1.0.0")" = 200 ] && header Warning | grep -q '^299 - ".*deprecated by root.*use 2\.0\.0"$' || fail "plain clients hear nothing: $(cat "$TMP/head")"
ingot images --store "$TMP/store" | grep -q ' deprecated$' || fail "$(ingot images --store "$TMP/store")"
ok "a deprecated image comes with a warning that says who and why, to plain clients too"

# --- in the future ---
ingot revoke "$web:1.0.0" --reason 'end of life' --at 2099-01-01 >"$TMP/out"
grep -q 'deprecated by root' "$TMP/out" && grep -q 'will be revoked by root, from 2099-01-01T00:00:00Z on: end of life' "$TMP/out" || fail "$(cat "$TMP/out")"
as "$reader" ingot pull -q --store "$TMP/store" "$web:1.0.0" >/dev/null 2>&1 || fail "revoked before its time"
ok "a revocation of the future counts from then on"

# --- revoked ---
box_catalogue "http://$first/vagrant/team/web" -u 'root:the word of root' >"$TMP/boxes"
grep -q '"1\.0\.0"' "$TMP/boxes" || fail "$(cat "$TMP/boxes")"
ingot promote -q "$web" 1.0.0 dev >/dev/null
ingot revoke "$web:1.0.0" --reason 'CVE-2026-1 "quoted" ü' >/dev/null
for reference in 1.0.0 dev; do
    expect 3 as "$reader" ingot pull --store "$TMP/store" "$web:$reference"
    grep -q 'revoked by root.*CVE-2026-1 "quoted" ü' "$TMP/err" || fail "$(cat "$TMP/err")"
done
expect 3 as "$reader" ingot pull --store "$TMP/other" "$web@$digest"
for method in GET HEAD; do
    options=()
    [ $method = GET ] || options=(-I)
    [ "$(plain "${options[@]}" "http://$first/v2/team/web/manifests/1.0.0")" = 403 ] || fail "$method gives it"
    header Ingot-Lifecycle | grep -q '"state":"revoked"' || fail "$(cat "$TMP/head")"
done
[ "$(plain -H "If-None-Match: \"$digest\"" "http://$first/v2/team/web/manifests/$digest")" = 403 ] && grep -q '"DENIED"' "$TMP/answer" && grep -q 'CVE-2026-1' "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(plain -H 'Ingot-Allow: revoked' "http://$first/v2/team/web/manifests/1.0.0")" = 200 ] || fail "$(cat "$TMP/answer")"
ok "a revoked image is given to nobody, with who revoked it and why"

box_catalogue "http://$first/vagrant/team/web" -u 'root:the word of root' >"$TMP/boxes"
! grep -q '"1\.0\.0"' "$TMP/boxes" && grep -q '"2\.0\.0"' "$TMP/boxes" || fail "Vagrant's catalogue: $(cat "$TMP/boxes")"
[ "$(plain "http://$first/formats/team/web/1.0.0/qcow2/")" = 403 ] && grep -q 'CVE-2026-1' "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(plain "http://$first/formats/team/web/2.0.0/qcow2/")" = 200 ] || fail "$(cat "$TMP/answer")"
expect 3 ingot promote "$web" 1.0.0 prod
[ "$(plain -X PUT -H "Content-Type: $type" --data-binary "@$TMP/base.json" "http://$first/v2/team/web/manifests/prod")" = 403 ] || fail "a channel names it: $(cat "$TMP/answer")"
[ "$(plain "http://$first/v2/team/web/manifests/prod")" = 404 ] || fail "prod is there"
ok "it leaves Vagrant's catalogue and formats, and no channel comes to name it"

# An index whose amd64 image is revoked is not the other architecture's instead.
for word in amd64 arm64; do
    head -c 200000 /dev/urandom >"$TMP/of.raw"
    truncate -s 1M "$TMP/of.raw"
    ingot pack -q --arch $word "$TMP/of.raw" "of-$word:1.0.0" >"$TMP/$word.digest"
done
both=$(ingot push -q of-amd64:1.0.0 of-arm64:1.0.0 "$first/team/both:1.0.0" | grep -o 'sha256:[0-9a-f]*')
[ "$(plain "http://$first/formats/team/both/1.0.0/raw/disk.raw")" = 200 ] || fail "$(cat "$TMP/answer")"
ingot revoke "$first/team/both@$(cat "$TMP/amd64.digest")" --reason 'only this one' >/dev/null
for reference in 1.0.0 "$both"; do
    for path in raw/disk.raw raw/disk.raw.sha256 raw/ '' 'raw/disk.raw?arch=x86_64'; do
        [ "$(plain "http://$first/formats/team/both/$reference/$path")" = 403 ] && grep -q 'only this one' "$TMP/answer" || fail "$reference/$path: $(head -c 1000 "$TMP/answer")"
    done
    [ "$(plain "http://$first/formats/team/both/$reference/raw/disk.raw?arch=arm64")" = 200 ] || fail "$(cat "$TMP/answer")"
    cmp "$TMP/answer" "$TMP/of.raw"
done
ok "of an index whose amd64 image is revoked, no format is another architecture's unless that is asked for"

expect 3 ingot promote "$first/team/both" 1.0.0 dev
grep -q 'only this one' "$TMP/err" || fail "$(cat "$TMP/err")"
of_index=application/vnd.oci.image.index.v1+json
[ "$(plain "http://$first/v2/team/both/manifests/1.0.0")" = 200 ] && cp "$TMP/answer" "$TMP/both.json"
[ "$(plain -X PUT -H "Content-Type: $of_index" --data-binary "@$TMP/both.json" "http://$first/v2/team/both/manifests/dev")" = 403 ] && grep -q 'only this one' "$TMP/answer" || fail "a channel names it: $(cat "$TMP/answer")"
ok "no channel comes to name an index that has a revoked image"

# A version that was revoked does not grow out of that.
ingot push -q of-arm64:1.0.0 "$first/team/grows:1.0.0" >/dev/null
ingot pack -q --arch riscv64 "$TMP/disk.raw" of-riscv64:1.0.0 >/dev/null
ingot push -q of-arm64:1.0.0 of-riscv64:1.0.0 "$first/team/grows:2.0.0" >/dev/null
[ "$(plain "http://$first/v2/team/grows/manifests/2.0.0")" = 200 ] && cp "$TMP/answer" "$TMP/grown.json"
grow() { plain -X PUT -H "Content-Type: $of_index" --data-binary "@$TMP/grown.json" "http://$first/v2/team/grows/manifests/1.0.0"; }
ingot disable "$first/team/grows:1.0.0" --reason 'too weak' >/dev/null
[ "$(grow)" = 403 ] && grep -q 'too weak' "$TMP/answer" || fail "$(cat "$TMP/answer")"
ingot restore "$first/team/grows:1.0.0" --reason 'well again' >/dev/null
[ "$(grow)" = 201 ] || fail "$(cat "$TMP/answer")"
ok "a version that is withheld does not grow"

# An index that is revoked is one with all that it has, wherever its version is named.
boxes_of() { box_catalogue "http://$first/vagrant/team/both" -u 'root:the word of root' >"$TMP/boxes"; grep -c '"3\.0\.0"' "$TMP/boxes" || true; }
for word in amd64 arm64; do
    ingot pack -q --arch $word "$TMP/disk.raw" "box-$word:1.0.0" >"$TMP/$word.box"
done
ingot push -q box-amd64:1.0.0 box-arm64:1.0.0 "$first/team/both:3.0.0" >/dev/null
[ "$(boxes_of)" != 0 ] || fail "what is not revoked is not listed: $(cat "$TMP/boxes")"
ingot disable "$first/team/both:3.0.0" --reason 'both of them' >/dev/null
for path in raw/disk.raw raw/disk.raw.sha256 raw/ '' 'raw/disk.raw?arch=arm64'; do
    [ "$(plain "http://$first/formats/team/both/3.0.0/$path")" = 403 ] && grep -q 'both of them' "$TMP/answer" || fail "3.0.0/$path: $(head -c 1000 "$TMP/answer")"
done
[ "$(boxes_of)" = 0 ] || fail "Vagrant's catalogue: $(cat "$TMP/boxes")"
ingot restore "$first/team/both:3.0.0" --reason 'well again' >/dev/null
[ "$(boxes_of)" != 0 ] && [ "$(plain "http://$first/formats/team/both/3.0.0/raw/")" = 200 ] || fail "restored: $(cat "$TMP/answer")"
ok "a version that names an index is withheld by formats and Vagrant when the index is"

# --- what stands on it ---
for one in team/middle other/top; do
    as "$reader" ingot pull --store "$TMP/store" "$first/$one:2.0.0" >/dev/null 2>"$TMP/err"
    grep -q "stands on team/web@$digest, which is revoked by root" "$TMP/err" || fail "$one: $(cat "$TMP/err")"
done
[ "$(plain "http://$first/v2/other/top/manifests/2.0.0")" = 200 ] && header Warning | grep -q 'stands on a base.*revoked' || fail "$(cat "$TMP/head")"
[ "$(as_mallory "http://$first/v2/other/top/manifests/2.0.0")" = 200 ] && header Ingot-Lifecycle-Base | grep -q '"state":"revoked"' || fail "$(cat "$TMP/head")"
! grep -qi 'team/web\|CVE-2026\|root' "$TMP/head" || fail "of a repository that he may not see: $(cat "$TMP/head")"
ok "whoever pulls what stands on it is warned, two levels above it, and hears of no repository that is not for him"

# --- the same image elsewhere ---
ingot push -q web:1.0.0 "$first/live/web" >/dev/null
ingot push -q web:1.0.0 "$first/other/web" >/dev/null
[ "$(plain "http://$first/v2/live/web/manifests/1.0.0")" = 403 ] && grep -q 'CVE-2026-1.*said of it in team/web' "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(as_mallory "http://$first/v2/other/web/manifests/1.0.0")" = 403 ] && grep -q revoked "$TMP/answer" || fail "$(cat "$TMP/answer")"
! grep -qi 'team/web\|CVE-2026\|root' "$TMP/head" "$TMP/answer" || fail "of a repository that he may not see: $(cat "$TMP/head" "$TMP/answer")"
expect 3 ingot promote "$first/live/web" 1.0.0 dev
ingot restore "$first/live/web:1.0.0" --reason 'but it runs well' >"$TMP/out"
grep -q "revoked by root.*as was said of it in team/web for all repositories" "$TMP/out" || fail "$(cat "$TMP/out")"
[ "$(plain "http://$first/v2/live/web/manifests/1.0.0")" = 403 ] || fail "$(cat "$TMP/answer")"
ok "the word of an admin of all repositories counts for the same image in each of them"

# --- another name's word on the same image ---
head -c 100000 /dev/urandom | dd of="$TMP/disk.raw" bs=1 seek=3000000 conv=notrunc status=none
ingot pack -q "$TMP/disk.raw" web:same >/dev/null
ingot push -q web:same "$first/team/same" >/dev/null
ingot push -q web:same "$first/other/same" >/dev/null
same=$(as "$reader" ingot pull -q --store "$TMP/words" "$first/team/same:same")
as "$owner" ingot revoke "$first/team/same:same" --reason 'not for us' >/dev/null
expect 3 as "$reader" ingot pull --store "$TMP/words" "$first/team/same:same"
as "$owner" ingot deprecate "$first/other/same:same" --reason 'of old' >/dev/null
expect 3 as "$reader" ingot pull --store "$TMP/words" "$first/other/same:same"
grep -q "revoked by owner.*as $first/team/same said" "$TMP/err" || fail "$(cat "$TMP/err")"
for name in "$first/team/same" "$first/other/same"; do
    expect 3 ingot export --store "$TMP/words" "$name@$same" -o "$TMP/out.raw"
    [ ! -e "$TMP/out.raw" ] || fail "$name is exported"
done
ok "in the store, a milder word of another name takes no revocation away"

# --- the store, without a network ---
kill "$SERVER"
wait "$SERVER"
expect 3 ingot export --store "$TMP/store" "$web:1.0.0" -o "$TMP/out.raw"
grep -q 'revoked by root' "$TMP/err" && [ ! -e "$TMP/out.raw" ] || fail "$(cat "$TMP/err")"
ingot export -q --allow-revoked --store "$TMP/store" "$web:1.0.0" -o "$TMP/out.raw" 2>/dev/null || fail "--allow-revoked refuses"
INGOT_ALLOW_REVOKED=1 ingot export -q --store "$TMP/store" "$web@$digest" -o "$TMP/out2.raw" 2>/dev/null || fail "INGOT_ALLOW_REVOKED refuses"
ingot images --store "$TMP/store" | grep -q ' revoked$' || fail "$(ingot images --store "$TMP/store")"
ingot show --store "$TMP/store" "$web:1.0.0" | grep -q '^state *revoked by root' || fail "$(ingot show --store "$TMP/store" "$web:1.0.0")"
ok "the store remembers, and respects it without a network"

# --- a restart, a rebuild ---
ingotd rebuild --data "$TMP/registry" --force >/dev/null 2>&1 || fail "rebuild"
start_ingotd
first=$REGISTRY web=$REGISTRY/team/web
expect 3 as "$reader" ingot pull "$web:1.0.0"
as "$reader" ingot pull -q --allow-revoked --store "$TMP/again" "$web:1.0.0" >/dev/null 2>&1 || fail "--allow-revoked refuses to pull"
expect 3 ingot export --store "$TMP/again" "$web:1.0.0" -o "$TMP/out3.raw"
ingot show "$web:1.0.0" | grep -q '^state *revoked by root.*CVE-2026-1' || fail "$(ingot show "$web:1.0.0")"
ingot descendants --json "$web:1.0.0" | python3 -c 'import json,sys; assert [(o["name"],o["depth"]) for o in json.load(sys.stdin)] == [("team/middle",1),("other/top",2)]' || fail "descendants, rebuilt"
ok "a restart and a catalogue that is made again from the log keep it"

# --- a mirror, and a cache ---
INGOT_TOKEN_HOST=$first ingotd mirror --data "$TMP/second" "http://$first" 'team/web' >"$TMP/out" 2>&1 || fail "mirror: $(cat "$TMP/out")"
first_server=$SERVER
start_ingotd "$TMP/second"
second=$REGISTRY
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' "http://$second/v2/team/web/manifests/1.0.0")" = 403 ] && grep -q 'CVE-2026-1' "$TMP/answer" || fail "a mirror gives it: $(cat "$TMP/answer")"
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' "http://$second/v2/team/web/manifests/2.0.0")" = 200 ] || fail "$(cat "$TMP/answer")"
ok "a mirror carries the word along"

ingot restore "$web:1.0.0" --reason 'false alarm' >"$TMP/out"
grep -q "$digest active" "$TMP/out" || fail "$(cat "$TMP/out")"
[ "$(plain "http://$first/v2/live/web/manifests/1.0.0")" = 200 ] || fail "restored, but not elsewhere: $(cat "$TMP/answer")"
as "$reader" ingot pull -q --store "$TMP/again" "$web:1.0.0" >/dev/null 2>"$TMP/err" || fail "restored: $(cat "$TMP/err")"
[ ! -s "$TMP/err" ] || fail "a warning of a restored image: $(cat "$TMP/err")"
ingot promote -q "$web" 1.0.0 prod >/dev/null || fail "restored, and not promoted"
[ "$(plain "http://$first/api/v1/team/web/lifecycle/$digest")" = 200 ]
python3 - "$TMP/answer" <<'PY' || fail "$(cat "$TMP/answer")"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["state"] == "active" and [w["state"] for w in o["all"]] == ["deprecated", "revoked", "revoked", "active"], o
PY
INGOT_TOKEN_HOST=$first ingotd mirror --data "$TMP/second" "http://$first" 'team/web' >"$TMP/out" 2>&1 || fail "mirror: $(cat "$TMP/out")"
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' "http://$second/v2/team/web/manifests/1.0.0")" = 200 ] || fail "restored, but not at the mirror: $(cat "$TMP/answer")"
ok "restore brings it back, and what was said stays for ever"

# said HOST: how many words a registry has of the image.
said() { curl -s "http://$1/api/v1/team/web/lifecycle/$digest" | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["all"]))'; }
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X PUT -d '{"state":"revoked","reason":"ours"}' "http://$second/api/v1/team/web/lifecycle/$digest")" = 200 ] || fail "$(cat "$TMP/answer")"
words=$(said "$second")
for verb in deprecate restore; do
    ingot $verb "$web:1.0.0" --reason theirs >/dev/null
    for _ in 1 2; do
        INGOT_TOKEN_HOST=$first ingotd mirror --data "$TMP/second" "http://$first" 'team/web' >"$TMP/out" 2>&1 || fail "mirror: $(cat "$TMP/out")"
    done
    [ "$(curl -s -o "$TMP/answer" -w '%{http_code}' "http://$second/v2/team/web/manifests/1.0.0")" = 403 ] && grep -q ours "$TMP/answer" || fail "$verb there takes back what was said here: $(cat "$TMP/answer")"
done
[ "$(said "$second")" = $((words + 2)) ] || fail "not each word once: $(said "$second"), $words before"
ok "what was said at a mirror stays, whatever the other registry says"

several=$(ingot push -q box-amd64:1.0.0 box-arm64:1.0.0 "$web:5.0.0" | grep -o 'sha256:[0-9a-f]*')
INGOT_TOKEN_HOST=$first ingotd mirror --data "$TMP/second" "http://$first" 'team/web' >"$TMP/out" 2>&1 || fail "mirror: $(cat "$TMP/out")"
[ "$(curl -s -o "$TMP/answer" -w '%{http_code}' -X PUT -d '{"state":"revoked","reason":"ours as well"}' "http://$second/api/v1/team/web/lifecycle/$(cat "$TMP/arm64.box")")" = 200 ] || fail "$(cat "$TMP/answer")"
ingot promote -q "$web" 5.0.0 dev >/dev/null
INGOT_TOKEN_HOST=$first ingotd mirror --data "$TMP/second" "http://$first" 'team/web' >"$TMP/out" 2>&1 || fail "mirror: $(cat "$TMP/out")"
grep -q 'team/web:dev stays.*ours as well' "$TMP/out" || fail "a mirrored channel names an index of what is revoked here: $(cat "$TMP/out")"
[ "$(curl -sf "http://$second/v2/team/web/manifests/5.0.0" | sha256sum | cut -d' ' -f1)" = "${several#sha256:}" ] || fail "the index is not here"
ok "no mirrored channel comes to name an index of what is revoked at the mirror"

ingot disable "$web:1.0.0" --reason 'under test' >/dev/null
expect 3 as "$reader" ingot pull --store "$TMP/again" "$web:1.0.0"
grep -q 'disabled by root.*under test' "$TMP/err" || fail "$(cat "$TMP/err")"
ok "a disabled image is withheld until it is restored"

# --- a damaged catalogue ---
kill "$first_server"
wait "$first_server"
python3 - "$TMP/registry/catalogue.sqlite" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE records SET body=replace(body, 'disabled', 'disablod') WHERE kind='state' AND name='team/web'")
db.commit()
PY
start_ingotd
first=$REGISTRY web=$REGISTRY/team/web
for path in v2/team/web/manifests/1.0.0 v2/other/top/manifests/2.0.0 "api/v1/team/web/lifecycle/$digest" api/v1/team/web/channels; do
    [ "$(plain "http://$first/$path")" = 500 ] || fail "$path: $(cat "$TMP/answer")"
done
grep -q 'ingotd rebuild' "$TMP/answer" || fail "$(cat "$TMP/answer")"
[ "$(plain -I "http://$first/v2/team/web/manifests/1.0.0")" = 500 ] || fail "HEAD: $(cat "$TMP/head")"
[ "$(plain "http://$first/v2/team/web/manifests/2.0.0")" = 200 ] || fail "$(cat "$TMP/answer")"
kill "$SERVER"
wait "$SERVER"
ingotd rebuild --data "$TMP/registry" --force >/dev/null 2>&1 || fail "rebuild"
start_ingotd
first=$REGISTRY web=$REGISTRY/team/web
[ "$(plain "http://$first/v2/team/web/manifests/1.0.0")" = 403 ] || fail "$(cat "$TMP/answer")"
ok "a word that is damaged is not as if it were none, and comes back from the log"
