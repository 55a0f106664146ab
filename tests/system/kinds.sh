#!/bin/bash
# A new kind of source, step or test is one file and one line: in a copy of the tree, each is added so, and is there.
# Needs no machine. Alone: tests/system/kinds.sh
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

tree=$TMP/tree
mkdir "$tree"
git ls-files -z Makefile builder registry include .ci | xargs -0 cp --parents -t "$tree"
# What is built already is not built again: only what has a new line in it.
mkdir -p "$tree/build"
cp -a "$B/builder" "$B/registry" "$tree/build/"
find "$B" -maxdepth 1 -name '*.a' -exec cp -a {} "$tree/build/" \;
touch -r Makefile "$tree/Makefile"
while read -r -d '' file; do touch -r "$file" "$tree/$file"; done < <(git ls-files -z builder registry include)

cat >"$tree/builder/source/void.c" <<'C'
/* void: a source that stands for a test's. */
#include "recipe/rows.h"
#include "source/kinds.h"

static const Key void_keys[] = {
    {.name = "void", .help = "How empty it is.", .kind = KIND_WORD, .words = WORDS("very"), .required = TRUE},
    END,
};
static const Shape void_shape = {.name = "sourceVoid", .help = "Nothing.", .keys = void_keys};
const Variant recipe_source_void = {"void", "void", &void_shape};

const SourceKind source_void = {.kind = "void"};
C
cat >"$tree/builder/step/sing.c" <<'C'
/* sing: a step that stands for a test's. */
#include "recipe/rows.h"
#include "step/context.h"
#include "step/kinds.h"

static const Key sing_keys[] = {
    STEP_COMMON,
    {.name = "sing", .help = "The song.", .kind = KIND_STRING, .required = TRUE},
    END,
};
static const Shape sing_shape = {.name = "stepSing", .help = "Sings.", .keys = sing_keys};
const Variant recipe_step_sing = {"sing", "sing", &sing_shape};

static char *sing_title(const json_t *step)
{
    return g_strdup_printf("sing %s", json_string_value(json_object_get(step, "sing")));
}

const StepKind step_sing = {.kind = "sing", .title = sing_title};
C
cat >"$tree/builder/check/silence.c" <<'C'
/* silence: a test that stands for a test's. */
#include "check/kinds.h"
#include "recipe/rows.h"

static const Key silence_keys[] = {
    NAME, {.name = "silence", .help = "How long.", .kind = KIND_DURATION, .required = TRUE}, TEST_TIMEOUT, END,
};
static const Shape silence_shape = {.name = "testSilence", .help = "Silence.", .keys = silence_keys};
const Variant recipe_test_silence = {"silence", "silence", &silence_shape};

static char *silence_title(const json_t *test)
{
    (void)test;
    return g_strdup("silence");
}

const CheckKind check_silence = {.kind = "silence", .title = silence_title};
C
sed -i -E 's/^#define RECIPE_SOURCES\(KIND\).*/&\n    KIND(void) \\/; s/^#define RECIPE_STEPS\(KIND\).*/&\n    KIND(sing) \\/; s/^#define RECIPE_TESTS\(KIND\).*/&\n    KIND(silence) \\/' \
    "$tree/builder/recipe/kinds.h"
# What the program asks of each kind, without a machine.
cat >"$tree/ask.c" <<'C'
#include <stdio.h>

#include "check/kinds.h"
#include "source/kinds.h"
#include "step/step.h"

int main(void)
{
    g_autoptr(json_t) step = json_pack("{s:s, s:s}", "kind", "sing", "sing", "la");
    g_autoptr(json_t) test = json_pack("{s:s}", "kind", "silence");
    g_autofree char *title = step_title(step), *silence = check_kind(test)->title(test);
    printf("%s, %s, %s\n", title, silence, source_void.kind);
    return 0;
}
C
make -C "$tree" --no-print-directory B=build -j2 ${CC:+CC="$CC"} programs >"$TMP/log" 2>&1 || fail "the tree does not build: $(tail -20 "$TMP/log")"
ok "three kinds are three files and three lines: the tree builds"

printf 'name: x\nsource: {void: very}\nsteps: [{sing: la la, cache: disk}]\ntests: [{silence: 5s}]\n' >"$TMP/x.yaml"
"$tree/build/libexec/ingot-validate" --json "$TMP/x.yaml" >"$TMP/out" || fail "the recipe is refused"
python3 - "$TMP/out" <<'PY'
import json, sys
tree = json.load(open(sys.argv[1]))[0]["recipe"]
assert tree["source"] == {"kind": "void", "void": "very"}, tree
assert tree["steps"][0]["kind"] == "sing" and tree["steps"][0]["cache"] == "disk", tree
assert tree["tests"][0] == {"kind": "silence", "silence": 5, "timeout": 60}, tree
PY
printf 'name: x\nsource: {void: a bit}\nsteps: [{sinf: la}]\n' >"$TMP/y.yaml"
expect 2 "$tree/build/libexec/ingot-validate" "$TMP/y.yaml"
grep -q "unknown word 'a bit'; known: very" "$TMP/err" || fail "a wrong word is not told: $(cat "$TMP/err")"
grep -q "unknown step 'sinf' (did you mean 'sing'?)" "$TMP/err" || fail "a wrong step is not told: $(cat "$TMP/err")"
"$tree/build/libexec/ingot-validate" --schema >"$TMP/schema"
for shape in sourceVoid stepSing testSilence; do
    grep -q "\"$shape\": {" "$TMP/schema" || fail "the schema has no $shape"
done
ok "recipes, messages and the schema know them"

libraries=$(sed -nE 's/^(builder_|server_)?libraries := //p' Makefile | tr '\n' ' ')
# shellcheck disable=SC2046,SC2086
gcc -std=gnu17 -D_GNU_SOURCE -I"$tree/include" -I"$tree/registry" -I"$tree/builder" $(pkg-config --cflags $libraries) \
    -o "$TMP/ask" "$tree/ask.c" "$tree/build/libbuilder.a" "$tree/build/libyaml.a" "$tree/build/libingot.a" $(pkg-config --libs $libraries)
[ "$("$TMP/ask")" = "sing la, silence, void" ] || fail "the kinds are not asked: $("$TMP/ask")"
ok "the tables of the rooms have them"
