#!/bin/bash
# ingot validate and recipes/recipe.schema.json: they agree on the corpus, every mistake has its place, and hostile files
# are refused quickly. Alone: tests/system/validate.sh
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

corpus=tests/builder/recipe/corpus

# expect STATUS ARGUMENT...: validate ends with it, within seconds; what it says is in $TMP/out and $TMP/err.
expect() {
    local status=0 wanted=$1 begin=$SECONDS
    shift
    ingot validate "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    [ "$status" = "$wanted" ] || fail "$*: exit status $status, not $wanted: $(head -c 2000 "$TMP/err")"
    [ $((SECONDS - begin)) -lt 10 ] || fail "$*: took $((SECONDS - begin)) s"
}

says() {
    grep -qF -- "$1" "$TMP/err" || fail "expected '$1' among: $(head -c 2000 "$TMP/err")"
}

# What the schema says of each recipe, as "good FILE" or "bad FILE".
python3 - recipes/recipe.schema.json recipes/*.yaml "$corpus"/*/*.yaml >"$TMP/verdicts" <<'PYTHON'
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

for recipe in recipes/*.yaml "$corpus"/good/*.yaml; do
    grep -qx "good $recipe" "$TMP/verdicts" || fail "$recipe: the schema refuses a good recipe"
    expect 0 "$recipe"
done
for recipe in recipes/*.yaml; do
    head -1 "$recipe" | grep -qx '# yaml-language-server: .schema=recipe.schema.json' ||
        fail "$recipe: its first line does not name the schema"
done
for recipe in "$corpus"/bad/*.yaml; do
    grep -qx "bad $recipe" "$TMP/verdicts" || fail "$recipe: the schema takes a bad recipe"
done
# deeper: what a schema can't see.
for recipe in "$corpus"/bad/*.yaml "$corpus"/deeper/*.yaml; do
    expect 2 "$recipe"
    grep -qE "^$recipe:[0-9]+:[0-9]+: ." "$TMP/err" || fail "$recipe: no place in: $(cat "$TMP/err")"
done

ok "schema and parser agree on $(wc -l <"$TMP/verdicts") recipes, each mistake has its place"

# All mistakes of several recipes at once, with the nearest words.
expect 2 $corpus/bad/step-kind.yaml $corpus/good/smallest.yaml $corpus/bad/firmware.yaml
says "step-kind.yaml:3:10: unknown step 'shel' (did you mean 'shell'?)"
says "firmware.yaml:3:21: 'firmware': unknown word 'efi' (did you mean 'uefi'?)"
grep -qx "$corpus/good/smallest.yaml: valid" "$TMP/out" || fail "a good recipe among bad ones is not told"

ok "all mistakes of all recipes are told, with the nearest words"

# A secret is in no output.
export INGOT_VAR_token=quite-secret
expect 0 --json $corpus/good/everything.yaml
unset INGOT_VAR_token
! grep -q 'quite-secret' "$TMP/out" "$TMP/err" || fail 'a secret is shown'
grep -q '"TOKEN": "\*\*\*"' "$TMP/out" || fail 'a secret is not masked'
expect 2 --var tokn=quite-secret $corpus/good/everything.yaml
says "--var: the recipe has no variable 'tokn' (did you mean 'token'?)"

ok "secrets are masked"

# Hostile files.
{ printf 'name: '; head -c 10485760 /dev/zero | tr '\0' x; } >"$TMP/big.yaml"
expect 2 "$TMP/big.yaml"
head -c 1000000 /dev/zero | tr '\0' '[' >"$TMP/deep.yaml"
expect 2 "$TMP/deep.yaml"
says 'nested deeper'
{
    echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
    for i in 1 2 3 4 5 6 7 8 9 10; do
        alias="*a$((i - 1))"
        echo "a$i: &a$i [$alias, $alias, $alias, $alias, $alias, $alias, $alias, $alias, $alias]"
    done
} >"$TMP/laughs.yaml"
expect 2 "$TMP/laughs.yaml"
says 'counting each alias in full'
printf 'name: a\0b\n' >"$TMP/nul.yaml"
expect 2 "$TMP/nul.yaml"
says 'nul.yaml:1:8: a NUL byte'
printf 'name: a\377b\n' >"$TMP/bytes.yaml"
expect 2 "$TMP/bytes.yaml"
says 'bytes.yaml:1:8: the byte 0xff is not valid UTF-8'
ok "a file of 10 MB, deep nesting, a billion laughs, NULs and invalid UTF-8 are refused quickly"

# What is no file where one is meant, and what is too long for a script.
for case in 'script-folder.yaml:4:11: '"'.'"'|is a folder; a file is expected' 'key-folder.yaml:3:28|is a folder; a file is expected' \
    'image-device.yaml:4:11|is a device, socket or pipe; a file is expected' \
    'upload-device.yaml:4:16|is a device, socket or pipe; a file or a folder is expected'; do
    expect 2 "$corpus/deeper/${case%%:*}"
    says "${case%%|*}"
    says "${case##*|}"
done
truncate -s 17M "$TMP/long.sh"
printf 'name: web\nsource: {from: base}\nsteps: [{script: long.sh}]\n' >"$TMP/long.yaml"
expect 2 "$TMP/long.yaml"
says "long.sh' has "
ok "folders, devices and long scripts are refused where a file is meant"

# A pipe is read where somebody writes into it; a wait for that ends with a signal or with --timeout.
expect 0 /dev/stdin < <(cat "$corpus/good/smallest.yaml")
expect 0 <(sleep 0.3; cat "$corpus/good/smallest.yaml")
mkfifo "$TMP/ff"
# interrupted COMMAND...: its status after a SIGTERM, which comes as soon as the program that `ingot` becomes heeds it: before that,
# the signal ends it like any other.
interrupted() {
    local pid
    status=0
    "$@" >"$TMP/out" 2>"$TMP/err" &
    pid=$!
    ENDING+=("$pid")
    until [[ $(readlink "/proc/$pid/exe") == */ingot-build* ]] && (((0x$(sed -n 's/^SigCgt:\s*//p' "/proc/$pid/status") >> 14) & 1)); do
        kill -0 $pid 2>/dev/null || fail "'$*' ended before the signal: $(cat "$TMP/err")"
    done
    kill $pid
    timeout 20 tail --pid=$pid -f /dev/null || fail "'$*' does not end by a signal"
    wait $pid || status=$?
}
# ends STATUS COMMAND...: it does so within seconds of a SIGTERM.
ends() {
    local wanted=$1
    shift
    interrupted "$@"
    [ "$status" = "$wanted" ] || fail "'$*' ends with $status, not $wanted: $(cat "$TMP/err")"
}
ends 130 ingot validate "$TMP/ff"
ends 130 ingot plan "$TMP/ff"
ends 130 ingot build "$TMP/ff"
ends 130 ingot validate --var-file "$TMP/ff" "$corpus/good/smallest.yaml"
# A folder may hold a machine; this one holds none.
for file in "$TMP" "$TMP/ff"; do
    status=0
    timeout 20 ingot pack "$file" x:1 >"$TMP/out" 2>"$TMP/err" || status=$?
    [ "$status" = 2 ] || fail "'ingot pack $file' ends with $status: $(cat "$TMP/err")"
