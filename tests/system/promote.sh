#!/bin/bash
# The first five minutes of a pipeline, by the commands: applied from a file, refused with status 3 and what would mend it, passed,
# rolled back; a file that is wrong is told with its place.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
export INGOT_STORE=$TMP/store INGOT_PASSPHRASE='the word of the key'
head -c 1048576 /dev/urandom >"$TMP/disk.raw"
ingot pack -q "$TMP/disk.raw" web:1.0.0 >/dev/null 2>&1
head -c 1048576 /dev/urandom >"$TMP/disk.raw"
ingot pack -q "$TMP/disk.raw" web:1.1.0 >/dev/null 2>&1
start_ingotd
name=$REGISTRY/team/web
for version in 1.0.0 1.1.0; do ingot push -q "web:$version" "$name:$version" >/dev/null; done
# ends WANTED COMMAND...: with that status; its words are in $TMP/out.
ends() {
    local wanted=$1 status=0
    shift
    "$@" >"$TMP/out" 2>&1 || status=$?
    [ $status = "$wanted" ] || fail "'$*' ends with $status: $(cat "$TMP/out")"
}
ends 0 ingot promote "$name" 1.0.0 dev
ends 0 ingot promote "$name" dev prod
# tests OPTION...: what the store has of dev once `ingot test` has looked at it, with a recipe that ends it there.
echo 'name: none' >"$TMP/none.yaml"
tests() {
    ends 2 ingot test "$name:dev" --recipe "$TMP/none.yaml" "$@"
    grep -q 'the recipe has no tests' "$TMP/out" || fail "$(cat "$TMP/out")"
    ingot show --pull=never --json "$name:dev" | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])'
}
first=$(tests)
ok "without a pipeline whoever may promote does"

