#!/bin/bash
# Who changed what, from where and why, is in the log of events; whatever was done to the log since shows.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
data=$TMP/registry
type=application/vnd.oci.image.manifest.v1+json

printf '%s\n%s\n' "the word of anna" "the word of anna" | ingotd user add --data "$data" --scope 'push:*' anna 2>/dev/null
start_ingotd
put() { curl -sf -o "$TMP/answer" -u 'anna:the word of anna' -H 'Expect:' "$@" || fail "$*: $(cat "$TMP/answer")"; }
echo '{}' >"$TMP/config"
config=sha256:$(sha256sum <"$TMP/config" | cut -d' ' -f1)
for name in team/web team/db; do
    put -X POST --data-binary "@$TMP/config" "$SERVED/v2/$name/blobs/uploads/?digest=$config"
    echo "{\"schemaVersion\":2,\"mediaType\":\"$type\",\"config\":{\"mediaType\":\"a/b\",\"digest\":\"$config\",\"size\":3},\"layers\":[]}" >"$TMP/manifest"
    for tag in 1.0.0 latest; do
        put -X PUT -H "Content-Type: $type" -H 'Ingot-Reason: the release of May' --data-binary "@$TMP/manifest" "$SERVED/v2/$name/manifests/$tag"
    done
done

ingotd audit verify --data "$data" >"$TMP/out" || fail "verify beside the server: $(cat "$TMP/out")"
head=$(grep -o 'sha256:[0-9a-f]*' "$TMP/out")
ingotd audit verify --data "$data" --json | python3 -c 'import json,sys; r=json.load(sys.stdin); assert r["faults"]==0 and r["events"]==r["last"]>=6 and r["head"]==sys.argv[1], r' "$head" || fail "as JSON"
ok "a whole log is told as such, and its head, while the server runs"

ingotd audit export --data "$data" --name 'team/web' >"$TMP/events"
python3 - "$TMP/events" <<'PY' || fail "$(cat "$TMP/events")"
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
assert {e["name"] for e in events} == {"team/web"}, "names"
tags = [e for e in events if e["op"] == "tag"]
assert [t["tag"] for t in tags] == ["1.0.0", "latest"], tags
for t in tags:
    assert t["by"] == "anna" and t["why"] == "the release of May" and t["from"] == "127.0.0.1" and t["when"].endswith("Z"), t
PY
[ -z "$(ingotd audit export --data "$data" --since 2999-01-01)" ] || fail "events of the future"
[ "$(ingotd audit export --data "$data" --since 2001-01-01 | wc -l)" = "$(ingotd audit export --data "$data" | wc -l)" ] || fail "all since 2001"
for wrong in "export --since yesterday" "export --head $head" "verify --since 2001-01-01" "watch"; do
    # shellcheck disable=SC2086
    status=0; ingotd audit $wrong --data "$data" >"$TMP/out" 2>&1 || status=$?
    [ $status = 2 ] || fail "audit $wrong ends with $status: $(cat "$TMP/out")"
done
ok "export says who, when, from where, what and why"

put -X PUT -H "Content-Type: $type" --data-binary "@$TMP/manifest" "$SERVED/v2/team/db/manifests/newest"
ingotd audit verify --data "$data" --head "$head" >"$TMP/out" || fail "the head of before: $(cat "$TMP/out")"
kill "$SERVER"
wait "$SERVER" || true
cp "$data/names.log" "$TMP/log"
lines=$(wc -l <"$TMP/log")
# finds WHAT: the log as it is now has a fault.
finds() {
    status=0
    ingotd audit verify --data "$data" >"$TMP/out" 2>&1 || status=$?
    [ $status = 1 ] || fail "$1 does not show: $status, $(cat "$TMP/out")"
    cp "$TMP/log" "$data/names.log"
}
sed -i '2s/team/tean/' "$data/names.log"; finds "an edited event"
sed -i '2d' "$data/names.log"; finds "a deleted event"
sed -i "${lines}d" "$data/names.log"; finds "a deleted last event"
: >"$data/names.log"; finds "an empty log"
awk 'NR==2 {kept=$0; next} {print} NR==3 {print kept}' "$TMP/log" >"$data/names.log"; finds "another order"
ingotd audit verify --data "$data" >/dev/null || fail "the log as it was"
status=0; ingotd audit verify --data "$data" --head "sha256:$(printf '%064d' 7)" >"$TMP/out" 2>&1 || status=$?
[ $status = 1 ] || fail "a head that no event has: $status"
ok "an event that was edited, deleted or moved shows, and a log that was cut"
