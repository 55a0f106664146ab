#include "cli/evidence.h"

#include <ingot/error.h>
#include <stdio.h>

#include "base/text.h"
#include "evidence/packages.h"
#include "evidence/provenance.h"
#include "evidence/testresult.h"
#include "store/attached.h"
#include "trust/base64.h"
#include "trust/bundle.h"

#define RECIPE_TYPE "application/vnd.ingot.recipe.v1+tar"
#define RECIPE_PATH "vnd.ingot.recipe"
#define RECIPE_LEFT_OUT "vnd.ingot.recipe.left-out"
#define TYPES_MOST 8u

/* The first layer, of at most that many bytes. */
static GBytes *evidence_content(const ImagePlace *place, const json_t *root, gsize limit, GError **error)
{
    const json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    const char *text = json_string_value(json_object_get(layer, "digest"));
    IngotDigest digest;
    if (text == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it has no content");
        return NULL;
    }
    if (!ingot_digest_parse(text, &digest, error)) {
        return NULL;
    }
    return image_place_blob(place, &digest, limit, error);
}

/* --- packages --- */

static gboolean packages_describe(json_t *one, GBytes *content, GError **error)
{
    g_autoptr(GPtrArray) packages = packages_parse(g_bytes_get_data(content, NULL), g_bytes_get_size(content), error);
    if (packages == NULL) {
        return FALSE;
    }
    json_t *types = json_array();
    for (guint i = 0; i < packages->len; i++) {
        const char *type = ((const Package *)g_ptr_array_index(packages, i))->type;
        if (type != NULL && json_array_size(types) < TYPES_MOST && !ingot_json_has_text(types, type)) {
            json_array_append_new(types, ingot_json_text(type));
        }
    }
    json_object_set_new(one, "count", json_integer(packages->len));
    json_object_set_new(one, "types", types);
    return TRUE;
}

/* --- statements --- */

static void tests_describe(json_t *one, const TestResult *result)
{
    json_t *recipes = json_array();
    for (guint i = 0; i < result->recipes->len; i++) {
        json_array_append_new(recipes,
                              ingot_json_text(((const TestRecipe *)g_ptr_array_index(result->recipes, i))->name));
    }
    json_object_set_new(one, "kind", json_string("tests"));
    json_object_set_new(one, "result", json_string(result->passed ? "PASSED" : "FAILED"));
    json_object_set_new(one, "passed", json_integer(result->good->len));
    json_object_set_new(one, "failed", json_integer(result->bad->len));
    json_object_set_new(one, "recipes", recipes);
    ingot_json_set_string(one, "environment", result->environment);
    ingot_json_set_string(one, "finished", result->finished);
    if (json_object_size(result->variables) > 0) {
        json_object_set(one, "variables", result->variables);
    }
}

static void provenance_describe(json_t *one, const Provenance *provenance)
{
    json_object_set_new(one, "kind", json_string("provenance"));
    ingot_json_set_string(one, "repository", provenance->repository);
    ingot_json_set_string(one, "branch", provenance->branch);
    ingot_json_set_string(one, "commit", provenance->commit);
    json_object_set_new(one, "clean", json_boolean(provenance->clean));
    ingot_json_set_string(one, "recipe", provenance->recipe_path);
    ingot_json_set_string(one, "base", provenance->base);
    ingot_json_set_string(one, "base_digest", provenance->base_digest);
    ingot_json_set_string(one, "builder", provenance->builder);
    ingot_json_set_string(one, "finished", provenance->finished);
}

static gboolean statement_describe(json_t *one, GBytes *content, const IngotDigest *image, GError **error)
{
    g_autoptr(Statement) statement = statement_parse(g_bytes_get_data(content, NULL), g_bytes_get_size(content), error);
    if (statement == NULL) {
        return FALSE;
    }
    ingot_json_set_string(one, "predicate", statement->predicate_type);
    json_object_set(one, "subjects", json_object_get(statement->root, "subject"));
    if (!statement_is_about(statement, image)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it is about another image");
        return FALSE;
    }
    g_autoptr(TestResult) result = test_result_read(statement, NULL);
    g_autoptr(Provenance) provenance = provenance_read(statement, NULL);
    if (result != NULL) {
        tests_describe(one, result);
    } else if (provenance != NULL) {
        provenance_describe(one, provenance);
    }
    return TRUE;
}

