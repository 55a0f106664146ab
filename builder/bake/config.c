#include "bake/config.h"

#include <string.h>

#include "base/text.h"
#include "evidence/requirement.h"

json_t *config_step(const NodeRun *run)
{
    char key[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&run->key, key);
    g_autofree char *ran = ingot_text_time(run->ran);
    /* Whole tenths: finer would be noise in a file that people compare. */
    double seconds = (double)(gint64)(run->seconds * 10 + 0.5) / 10;
    return ingot_json_pack("{s:s, s:s, s:f, s:s}", "key", key, "title", run->title, "seconds", seconds, "ran", ran);
}

/* Outside of a repository there is no commit to record. */
static void add_git(json_t *config, const Origin *origin)
{
    if (origin->commit != NULL) {
        json_object_set_new(
            config, "git",
            ingot_json_pack("{s:o, s:b}", "commit", ingot_json_text(origin->commit), "dirty", !origin->clean));
    }
}

static void add_required(json_t *config, const Recipe *recipe)
{
    if (recipe->required != NULL) {
        json_object_set_new(config, REQUIREMENT_CONFIG_KEY,
                            ingot_json_pack("{s:O, s:O}", "pipeline", json_object_get(recipe->required, "pipeline"),
                                            "digest", json_object_get(recipe->required, "digest")));
    }
}

static void set_digest(json_t *object, const char *key, const void *bytes, gsize size)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_of(bytes, size, &digest);
    ingot_digest_write_text(&digest, text);
    json_object_set_new(object, key, json_string(text));
}

/* By its digests the attached recipe is known from another one that somebody attaches. That of the text is of the shown
 * one: the whole one's would let anybody try what a secret in it may be. */
static json_t *recipe_object(const ConfigFacts *facts)
{
    const Recipe *recipe = facts->recipe;
    json_t *object = ingot_json_pack("{s:s, s:o}", "name", recipe->name, "text", ingot_json_text(recipe->public_text));
    json_object_set(object, "variables", recipe->values);
    ingot_json_set_string(object, "image", recipe->image);
    set_digest(object, "digest", recipe->public_text, strlen(recipe->public_text));
    if (facts->tar != NULL) {
        set_digest(object, "tar", g_bytes_get_data(facts->tar, NULL), g_bytes_get_size(facts->tar));
    }
    return object;
}

/* What it was baked and tested with, and is run with. */
static json_t *machine_object(const Recipe *recipe)
{
    RecipeMachine machine = recipe_machine(recipe);
    return ingot_json_pack("{s:I, s:I}", "cpus", (json_int_t)machine.cpus, "memory", (json_int_t)machine.memory);
}

/* What the source says stands unless the disk was booted otherwise. */
static void add_firmware(json_t *config, const ConfigFacts *facts)
{
    const char *own = recipe_machine(facts->recipe).uefi ? "uefi" : "bios";
    const json_t *said = json_object_get(config, "firmware");
    if (said == NULL || (facts->booted && !ingot_json_has_text(said, own))) {
        json_object_set_new(config, "firmware", json_pack("[s]", own));
    }
}

/* That the disk is sealed, and what of its machine may be in it nevertheless. */
static json_t *seal_object(const Recipe *recipe)
{
    json_t *keep = json_object_get(json_object_get(recipe->public_tree, "seal"), "keep");
    return ingot_json_pack("{s:o}", "keep", keep == NULL ? json_array() : json_copy(keep));
}

json_t *config_new(const ConfigFacts *facts)
{
    const Recipe *recipe = facts->recipe;
    json_t *config = facts->source == NULL ? json_object() : json_copy(facts->source);
    if (facts->os != NULL) {
        json_object_set(config, "os", facts->os);
    }
    add_firmware(config, facts);
    json_object_set_new(config, "seal", seal_object(recipe));
    json_object_set_new(config, "machine", machine_object(recipe));
    json_object_set_new(config, "recipe", recipe_object(facts));
    add_git(config, facts->origin);
    add_required(config, recipe);
    json_object_set_new(config, "builder", json_string("ingot " INGOT_VERSION));
    g_autofree char *now = ingot_text_now();
    json_object_set_new(config, "created", json_string(now));
    json_object_set(config, "steps", facts->steps);
    const json_t *outputs = json_object_get(recipe->public_tree, "outputs");
    if (json_array_size(outputs) > 0) {
        json_object_set(config, "outputs", (json_t *)outputs);
    }
    return config;
}

json_t *config_annotations(const Recipe *recipe, const json_t *config, const char *version)
{
    json_t *all = json_object();
    const char *description = json_string_value(json_object_get(recipe->public_tree, "description"));
    const json_t *base = json_object_get(config, "base");
    ingot_json_set_string(all, "org.opencontainers.image.title", recipe->name);
    ingot_json_set_string(all, "org.opencontainers.image.version", version);
    ingot_json_set_string(all, "org.opencontainers.image.description", description);
    ingot_json_set_string(all, "org.opencontainers.image.created",
                          json_string_value(json_object_get(config, "created")));
    ingot_json_set_string(all, "org.opencontainers.image.revision",
                          json_string_value(json_object_get(json_object_get(config, "git"), "commit")));
    ingot_json_set_string(all, "org.opencontainers.image.base.name",
                          json_string_value(json_object_get(base, "reference")));
    ingot_json_set_string(all, "org.opencontainers.image.base.digest",
                          json_string_value(json_object_get(base, "digest")));
    json_t *own = json_object_get(recipe->public_tree, "annotations");
    if (own != NULL) {
        json_object_update(all, own);
    }
    return all;
}