ingot key generate "$TMP/release" 2>/dev/null >&2
cat >"$TMP/pipelines.yaml" <<'YAML'
pipelines:
  team/*:
    channels:
      - name: dev
      - name: prod
        from: dev
        gates: [{signed: {keys: [release.pub]}}]
YAML
ends 1 ingot pipeline diff "$REGISTRY" "$TMP/pipelines.yaml"
grep -q 'team/\*: added' "$TMP/out" || fail "diff: $(cat "$TMP/out")"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml"
ends 0 ingot pipeline diff "$REGISTRY" "$TMP/pipelines.yaml"
ends 0 ingot pipeline show "$name"
grep -q 'BEGIN PUBLIC KEY' "$TMP/out" || fail "show: $(cat "$TMP/out")"
ends 0 ingot promote "$name" 1.1.0 dev
[ "$(tests --pull=missing)" = "$first" ] && [ "$(tests)" != "$first" ] || fail "another image than dev names now is tested"
ends 3 ingot promote "$name" dev prod
grep -q 'signed: REFUSED' "$TMP/out" && grep -q 'ingot sign' "$TMP/out" || fail "what a gate says: $(cat "$TMP/out")"
ends 0 ingot sign "$name:1.1.0" --key "$TMP/release"
ends 0 ingot promote "$name" dev prod --dry-run
[ "$(ingot channels "$name" --json | python3 -c 'import json,sys; print([e["version"] for e in json.load(sys.stdin) if e["channel"]=="prod"])')" = "['1.0.0']" ] || fail "a dry run has moved it"
ends 0 ingot promote "$name" dev prod --reason 'signed at last' --json
python3 -c 'import json,sys; a=json.load(open(sys.argv[1])); assert a["moved"] and all(g["passed"] for g in a["gates"]), a' "$TMP/out" || fail "$(cat "$TMP/out")"
ends 0 ingot rollback "$name" prod --reason 'it smokes'
ends 0 ingot log "$name" prod
grep -q 'rollback.*1\.0\.0.*it smokes' "$TMP/out" || fail "the log: $(cat "$TMP/out")"
ends 1 ingot approve "$name" prd "$(ingot channels "$name" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["digest"])')"
ends 2 ingot approve "$name" prod 1.0.0
ends 1 ingot approve "$name" prod "$(ingot channels "$name" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["digest"])')"
grep -q 'ingotd user add' "$TMP/out" || fail "an approval by nobody: $(cat "$TMP/out")"
ends 1 ingot promote "$name" dev prd
grep -q "did you mean 'prod'" "$TMP/out" || fail "the nearest channel: $(cat "$TMP/out")"
ok "a gate refuses with status 3, says what would satisfy it, and passes; a rollback goes back"

# What every build must have.
cat >"$TMP/cis.yaml" <<'YAML'
name: cis
variables: {port: 22}
tests:
  - {port: "${port}"}
  - {shell: "true", name: nothing is open}
YAML
cat >"$TMP/web.yaml" <<YAML
name: web
source: {from: "$name:1.0.0"}
tests: [{service: nginx}]
outputs: [raw]
YAML
sed 's/^    channels:/    require: {tests: [cis.yaml], outputs: [vhd, raw]}\n    channels:/; s/signed: .*}}\]/required: {}}]/' "$TMP/pipelines.yaml" >"$TMP/required.yaml"
ends 0 ingot plan "$TMP/web.yaml" --for "$name" --json
grep -q 'requires nothing' "$TMP/out" && ! grep -q '"required"' "$TMP/out" || fail "nothing is required: $(cat "$TMP/out")"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/required.yaml"
ends 0 ingot pipeline diff "$REGISTRY" "$TMP/required.yaml"
INGOT_VAR_port=none ends 0 ingot plan "$TMP/web.yaml" --for "$name"
grep -qE "$name requires \(sha256:[0-9a-f]{12}\): tests cis.yaml; outputs vhd, raw" "$TMP/out" || fail "plan --for: $(cat "$TMP/out")"
ends 0 ingot plan "$TMP/web.yaml" --for "$name" --json
python3 - "$TMP" "$name" <<'PY' || fail "plan --for: $(cat "$TMP/out")"
import hashlib, json, sys
required = json.load(open(sys.argv[1] + "/out"))[0]["required"]
text = open(sys.argv[1] + "/cis.yaml").read()
body = {"tests": [{"name": "cis.yaml", "text": text}], "outputs": ["vhd", "raw"]}
digest = lambda data: "sha256:" + hashlib.sha256(data.encode()).hexdigest()
assert required == {"pipeline": sys.argv[2], "outputs": body["outputs"], "tests": [{"name": "cis.yaml", "digest": digest(text)}],
                    "digest": digest(json.dumps(body, sort_keys=True, separators=(",", ":")))}, required
PY
ends 2 ingot build "$TMP/web.yaml" --for "$name" --no-test
ends 2 ingot plan "$TMP/web.yaml" --for web
ends 3 ingot promote "$name" dev prod
grep -q "required: REFUSED" "$TMP/out" && grep -q 'ingot build --for HOST/team/web' "$TMP/out" || fail "the gate: $(cat "$TMP/out")"
sed -i 's/port: "/prot: "/' "$TMP/cis.yaml"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/required.yaml"
ends 2 ingot plan "$TMP/web.yaml" --for "$name"
grep -q "the test cis.yaml that $name requires: .*prot" "$TMP/out" || fail "a required test that is wrong: $(cat "$TMP/out")"
echo 'name: cis' >"$TMP/cis.yaml"
ends 2 ingot pipeline apply "$REGISTRY" "$TMP/required.yaml"
grep -q 'required.yaml:3:.*cis.yaml has no tests' "$TMP/out" || fail "a required test without tests: $(cat "$TMP/out")"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml"
ok "a build gets the tests and outputs that a pipeline requires; the gate names the command"

# An image that carries its recipe: the one that is there, with a config that names it.
cat >"$TMP/carry.py" <<'PY'
import hashlib, io, json, sys, tarfile, urllib.request
url, tag, recipe, variables = sys.argv[1], sys.argv[2], open(sys.argv[3]).read(), json.loads(sys.argv[4])
page = "a page" + "." * int(sys.argv[5] if len(sys.argv) > 5 else 0)
MANIFEST, TAR = "application/vnd.oci.image.manifest.v1+json", "application/vnd.ingot.recipe.v1+tar"
digest = lambda data: "sha256:" + hashlib.sha256(data).hexdigest()


def ask(method, path, data=None, kind="application/octet-stream"):
    request = urllib.request.Request(url + path, data=data, method=method, headers={"Content-Type": kind, "Accept": MANIFEST})
    return urllib.request.urlopen(request).read()


def blob(data, kind):
    ask("POST", f"/blobs/uploads/?digest={digest(data)}", data)
    return {"mediaType": kind, "digest": digest(data), "size": len(data)}


def put(manifest, reference=None):
    data = json.dumps(manifest).encode()
    ask("PUT", f"/manifests/{reference or digest(data)}", data, MANIFEST)
    return {"mediaType": MANIFEST, "digest": digest(data), "size": len(data)}


packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    for name, text in (("base.yaml", recipe), ("carried.txt", page)):
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
manifest = json.loads(ask("GET", "/manifests/1.0.0"))
config = json.loads(ask("GET", "/blobs/" + manifest["config"]["digest"]))
config["recipe"] = {"digest": digest(recipe.encode()), "tar": digest(packed.getvalue()), "variables": variables}
manifest["config"] = blob(json.dumps(config).encode(), manifest["config"]["mediaType"])
image = put(manifest, tag)
put({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": TAR, "config": blob(b"{}", "application/vnd.oci.empty.v1+json"),
     "layers": [blob(packed.getvalue(), TAR)], "subject": image, "annotations": {"vnd.ingot.recipe": "base.yaml"}})
print(image["digest"])
PY
cat >"$TMP/base.yaml" <<YAML
name: base
variables: {page: another, word: {secret: true, default: "***"}}
source: {from: "$name:1.0.0"}
steps:
  - file: {from: carried.txt, to: /srv/site.txt}
  - shell: echo \${page}
YAML
carried=$(python3 "$TMP/carry.py" "$SERVED/v2/team/web" 2.0.0 "$TMP/base.yaml" '{"page": "as it was built", "word": "***"}')
for way in "@$carried" :2.0.0; do
    printf 'name: child\nsource: {recipe: "%s"}\nsteps: [{shell: echo child}]\n' "$name$way" >"$TMP/child.yaml"
    ends 0 ingot validate "$TMP/child.yaml"
    ends 0 ingot plan "$TMP/child.yaml" --json
    python3 - "$TMP/out" "$TMP/keys$way" "$name@$carried" <<'PY' || fail "the recipe of an image: $(cat "$TMP/out")"
import json, sys
base, child = json.load(open(sys.argv[1]))
assert base["came_with"] == sys.argv[3] and base["name"] == "base" and child["name"] == "child" and child["source_missing"], (base, child)
assert [stage["title"] for stage in base["stages"]][1:] == ["carried.txt", "echo as it was built"], base
open(sys.argv[2], "w").write(json.dumps([stage["key"] for stage in base["stages"]]))
PY
done
cmp -s "$TMP/keys@$carried" "$TMP/keys:2.0.0" || fail "the recipe of a tag and of its digest have other keys"
[ -z "$(find "${TMPDIR:-/tmp}" /var/tmp -maxdepth 3 -path '*/ingot-work-*/carried.txt' 2>/dev/null)" ] || fail "a private folder is left"
echo '  - shell: echo ${word}' >>"$TMP/base.yaml"
python3 "$TMP/carry.py" "$SERVED/v2/team/web" 2.0.1 "$TMP/base.yaml" '{"page": "as it was built", "word": "***"}' >/dev/null
printf 'name: child\nsource: {recipe: "%s:2.0.1"}\n' "$name" >"$TMP/child.yaml"
ends 2 ingot plan "$TMP/child.yaml"
grep -q "word}': the value that the image was built with is not kept" "$TMP/out" || fail "a secret: $(cat "$TMP/out")"
ends 0 ingot plan "$TMP/child.yaml" --var word=hush
printf 'name: child\nsource: {recipe: "%s:1.0.0"}\n' "$name" >"$TMP/child.yaml"
ends 2 ingot plan "$TMP/child.yaml"
grep -q "child.yaml:2:.*no recipe is attached" "$TMP/out" || fail "an image without a recipe: $(cat "$TMP/out")"
ok "a recipe is based on the one that an image carries, by tag or digest"