/* --- all --- */

/* A bundle that holds a report or provenance is told as that. */
static gboolean signature_describe(json_t *one, GBytes *content, const IngotDigest *image, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(content, "signature", INGOT_MANIFEST_VALUES, error);
    const json_t *material = json_object_get(root, "verificationMaterial");
    const json_t *key = json_object_get(material, "publicKey");
    const json_t *envelope = json_object_get(root, "dsseEnvelope");
    const char *payload = json_string_value(json_object_get(envelope, "payload"));
    g_autoptr(GBytes) statement = payload == NULL ? NULL : base64_read(payload, STATEMENT_MAX);
    json_object_set_new(one, "signed", json_true());
    ingot_json_set_string(one, "hint", json_string_value(json_object_get(key, "hint")));
    return root != NULL && (statement == NULL || statement_describe(one, statement, image, error));
}

static void recipe_describe(json_t *one, const json_t *root)
{
    const json_t *annotations = json_object_get(root, "annotations");
    const char *left = json_string_value(json_object_get(annotations, RECIPE_LEFT_OUT));
    g_auto(GStrv) lines = left == NULL ? NULL : g_strsplit(left, "\n", -1);
    json_t *list = json_array();
    for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
        json_array_append_new(list, ingot_json_text(lines[i]));
    }
    ingot_json_set_string(one, "path", json_string_value(json_object_get(annotations, RECIPE_PATH)));
    json_object_set_new(one, "left_out", list);
}

static const char *kind_of(const char *type)
{
    return g_strcmp0(type, INGOT_TYPE_SPDX) == 0     ? "packages"
           : g_strcmp0(type, INGOT_TYPE_JUNIT) == 0  ? "tests"
           : g_strcmp0(type, TRUST_BUNDLE_TYPE) == 0 ? "signature"
           : g_strcmp0(type, RECIPE_TYPE) == 0       ? "recipe"
                                                     : "other";
}

static gboolean evidence_describe(json_t *one, const ImagePlace *place, const json_t *root, const IngotDigest *image,
                                  GError **error)
{
    const char *type = attached_type(root);
    gboolean packages = g_strcmp0(type, INGOT_TYPE_SPDX) == 0;
    gboolean statement = g_strcmp0(type, STATEMENT_TYPE) == 0;
    gboolean signature = g_strcmp0(type, TRUST_BUNDLE_TYPE) == 0;
    ingot_json_set_string(one, "type", type);
    json_object_set_new(one, "kind", json_string(kind_of(type)));
    if (g_strcmp0(type, RECIPE_TYPE) == 0) {
        recipe_describe(one, root);
    }
    if (!packages && !statement && !signature) {
        return TRUE;
    }
    gsize limit = packages ? PACKAGES_MAX : statement ? STATEMENT_MAX : TRUST_BUNDLE_MAX;
    g_autoptr(GBytes) content = evidence_content(place, root, limit, error);
    return content != NULL && (packages    ? packages_describe(one, content, error)
                               : statement ? statement_describe(one, content, image, error)
                                           : signature_describe(one, content, image, error));
}

json_t *evidence_of(const ImagePlace *place, const IngotDigest *attached, const IngotDigest *image)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(attached, text);
    json_t *one = ingot_json_pack("{s:s, s:s}", "digest", text, "kind", "other");
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = image_place_manifest(place, attached, &problem);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "attachment", INGOT_MANIFEST_VALUES, &problem);
    if (root == NULL || !evidence_describe(one, place, root, image, &problem)) {
        ingot_json_set_string(one, "problem", problem->message);
    }
    return one;
}

