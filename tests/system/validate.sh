#!/bin/bash
# ingot validate and recipes/recipe.schema.json: they agree on the corpus, every mistake has its place, and hostile files
# are refused quickly. Alone: tests/system/validate.sh
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

ingot=${B:-build}/ingot
corpus=tests/builder/recipe/corpus
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ingot-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    echo "validate: $*" >&2
    failed=1
}

# expect STATUS RECIPE…: validate ends with it; what it says is in $work/out and $work/err.
expect() {
    local status=0 wanted=$1
    shift
    timeout 20 "$ingot" validate "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = "$wanted" ] || wrong "$*: exit status $status, not $wanted: $(head -c 2000 "$work/err")"
}

says() {
    grep -qF -- "$1" "$work/err" || wrong "expected '$1' among: $(head -c 2000 "$work/err")"
}

# What the schema says of each recipe, as "good FILE" or "bad FILE".
python3 - recipes/recipe.schema.json recipes/*.yaml $corpus/*/*.yaml >"$work/verdicts" <<'PYTHON'
import json, sys
import jsonschema, yaml
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sys.argv[2:]:
    try:
        good = validator.is_valid(yaml.safe_load(open(path)))
    except (yaml.YAMLError, RecursionError):
        good = False
    print("good" if good else "bad", path)
PYTHON

for recipe in recipes/*.yaml $corpus/good/*.yaml; do
    grep -qx "good $recipe" "$work/verdicts" || wrong "$recipe: the schema refuses a good recipe"
    expect 0 "$recipe"
    head -1 "$recipe" | grep -q . || wrong "$recipe: empty"
done
for recipe in recipes/*.yaml; do
    [ "$(head -1 "$recipe")" = '# yaml-language-server: $schema=recipe.schema.json' ] ||
        wrong "$recipe: its first line does not name the schema"
done
for recipe in $corpus/bad/*.yaml; do
    grep -qx "bad $recipe" "$work/verdicts" || wrong "$recipe: the schema takes a bad recipe"
done
# deeper: what a schema can't see.
for recipe in $corpus/bad/*.yaml $corpus/deeper/*.yaml; do
    expect 2 "$recipe"
    grep -qE "^$recipe:[0-9]+:[0-9]+: ." "$work/err" || wrong "$recipe: no place in: $(cat "$work/err")"
done

# All mistakes of several recipes at once, with the nearest words.
expect 2 $corpus/bad/step-kind.yaml $corpus/good/smallest.yaml $corpus/bad/firmware.yaml
says "step-kind.yaml:3:10: unknown step 'shel' (did you mean 'shell'?)"
says "firmware.yaml:3:21: 'firmware': unknown word 'efi' (did you mean 'uefi'?)"
grep -qx "$corpus/good/smallest.yaml: valid" "$work/out" || wrong "a good recipe among bad ones is not told"

# A secret is in no output.
INGOT_VAR_token=quite-secret expect 0 --json $corpus/good/everything.yaml
grep -q 'quite-secret' "$work/out" "$work/err" && wrong 'a secret is shown'
grep -q '"TOKEN": "\*\*\*"' "$work/out" || wrong 'a secret is not masked'
expect 2 --var tokn=quite-secret $corpus/good/everything.yaml
says "--var: the recipe has no variable 'tokn' (did you mean 'token'?)"

# Hostile files.
{ printf 'name: '; head -c 10485760 /dev/zero | tr '\0' x; } >"$work/big.yaml"
expect 2 "$work/big.yaml"
head -c 1000000 /dev/zero | tr '\0' '[' >"$work/deep.yaml"
expect 2 "$work/deep.yaml"
says 'nested deeper'
{
    echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
    for i in 1 2 3 4 5 6 7 8 9 10; do
        alias="*a$((i - 1))"
        echo "a$i: &a$i [$alias, $alias, $alias, $alias, $alias, $alias, $alias, $alias, $alias]"
    done
} >"$work/laughs.yaml"
expect 2 "$work/laughs.yaml"
says 'counting each alias in full'
printf 'name: a\0b\n' >"$work/nul.yaml"
expect 2 "$work/nul.yaml"
says 'nul.yaml:1:8: a NUL byte'
printf 'name: a\377b\n' >"$work/bytes.yaml"
expect 2 "$work/bytes.yaml"
says 'bytes.yaml:1:8: the byte 0xff is not valid UTF-8'

[ $failed = 0 ] && echo "validate: ok"
exit $failed