# Whoever may push writes such a recipe: it is kept to its own files, and there is an end to what it brings.
cp "$TMP/base.yaml" "$TMP/good.yaml"
printf 'name: child\nsource: {recipe: "%s:2.0.2"}\n' "$name" >"$TMP/child.yaml"
{
    cat "$TMP/good.yaml"
    echo '  - file: {from: /etc/hostname, to: /srv/h}'
    echo "  - file: {from: /srv/h, to: $TMP/elsewhere, direction: down}"
} >"$TMP/base.yaml"
python3 "$TMP/carry.py" "$SERVED/v2/team/web" 2.0.2 "$TMP/base.yaml" '{"page": "x", "word": "***"}' >/dev/null
for verb in plan "build --accel tcg" "shell --accel tcg"; do
    # shellcheck disable=SC2086
    INGOT_VAR_word=hush ends 2 ingot $verb "$TMP/child.yaml" </dev/null
    for words in "'/etc/hostname': is outside of the recipe's folder" "'direction': a recipe that came with an image may not write" \
        "word}': the value that the image was built with is not kept"; do
        grep -q "$words" "$TMP/out" || fail "$verb of a recipe that reads this host does not say '$words': $(cat "$TMP/out")"
    done
done
for number in 3 4 5 6 7; do
    printf 'name: n%s\nsource: {recipe: "%s:2.0.%s"}\n' $number "$name" $((number + 1)) >"$TMP/base.yaml"
    python3 "$TMP/carry.py" "$SERVED/v2/team/web" 2.0.$number "$TMP/base.yaml" '{}' $((31 << 20)) >/dev/null