GBytes *evidence_read(const ImagePlace *place, const IngotDigest *attached, const IngotDigest *image, gsize most,
                      char **type, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, text);
    g_autoptr(GBytes) bytes = image_place_manifest(place, attached, error);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "attachment", INGOT_MANIFEST_VALUES, error);
    if (root == NULL) {
        return NULL;
    }
    const char *subject = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    if (g_strcmp0(subject, text) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is attached to another image, or to none");
        return NULL;
    }
    *type = g_strdup(attached_type(root));
    return evidence_content(place, root, most, error);
}

/* --- for people --- */

static const char *said(const json_t *one, const char *key)
{
    return json_string_value(json_object_get(one, key));
}

static void add_part(GString *line, const char *before, const char *text)
{
    if (text != NULL) {
        g_string_append_printf(line, "%s%s%s", line->len == 0 ? "" : ", ", before, text);
    }
}

static void add_list(GString *line, const char *before, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        add_part(line, before, json_string_value(json_array_get(list, i)));
    }
}

static void add_tests(GString *line, const json_t *one)
{
    const char *result = said(one, "result");
    add_part(line, "", result == NULL ? "a JUnit report of an older Ingot" : result);
    if (result != NULL) {
        g_string_append_printf(line, " (%" JSON_INTEGER_FORMAT " passed, %" JSON_INTEGER_FORMAT " failed)",
                               json_integer_value(json_object_get(one, "passed")),
                               json_integer_value(json_object_get(one, "failed")));
    }
    add_part(line, "", said(one, "finished"));
    add_part(line, "environment ", said(one, "environment"));
    add_list(line, "recipe ", json_object_get(one, "recipes"));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(one, "variables"), name, value)
    {
        const char *text = json_string_value(value);
        g_autofree char *set = g_strdup_printf("%s=%s", name, text == NULL ? "?" : text);
        add_part(line, "with ", set);
    }
}

static void add_provenance(GString *line, const json_t *one)
{
    const char *commit = said(one, "commit");
    add_part(line, "", said(one, "repository"));
    add_part(line, "commit ", commit);
    add_part(line, "",
             commit == NULL                                ? "not from a git repository"
             : json_is_true(json_object_get(one, "clean")) ? "clean"
                                                           : "with changes that are not in the commit");
    add_part(line, "base ", said(one, "base"));
}

void evidence_print(const json_t *one)
{
    g_autoptr(GString) line = g_string_new(NULL);
    const char *kind = said(one, "kind"), *problem = said(one, "problem");
    if (problem != NULL) {
        add_part(line, "not readable: ", problem);
    } else if (g_strcmp0(kind, "packages") == 0) {
        g_string_append_printf(line, "%" JSON_INTEGER_FORMAT " packages",
                               json_integer_value(json_object_get(one, "count")));
        add_list(line, "", json_object_get(one, "types"));
    } else if (g_strcmp0(kind, "tests") == 0) {
        add_tests(line, one);
    } else if (g_strcmp0(kind, "provenance") == 0) {
        add_provenance(line, one);
    } else if (g_strcmp0(kind, "signature") == 0) {
        add_part(line, "", "present");
    } else if (g_strcmp0(kind, "recipe") == 0) {
        add_part(line, "", said(one, "path"));
        add_list(line, "without ", json_object_get(one, "left_out"));
    }
    if (problem == NULL && json_array_size(json_object_get(one, "subjects")) > 1) {
        g_string_append_printf(line, "%sabout %zu subjects", line->len == 0 ? "" : ", ",
                               json_array_size(json_object_get(one, "subjects")));
    }
    if (problem == NULL && json_is_true(json_object_get(one, "signed"))) {
        add_part(line, "", "not verified");
        add_part(line, "key ", said(one, "hint"));
    }
    if (problem != NULL || line->len == 0) {
        add_part(line, "", said(one, "type"));
    }
    g_autofree char *shown = ingot_text_line(line->str);
    printf("%-12s %s\n", g_strcmp0(kind, "other") == 0 ? "attached" : kind, shown);
}
