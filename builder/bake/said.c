#include "bake/said.h"

#include <string.h>

#include "base/text.h"
#include "evidence/provenance.h"
#include "evidence/testresult.h"

static void said_recipe_digest(const Recipe *recipe, IngotDigest *digest)
{
    ingot_digest_of(recipe->public_text, strlen(recipe->public_text), digest);
}

static void names_add(GPtrArray *to, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        g_ptr_array_add(to, g_strdup(g_ptr_array_index(names, i)));
    }
}

/* One that a pipeline has added is known by its digest too. */
static void add_required_test(TestResult *result, const json_t *test)
{
    IngotDigest digest;
    const char *text = json_string_value(json_object_get(test, "digest"));
    gboolean known = text != NULL && ingot_digest_parse(text, &digest, NULL);
    test_result_add_recipe(result, json_string_value(json_object_get(test, "name")), known ? &digest : NULL);
}

json_t *said_of_tests(const Recipe *recipe, const CheckReport *report, const char *environment)
{
    g_autoptr(TestResult) result = test_result_new();
    g_autofree char *file = g_path_get_basename(recipe->path);
    IngotDigest digest;
    gboolean plain = json_object_size(recipe->chosen) == 0;
    said_recipe_digest(recipe, &digest);
    test_result_add_recipe(result, file, plain ? &digest : NULL);
    const json_t *tests = json_object_get(recipe->required, "tests");
    for (gsize i = 0; i < json_array_size(tests); i++) {
        add_required_test(result, json_array_get(tests, i));
    }
    names_add(result->good, report->good);
    names_add(result->bad, report->bad);
    result->passed = report->bad->len == 0;
    result->junit = check_junit(report->suite);
    result->environment = g_strdup(environment);
    result->finished = ingot_text_now();
    result->variables = plain ? NULL : json_incref(recipe->chosen);
    return test_result_write(result);
}

static char *said_text(const json_t *object, const char *key)
{
    return g_strdup(json_string_value(json_object_get(object, key)));
}

json_t *said_of_build(const Recipe *recipe, const json_t *config, const Origin *origin, gint64 started)
{
    const GitOrigin *place = &origin->place;
    IngotDigest digest;
    said_recipe_digest(recipe, &digest);
    g_autofree char *file = g_path_get_basename(recipe->path);
    const json_t *base = json_object_get(config, "base");
    g_autoptr(Provenance) provenance = g_new0(Provenance, 1);
    provenance->recipe_path = g_strconcat(place->prefix == NULL ? "" : place->prefix, file, NULL);
    provenance->recipe = ingot_digest_to_text(&digest);
    provenance->variables = json_incref(recipe->values);
    provenance->commit = g_strdup(origin->commit);
    provenance->clean = origin->clean;
    if (origin->commit != NULL) {
        provenance->repository = g_strdup(place->url);
        provenance->branch = g_strdup(place->branch);
    }
    provenance->base = said_text(base, "reference");
    provenance->base_digest = said_text(base, "digest");
    provenance->required_by = said_text(recipe->required, "pipeline");
    provenance->required = said_text(recipe->required, "digest");
    provenance->builder = g_strdup(PROVENANCE_LOCAL_BUILDER);
    provenance->version = g_strdup(INGOT_VERSION);
    provenance->started = ingot_text_time(started);
    provenance->finished = ingot_text_time(g_get_real_time() / G_USEC_PER_SEC);
    return provenance_write(provenance);
}