done
printf 'name: child\nsource: {recipe: "%s:2.0.3"}\n' "$name" >"$TMP/child.yaml"
ends 2 ingot plan "$TMP/child.yaml"
grep -q "the recipes that images carry have more than 128 MiB" "$TMP/out" || fail "much is fetched: $(cat "$TMP/out")"
ok "the recipe of an image reads and writes nothing else of this host, takes nothing from the environment, and has an end"

# A proxy of which the first answer to each change is lost: the registry has done it, and is asked again.
cat >"$TMP/loses.py" <<'PY'
import http.client
import http.server
import sys

HOST, SEEN = sys.argv[1], set()


class Loses(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        registry = http.client.HTTPConnection(HOST)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        registry.request(self.command, self.path, body, dict(self.headers))
        answer = registry.getresponse()
        content = answer.read()
        if self.command == "POST" and self.path not in SEEN:
            SEEN.add(self.path)
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Loses)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$TMP/loses.py" "$REGISTRY" >"$TMP/port" &
loses=$!
ENDING+=("$loses")
for _ in $(seq 100); do [ -s "$TMP/port" ] && break; sleep 0.1; done
through=127.0.0.1:$(cat "$TMP/port")/team/web
ends 0 ingot promote "$name" 1.0.0 dev
ends 0 ingot promote "$name" 1.1.0 dev
ends 0 ingot promote "$through" 1.0.0 dev --json
grep -q '"moved": *true' "$TMP/out" || fail "a promotion whose answer was lost: $(cat "$TMP/out")"
moves=$(ingot log "$name" dev --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')
ends 0 ingot rollback "$through" dev
[ "$(ingot log "$name" dev --json | python3 -c 'import json,sys; log=json.load(sys.stdin); print(len(log), log[0]["version"])')" = "$((moves + 1)) 1.1.0" ] ||
    fail "a rollback whose answer was lost went back twice: $(ingot log "$name" dev)"
kill $loses
wait $loses || true
ok "a change whose answer was lost is done once"

# wrong LINE:COLUMN WORDS: the file of standard input is refused so.
wrong() {
    cat >"$TMP/wrong.yaml"
    ends 2 ingot pipeline apply "$REGISTRY" "$TMP/wrong.yaml"
    grep -q "wrong.yaml:$1: .*$2" "$TMP/out" || fail "$1 $2: $(cat "$TMP/out")"
}
wrong '[0-9]*:[0-9]*' 'go in a circle' <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, from: b}
      - {name: b, from: a}
