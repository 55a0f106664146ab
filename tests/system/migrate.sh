#!/bin/bash
# A data folder that an older version wrote is opened and brought to today's form in place, with all that was in it. The
# folders are samples, kept for ever (tests/samples/README).
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export REGISTRY_AUTH_FILE=$TMP/auth.json
sample=tests/samples/registry-0.1
web1=6de076c8ef9cd3af6cdc26f1574fc13b74c1b09d4cc34784f33d90448f2bee37
web2=8c8826741bd24c816c67917971bb04ae5bd36a46e4c2cea2fae30bcd3294b3b6
db=ea926e998af5f8b46226cd3da2c2bc39d5fa32e1900ae3a8c5aa048574ce4032
note=3a9ed60390a4ca5a43e35adb8b0182354a2cd3f1d0ba7f9ab1b6f924b567cce8
disk1=24eda5377ee7a9c438907215a760da788763fbce147306defe450a317a78ad53
disk2=17435d916e331600f284c7c8ff46ab20a9058b6041ffa52735889056708a9e77
disk3=5db87068483865498208e5ee1b2fa788821237fa305a2feb7a07f141301a227f

# Logs in: TOKEN is for all that the folder has.
login() {
    local scopes=
    echo 'sample password' | ingot login -u sample --password-stdin "$REGISTRY" >"$TMP/out" 2>&1 || fail "$1: login: $(cat "$TMP/out")"
    for name in web db gone more; do scopes="$scopes&scope=repository:team/$name:pull,push,delete"; done
    TOKEN=$(curl -sf -u 'sample:sample password' "http://$REGISTRY/token?service=ingotd$scopes" | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])') ||
        fail "$1: no token"
}
# ask NAME PATH [OPTION...]: the status; the answer is in $TMP/answer.
ask() {
    local name=$1 path=$2
    shift 2
    curl -s -o "$TMP/answer" -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$@" "http://$REGISTRY/v2/$name/$path"
}
tags() { [ "$(ask "$1" tags/list)" = 200 ] && python3 -c 'import json,sys; print(*sorted(json.load(open(sys.argv[1]))["tags"] or []))' "$TMP/answer"; }
stop() {
    kill "$SERVER"
    wait "$SERVER" || true
}
scrub() { ingotd scrub --data "$1" >"$TMP/out" 2>&1 || fail "$2: $(cat "$TMP/out")"; }

# All that the folder held is there; no client notices another version.
check_all() {
    start_ingotd "$1"
    login "$2"
    [ "$(tags team/web)" = "1.0.0 2.0.0 dev" ] && [ "$(tags team/db)" = 1.0.0 ] || fail "$2: tags: $(cat "$TMP/answer")"
    for one in "team/web 1.0.0 $web1" "team/web 2.0.0 $web2" "team/web dev $web2" "team/db 1.0.0 $db" "team/web sha256:$note $note"; do
        # shellcheck disable=SC2086
        set -- "$1" "$2" $one
        [ "$(ask "$3" "manifests/$4")" = 200 ] && [ "$(sha256sum <"$TMP/answer")" = "$5  -" ] || fail "$2: $3:$4: $(cat "$TMP/answer")"
    done
    [ "$(ask team/web "referrers/sha256:$web1")" = 200 ] && grep -q "$note" "$TMP/answer" || fail "$2: referrers: $(cat "$TMP/answer")"
    [ "$(ask team/gone "manifests/sha256:$db")" = 404 ] || fail "$2: what was deleted is there again"
    [ "$(ask team/db manifests/old)" = 404 ] || fail "$2: a tag that was deleted is there again"
    rm -rf "$INGOT_STORE"
    for one in "team/web:1.0.0 $disk1" "team/web:dev $disk2" "team/db:1.0.0 $disk3"; do
        # shellcheck disable=SC2086
        set -- "$1" "$2" $one
        ingot pull -q "$REGISTRY/$3" >"$TMP/out" 2>&1 || fail "$2: pull $3: $(cat "$TMP/out")"
        rm -rf "$TMP/exported"
        ingot export -q "$REGISTRY/$3" --format raw -o "$TMP/exported" >"$TMP/out" 2>&1 || fail "$2: export $3: $(cat "$TMP/out")"
        [ "$(sha256sum <"$TMP/exported")" = "$4  -" ] || fail "$2: the disk of $3 differs"
    done
}

cp -r "$sample" "$TMP/old"
check_all "$TMP/old" "an old folder"
cmp -n "$(stat -c %s "$sample/names.log")" "$TMP/old/names.log" "$sample/names.log" || fail "old events have changed"
cmp "$TMP/old/packs/00000001.pack" "$sample/packs/00000001.pack" || fail "an old pack has changed"
ok "an old folder is served as it was"

# It goes on: what is pushed, deleted and collected now stands beside what was there.
ingot push -q "$REGISTRY/team/web:1.0.0" "$REGISTRY/team/more:1.0.0" >"$TMP/out" 2>&1 || fail "push: $(cat "$TMP/out")"
head -c 50000 /dev/urandom >"$TMP/blob"
[ "$(ask team/more "blobs/uploads/?digest=sha256:$(sha256sum <"$TMP/blob" | cut -d' ' -f1)" -X POST --data-binary "@$TMP/blob")" = 201 ] || fail "a blob: $(cat "$TMP/answer")"
[ "$(ask team/more manifests/1.0.0 -X DELETE)" = 202 ] || fail "delete: $(cat "$TMP/answer")"
ingotd gc --data "$TMP/old" --grace 0s >"$TMP/out" 2>&1 || fail "gc: $(cat "$TMP/out")"
stop
scrub "$TMP/old" "an old folder, gone on"
check_all "$TMP/old" "an old folder, after a collection"
stop
ok "pushes, deletions and a collection go on with it"

# The old events, without numbers, make its catalogue again; so do old and new ones together.
rm "$TMP"/old/catalogue.sqlite*
ingotd rebuild --data "$TMP/old" >"$TMP/out" 2>"$TMP/err" || fail "rebuild: $(cat "$TMP/err")"
grep -q 'lost: 0' "$TMP/out" || fail "rebuild of old and new events: $(cat "$TMP/out" "$TMP/err")"
scrub "$TMP/old" "rebuilt from old and new events"
check_all "$TMP/old" "rebuilt from old and new events"
stop
cp -r "$sample" "$TMP/lost"
rm "$TMP/lost/catalogue.sqlite"
expect 1 ingotd scrub --data "$TMP/lost"
grep -q 'ingotd rebuild' "$TMP/err" || fail "an old folder without its catalogue: $(cat "$TMP/err")"
ingotd rebuild --data "$TMP/lost" >"$TMP/out" 2>"$TMP/err" || fail "rebuild: $(cat "$TMP/err")"
grep -q 'lost: 0' "$TMP/out" || fail "rebuild of old events: $(cat "$TMP/out" "$TMP/err")"
scrub "$TMP/lost" "rebuilt from old events"
check_all "$TMP/lost" "rebuilt from old events"
stop
ok "old events make its catalogue again"
