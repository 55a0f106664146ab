#!/bin/bash
# The whole story of an image in one command: what it is, where it has stood, what gates said, who has signed it; of the image
# that a follower has deployed on this host, too.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
start_ingotd
where=$REGISTRY/team/web
export INGOT_PASSPHRASE=a
for key in release other; do ingot key generate "$TMP/$key" >/dev/null; done
for n in 1 2; do
    head -c 1048576 /dev/urandom >"$TMP/$n.raw"
    ingot pack -q "$TMP/$n.raw" "web:$n.0.0" >"$TMP/digest.$n"
    ingot push -q "web:$n.0.0" "$where:$n.0.0" >/dev/null
done
cat >"$TMP/pipeline.yaml" <<'EOF'
pipelines:
  team/web:
    channels:
      - name: dev
      - {name: prod, from: dev, gates: [{signed: {keys: [release.pub]}}, window]}
EOF
ingot pipeline apply "$REGISTRY" "$TMP/pipeline.yaml" >/dev/null
ingot promote -q "$where" 1.0.0 dev >/dev/null
expect 3 ingot promote "$where" dev prod
ingot sign -q "$where:1.0.0" --key "$TMP/release" >/dev/null
ingot promote -q "$where" dev prod --reason "it is signed" >/dev/null
ingot follow -q "$where:prod" --once --exec true --folder "$TMP/host" --store "$TMP/host-store" >/dev/null 2>&1
ingot promote -q "$where" 2.0.0 dev >/dev/null
ingot promote -q "$where" dev prod --force --reason "it can't wait" >/dev/null

# story OPTION...: the JSON, of which python asks what is wanted.
story() { ingot history --json "$@" >"$TMP/story"; }
holds() { python3 -c 'import json, sys
story = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), json.dumps(story, indent=1)' "$TMP/story" "$1"; }

story "$where:1.0.0" --key "$TMP/other.pub" --key "$TMP/release.pub"
holds "story['digest'] == '$(cat "$TMP/digest.1")' and story['verified']"
holds "[(one['channel'], one['how'], one.get('reason')) for one in story['moves']] == [('prod', 'promote', 'it is signed'), ('dev', 'promote', None)]"
holds "[(one['gate'], one['passed']) for one in story['moves'][0]['gates']] == [('from', True), ('signed', True), ('window', True)]"
holds "all('why' in one and 'mend' not in one for one in story['moves'][0]['gates'])"
expect 0 ingot history "$where:1.0.0"
grep -q 'it is signed' "$TMP/out" && grep -q 'gates of prod.*from, signed, window passed' "$TMP/out" || fail "$(cat "$TMP/out")"
ok "an image's story has its moves, and what the gates said then"

expect 3 ingot history "$where:2.0.0" --key "$TMP/release.pub"
grep -q 'FORCED' "$TMP/out" && grep -q 'signed refused: ' "$TMP/out" || fail "$(cat "$TMP/out")"
expect 3 ingot history --here --folder "$TMP/host" "$where:prod" --key "$TMP/other.pub"
expect 1 ingot history --here --folder "$TMP/nowhere" "$where:prod"
grep -q 'no follower has deployed' "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingot history --folder "$TMP/host" "$where:prod"
ok "what is not signed is told, with status 3; a forced move shows its refusals"

story --here --folder "$TMP/host" "$where:prod" --key "$TMP/release.pub"
holds "story['digest'] == '$(cat "$TMP/digest.1")' and story['verified'] and len(story['moves']) == 2"
ok "what a follower has deployed here is told though its channel has moved on"

# What gates said is in the log of events: a catalogue that is made anew has it.
kill "$SERVER"
wait "$SERVER" || true
rm "$TMP"/registry/catalogue.sqlite*
ingotd rebuild --data "$TMP/registry" >/dev/null
start_ingotd
where=$REGISTRY/team/web
story "$where:1.0.0"
holds "[one['gate'] for one in story['moves'][0]['gates']] == ['from', 'signed', 'window']"
ok "a rebuild keeps what gates said"

ingot revoke -q "$where:1.0.0" --reason 'it leaks' >/dev/null
story "$where:1.0.0" --key "$TMP/release.pub"
holds "story['verified'] and story['said']['state'] == 'revoked' and len(story['moves']) == 2"
expect 3 ingot history "$where:1.0.0" --key "$TMP/other.pub"
grep -q 'it is signed' "$TMP/out" && grep -q 'none of its signatures counts' "$TMP/err" || fail "$(cat "$TMP/out" "$TMP/err")"
start_upstream "$REGISTRY"
echo '/referrers/ status 403' >"$TMP/rules"
expect 1 ingot history "$upstream/team/web:2.0.0" --key "$TMP/release.pub"
grep -q 'FORCED' "$TMP/out" && grep -q 'status 403' "$TMP/err" || fail "$(cat "$TMP/out" "$TMP/err")"
ok "a revoked image has its story too, and what is known is told where signatures can't be read"
