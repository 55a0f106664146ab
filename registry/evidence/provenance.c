#include "evidence/provenance.h"

#include <ingot/error.h>

#define BASE "base"
#define SHA256 "sha256:"

void provenance_free(Provenance *provenance)
{
    if (provenance == NULL) {
        return;
    }
    char *texts[] = {provenance->recipe_path, provenance->recipe,   provenance->repository,  provenance->branch,
                     provenance->commit,      provenance->base,     provenance->base_digest, provenance->builder,
                     provenance->required_by, provenance->required, provenance->version,     provenance->started,
                     provenance->finished};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_free(texts[i]);
    }
    json_decref(provenance->variables);
    g_free(provenance);
}

static char *copy_text(const json_t *object, const char *key)
{
    return g_strdup(json_string_value(json_object_get(object, key)));
}

/* A DigestSet's SHA-256, as everything else here writes it; NULL: it has none. */
static char *copy_digest(const json_t *set)
{
    const char *hex = json_string_value(json_object_get(set, "sha256"));
    g_autofree char *text = hex == NULL ? NULL : g_strconcat(SHA256, hex, NULL);
    IngotDigest digest;
    return text != NULL && ingot_digest_parse(text, &digest, NULL) ? g_steal_pointer(&text) : NULL;
}

static void provenance_read_base(Provenance *provenance, const json_t *dependencies)
{
    for (size_t i = 0; i < json_array_size(dependencies); i++) {
        const json_t *one = json_array_get(dependencies, i);
        if (provenance->base == NULL && g_strcmp0(json_string_value(json_object_get(one, "name")), BASE) == 0) {
            provenance->base = copy_text(one, "uri");
            provenance->base_digest = copy_digest(json_object_get(one, "digest"));
        }
    }
}

Provenance *provenance_read(const Statement *statement, GError **error)
{
    const json_t *definition = json_object_get(statement->predicate, "buildDefinition");
    const char *type = json_string_value(json_object_get(definition, "buildType"));
    if (g_strcmp0(statement->predicate_type, PROVENANCE_PREDICATE) != 0 ||
        g_strcmp0(type, PROVENANCE_BUILD_TYPE) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "this statement is not the provenance of a build by a recipe");
        return NULL;
    }
    Provenance *provenance = g_new0(Provenance, 1);
    const json_t *said = json_object_get(definition, "externalParameters");
    const json_t *recipe = json_object_get(said, "recipe");
    provenance->recipe_path = copy_text(recipe, "path");
    provenance->recipe = copy_digest(json_object_get(recipe, "digest"));
    provenance->variables = json_incref(json_object_get(said, "variables"));
    provenance->repository = copy_text(said, "repository");
    provenance->branch = copy_text(said, "branch");
    provenance->commit = copy_text(said, "commit");
    provenance->clean = json_is_true(json_object_get(said, "clean"));
    const json_t *required = json_object_get(said, "required");
    provenance->required_by = copy_text(required, "pipeline");
    provenance->required = copy_digest(json_object_get(required, "digest"));
    provenance_read_base(provenance, json_object_get(definition, "resolvedDependencies"));
    const json_t *run = json_object_get(statement->predicate, "runDetails");
    const json_t *builder = json_object_get(run, "builder");
    provenance->builder = copy_text(builder, "id");
    provenance->version = copy_text(json_object_get(builder, "version"), "ingot");
    provenance->started = copy_text(json_object_get(run, "metadata"), "startedOn");
    provenance->finished = copy_text(json_object_get(run, "metadata"), "finishedOn");
    return provenance;
}

static json_t *digest_set(const char *digest)
{
    return digest == NULL || !g_str_has_prefix(digest, SHA256)
               ? NULL
               : json_pack("{s:s}", "sha256", digest + sizeof SHA256 - 1);
}

static void set_unless_null(json_t *object, const char *key, json_t *value)
{
    if (value != NULL) {
        json_object_set_new(object, key, value);
    }
}

static json_t *dependencies_json(const Provenance *provenance)
{
    json_t *list = json_array();
    if (provenance->commit != NULL) {
        json_t *source = json_object();
        if (provenance->repository != NULL) {
            g_autofree char *uri = g_strconcat("git+", provenance->repository, NULL);
            ingot_json_set_string(source, "uri", uri);
        }
        json_object_set_new(source, "digest",
                            ingot_json_pack("{s:o}", "gitCommit", ingot_json_text(provenance->commit)));
        json_array_append_new(list, source);
    }
    if (provenance->base != NULL) {
        json_t *base = ingot_json_pack("{s:s, s:o}", "name", BASE, "uri", ingot_json_text(provenance->base));
        set_unless_null(base, "digest", digest_set(provenance->base_digest));
        json_array_append_new(list, base);
    }
    return list;
}

json_t *provenance_write(const Provenance *provenance)
{
    json_t *recipe = json_object();
    ingot_json_set_string(recipe, "path", provenance->recipe_path);
    set_unless_null(recipe, "digest", digest_set(provenance->recipe));
    json_t *said = ingot_json_pack("{s:o, s:b}", "recipe", recipe, "clean", provenance->clean);
    if (provenance->variables != NULL) {
        json_object_set(said, "variables", provenance->variables);
    }
    if (provenance->required != NULL) {
        json_t *required = json_object();
        ingot_json_set_string(required, "pipeline", provenance->required_by);
        set_unless_null(required, "digest", digest_set(provenance->required));
        json_object_set_new(said, "required", required);
    }
    ingot_json_set_string(said, "repository", provenance->repository);
    ingot_json_set_string(said, "branch", provenance->branch);
    ingot_json_set_string(said, "commit", provenance->commit);
    json_t *builder = json_object();
    ingot_json_set_string(builder, "id", provenance->builder);
    if (provenance->version != NULL) {
        json_object_set_new(builder, "version",
                            ingot_json_pack("{s:o}", "ingot", ingot_json_text(provenance->version)));
    }
    json_t *metadata = json_object();
    ingot_json_set_string(metadata, "startedOn", provenance->started);
    ingot_json_set_string(metadata, "finishedOn", provenance->finished);
    return ingot_json_pack("{s:{s:s, s:o, s:o}, s:{s:o, s:o}}", "buildDefinition", "buildType", PROVENANCE_BUILD_TYPE,
                           "externalParameters", said, "resolvedDependencies", dependencies_json(provenance),
                           "runDetails", "builder", builder, "metadata", metadata);
}
