#!/bin/bash
# Channels with gates: each gate first refuses, says what would satisfy it, and then lets pass; what is forged, of another image or
# damaged never counts; what moved, when, by whom and why is told.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
data=$TMP/registry
for user in anna:push:* otto:promote:* olga:promote:* rita:pull:* mallory:pull:public/* root:admin:*; do
    printf '%s\n%s\n' "the word of all" "the word of all" | ingotd user add --data "$data" --scope "${user#*:}" "${user%%:*}" 2>/dev/null
done
for key in release other; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$TMP/$key" 2>/dev/null
    openssl pkey -in "$TMP/$key" -pubout -out "$TMP/$key.pub"
done
start_ingotd
python3 tests/system/gates.py "$SERVED" "$TMP" || fail "see above"
export INGOT_USER='' DOCKER_CONFIG=$TMP/docker
echo "the word of all" | ingot login "$REGISTRY" -u rita --password-stdin >/dev/null 2>&1 || fail "a login"
ingot channels "$REGISTRY/team/web" >"$TMP/out" || fail "ingot channels"
grep -qE '^prod +1\.0\.0 +sha256:[0-9a-f]{12} ' "$TMP/out" || fail "channels: $(cat "$TMP/out")"
ingot log "$REGISTRY/team/web" prod --json | python3 -c 'import json,sys; log=json.load(sys.stdin); assert log and all(e["channel"]=="prod" for e in log), log' || fail "ingot log"
ingot log "$REGISTRY/team/web" -n 2 >"$TMP/out" || fail "ingot log -n"
[ "$(wc -l <"$TMP/out")" = 3 ] || fail "$(cat "$TMP/out")"
status=0; ingot log "$REGISTRY/team/web" prd >"$TMP/out" 2>&1 || status=$?
[ $status != 0 ] && grep -q "did you mean 'prod'" "$TMP/out" || fail "an unknown channel: $(cat "$TMP/out")"
digest=$(ingot channels "$REGISTRY/team/web" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["digest"])')
echo "the word of all" | ingot login "$REGISTRY" -u otto --password-stdin >/dev/null 2>&1 || fail "a login"
ingot approve "$REGISTRY/team/web" prod "$digest" >"$TMP/out" || fail "an approval: $(cat "$TMP/out")"
ingot approve "$REGISTRY/team/web" prod "$digest" --withdraw >"$TMP/out" || fail "a withdrawal: $(cat "$TMP/out")"
status=0; ingot approve "$REGISTRY/team/web" prod "$digest" --withdraw >"$TMP/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'no approval by otto' "$TMP/out" || fail "what is not there is withdrawn: $(cat "$TMP/out")"
ok "what stands where, and how it came there, is told to people and machines"

kill "$SERVER"
wait "$SERVER" || true
ingotd audit verify --data "$data" >/dev/null || fail "the log"
cp "$data/names.log" "$TMP/names.log"
ingotd rebuild --data "$data" >"$TMP/out" 2>&1 || fail "rebuild: $(cat "$TMP/out")"
start_ingotd
echo "the word of all" | ingot login "$REGISTRY" -u rita --password-stdin >/dev/null 2>&1 || fail "a login"
ingot log "$REGISTRY/team/web" --json >"$TMP/after" || fail "log after a rebuild"
python3 - "$TMP/moves.json" "$TMP/after" <<'PY' || fail "a rebuild has other moves"
import json, sys
before, after = (json.load(open(path)) for path in sys.argv[1:])
assert before == after, (before, after)
PY
ok "a catalogue that is made again has pipelines, approvals and moves"