done
says "a disk is a file or a block device"
status=0
timeout -k 20 20 ingot build --timeout 1s "$TMP/ff" 2>"$TMP/err" || status=$?
[ "$status" = 130 ] || fail "--timeout does not end a wait for a pipe: $status"
says "took longer than --timeout 1s"
ok "a pipe that nobody writes into ends with a signal, and with --timeout"

# What several recipes, or a word, make of it.
mkdir "$TMP/twins" "$TMP/cycle" "$TMP/empty"
printf 'name: web\nsource: {from: base}\n' | tee "$TMP/twins/a.yaml" >"$TMP/twins/b.yaml"
expect 2 "$TMP/twins"
says "b.yaml: its image would be web:latest, as that of $TMP/twins/a.yaml"
printf 'name: c1\nsource: {recipe: c2.yaml}\n' >"$TMP/cycle/c1.yaml"
printf 'name: c2\nsource: {recipe: c1.yaml}\n' >"$TMP/cycle/c2.yaml"
expect 2 "$TMP/cycle/c1.yaml"
says "c2.yaml:2:18: the recipe is based on itself: c1.yaml → c2.yaml → c1.yaml"
expect 2 "$TMP/empty"
says "there is no recipe"
expect 2 ""
says "a recipe's file, or a folder of recipes, is expected"
printf 'name: web\nsource: {from: base}\nsteps:\n- &s {shell: "true"}\n- {<<: *s, name: again}\n' >"$TMP/merge.yaml"
expect 2 "$TMP/merge.yaml"
says "merge.yaml:5:4: merge keys ('<<') are not used in recipes"
ok "twins, cycles, empty folders and merge keys are told in words"

# Once a signal has come, nothing is said to be valid.
{
    printf 'name: web\nsource: {from: base}\nsteps:\n'
    for i in $(seq 20000); do echo "- shell: echo \${recipe.name} $i"; done
} >"$TMP/long-one.yaml"
status=0
interrupted ingot validate "$TMP/long-one.yaml" "$TMP/ff"
[ "$status" = 130 ] || fail "an interrupted validate ends with $status"
[ ! -s "$TMP/out" ] || fail "an interrupted validate says: $(cat "$TMP/out")"
ok "an interrupted validate says nothing is valid"
for words in 'build --help' --help --version; do
    status=0
    # shellcheck disable=SC2086 # words
    ingot $words >/dev/full 2>"$TMP/err" || status=$?
    [ "$status" = 1 ] || fail "ingot $words >/dev/full ends with $status"
    says "cannot write to standard output"
done
ok "help that does not reach its reader is a failure"