YAML
wrong '4:[0-9]*' sooak <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, gates: [{sooak: 1d}]}
YAML
wrong '4:[0-9]*' duration <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, gates: [{soak: 1dd}]}
YAML
wrong '4:[0-9]*' 'No such file' <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, gates: [{signed: {keys: [nobody.pub]}}]}
YAML
echo '{}' >"$TMP/empty.json"
wrong '4:[0-9]*' 'not a Sigstore trusted root' <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, gates: [{signed: {identities: [{identity: ci@example.com, issuer: "https://login.example"}], trusted_root: empty.json}}]}
YAML
wrong '4:[0-9]*' 'No such file' <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: a, gates: [{signed: {identities: [{identity: ci@example.com, issuer: "https://login.example"}], trusted_root: nobody.json}}]}
YAML
python3 tests/system/keyless.py world "$TMP/own"
sed 's,nobody.json,own/root.json,' "$TMP/wrong.yaml" >"$TMP/identities.yaml"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/identities.yaml"
ends 0 ingot pipeline diff "$REGISTRY" "$TMP/identities.yaml"
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml"
ends 1 ingot pipeline diff "$REGISTRY" "$TMP/wrong.yaml.none"
ends 2 ingot pipeline apply "$name" "$TMP/pipelines.yaml"
ok "a file that is wrong is told with line and column"

# Between two registries: from the one that is there, which another stands in front of, to a new one.
first=$REGISTRY
start_upstream "$first"
start_ingotd "$TMP/second"
second=$REGISTRY/team/web
cat >"$TMP/second.yaml" <<'YAML'
pipelines:
  team/*:
    channels:
      - {name: dev}
      - name: prod
        gates: [{signed: {keys: [release.pub]}}]
YAML
ends 0 ingot pipeline apply "$REGISTRY" "$TMP/second.yaml"
# listed REGISTRY: what is attached there to the image that is promoted, a digest each.
image=$(ingot channels "$name" --json | python3 -c 'import json,sys; print([e["digest"] for e in json.load(sys.stdin) if e["version"]=="1.1.0"][0])')
listed() {
    curl -sf "http://$1/v2/team/web/referrers/$image" | python3 -c 'import json,sys; [print(e["digest"]) for e in sorted(json.load(sys.stdin)["manifests"], key=lambda e: e["digest"])]'
}
export INGOT_STORE=$TMP/between
ends 0 ingot promote "$name" 1.1.0 dev
ends 0 ingot promote "$upstream/team/web" dev "$second" prod --dry-run --json
grep -q '"moved": *false' "$TMP/out" && grep -q 'does not have the image yet' "$TMP/out" || fail "a dry run: $(cat "$TMP/out")"
ends 1 ingot promote "$upstream/team/web" dev "$second" prd
grep -q "did you mean 'prod'" "$TMP/out" && ! grep -q push "$TMP/out" || fail "an unknown channel: $(cat "$TMP/out")"
signature=$(listed "$first" | head -1)
echo "/manifests/$signature status 404 60" >"$TMP/rules"
ends 1 ingot promote "$upstream/team/web" dev "$second" prod
grep -q 'nothing is promoted: ' "$TMP/out" || fail "a copy that is not whole: $(cat "$TMP/out")"
! ingot channels "$second" --json 2>/dev/null | grep -q digest || fail "it is promoted all the same"
: >"$TMP/rules"
ends 0 ingot promote "$upstream/team/web" dev "$second" prod --reason 'it stood the test' --json
python3 -c 'import json,sys; t=open(sys.argv[1]).read(); a=json.loads(t[t.index("{"):]); assert a["moved"] and all(g["passed"] for g in a["gates"]), a' "$TMP/out" || fail "$(cat "$TMP/out")"
[ -n "$signature" ] && [ "$(listed "$REGISTRY")" = "$(listed "$first")" ] || fail "attached: $(listed "$REGISTRY")"
[ "$(ingot channels "$second" --json | python3 -c 'import json,sys; print([(e["channel"], e["version"], e["reason"]) for e in json.load(sys.stdin)])')" = "[('prod', '1.1.0', 'it stood the test')]" ] ||
    fail "channels: $(ingot channels "$second")"
: >"$TMP/asked"
ends 3 ingot promote "$upstream/team/web" 1.0.0 "$second" prod
grep -q 'signed: REFUSED' "$TMP/out" || fail "the gates of the second: $(cat "$TMP/out")"
grep -q 'GET /v2/team/web/blobs' "$TMP/asked" || fail "$(cat "$TMP/asked")"
: >"$TMP/asked"
ends 0 ingot promote "$upstream/team/web" 1.0.0 "$second" dev
! grep -q 'GET /v2/team/web/blobs' "$TMP/asked" || fail "what the store has crosses the network again: $(cat "$TMP/asked")"
ends 2 ingot promote "$second" dev "$second" prod
ends 2 ingot promote "$upstream/team/web" dev "$second:1.1.0" prod
ends 0 ingot promote "$upstream/team/web" dev "$second" 9.9.9
ends 2 ingot promote "$upstream/team/web" dev "$second" 9.9.8 --reason words
ok "an image is promoted from one registry to another with all that is attached, or not at all"

# Signatures by cosign's tag: no list of them is lost, at either end, by a promotion that says that it has passed.
sig=${image/:/-}.sig
beside() { curl -sf -H 'Accept: */*' "http://$1/v2/team/web/manifests/$sig"; }
# beside_put REGISTRY WORD...: a list of as many signatures, under the image's tag.
beside_put() {
    curl -sf -H 'Accept: */*' "http://$1/v2/team/web/manifests/$image" | python3 -c '
import json, sys
manifest = json.load(sys.stdin)
manifest["layers"] = [dict(manifest["config"], annotations={"signature": word}) for word in sys.argv[1:]]
print(json.dumps({key: manifest[key] for key in ("schemaVersion", "mediaType", "config", "layers")}))' "${@:2}" |
        curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @- "http://$1/v2/team/web/manifests/$sig" || fail "$1 takes no $sig"
}
beside_put "$first" ours
beside_put "$REGISTRY" theirs
ends 1 ingot promote "$upstream/team/web" dev "$second" dev
grep -q "nothing is promoted: .*$sig: .*another one under this tag" "$TMP/out" || fail "signatures that stay behind: $(cat "$TMP/out")"
[ "$(ingot channels "$second" --json | python3 -c 'import json,sys; print([e["version"] for e in json.load(sys.stdin) if e["channel"] == "dev"])')" = "['1.0.0']" ] ||
    fail "it is promoted all the same: $(ingot channels "$second")"
beside_put "$REGISTRY" theirs ours
beside "$REGISTRY" >"$TMP/both"
ends 0 ingot promote "$upstream/team/web" dev "$second" dev
beside "$REGISTRY" | cmp - "$TMP/both" || fail "signatures of the second registry are gone"
beside_put "$first" ours theirs later
ends 0 ingot promote "$upstream/team/web" dev "$second" dev
beside "$first" | cmp - <(beside "$REGISTRY") || fail "a signature that came later stays behind: $(beside "$REGISTRY")"
ok "a promotion between registries leaves no signature of cosign's behind"
