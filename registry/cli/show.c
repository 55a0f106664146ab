#include "cli/show.h"

#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/evidence.h"
#include "cli/verbs.h"
#include "remote/environment.h"
#include "store/attached.h"
#include "store/standing.h"
#include "transfer/allowed.h"
#include "transfer/asks.h"
#include "transfer/platform.h"

#define CONFIG_MAX (16u << 20) /* bytes */
#define EVIDENCE_MOST 100u     /* attachments of a registry that are read */
#define ATTACHED_PATIENCE 10   /* seconds, with a registry that has no time to say what is attached */

/* Of each what the machine sees and what it takes, and what else its config says of it. */
static json_t *describe_disks(const IngotManifest *manifest, const json_t *config)
{
    json_t *disks = json_array();
    for (guint i = 0; i < manifest->disks->len; i++) {
        json_t *disk = json_deep_copy(ingot_config_disk(config, i));
        json_object_set_new(disk, "stored", json_integer((json_int_t)ingot_manifest_disk(manifest, i)->disk.size));
        json_array_append_new(disks, disk);
    }
    return disks;
}

static json_t *describe(const char *name, const IngotDescriptor *descriptor, const IngotManifest *manifest,
                        json_t *config, json_t *attached)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&descriptor->digest, digest);
    return json_pack("{s:s, s:s, s:I, s:o, s:O, s:O?, s:O}", "reference", name, "digest", digest, "stored",
                     (json_int_t)ingot_manifest_stored(manifest), "disks", describe_disks(manifest, config), "config",
                     config, "annotations", manifest->annotations, "attached", attached);
}

/* Of one that is damaged, null: the image is whole without it. */
static json_t *attached_type_of(IngotStore *store, const IngotDigest *digest)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = ingot_store_read(store, digest, INGOT_MANIFEST_MAX, &problem);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "attachment", INGOT_MANIFEST_VALUES, &problem);
    if (root == NULL) {
        ingot_progress_warning(ingot_command_progress(), "what is attached is damaged: %s", problem->message);
    }
    const char *type = attached_type(root);
    return type == NULL ? json_null() : json_string(type);
}

static json_int_t count_chunks(const IngotImage *image)
{
    json_int_t count = 0;
    for (guint i = 0; i < image->disks->len; i++) {
        count += ingot_image_part(image, i)->index->chunks->len;
    }
    return count;
}

static json_t *show_local(const IngotReference *reference, GError **error)
{
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(IngotRemoteOptions) options = cli_remote_options(TRUE);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(IngotImage) image = ingot_store_image_for(store, reference, options->architecture, error);
    if (image == NULL || !platform_check(image->config, options, what, error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) found = image == NULL ? NULL : ingot_store_attachments(store, &image->entry->manifest, error);
    if (found == NULL) {
        return NULL;
    }
    g_autoptr(json_t) attached = json_array();
    for (guint i = 0; i < found->len; i++) {
        const IngotDescriptor *one = g_ptr_array_index(found, i);
        json_array_append_new(attached, attached_type_of(store, &one->digest));
    }
    const ImagePlace place = {.store = store};
    g_autoptr(json_t) evidence = json_array();
    for (guint i = 0; i < found->len; i++) {
        const IngotDescriptor *one = g_ptr_array_index(found, i);
        json_array_append_new(evidence, evidence_of(&place, &one->digest, &image->entry->manifest.digest));
    }
    g_autofree char *name = ingot_name_to_text(image->entry->name, image->entry->tag);
    json_t *all = describe(name, &image->entry->manifest, image->manifest, image->config, attached);
    json_object_set(all, "evidence", evidence);
    g_autoptr(json_t) note = standing_load(store, &image->entry->manifest.digest);
    json_object_set_new(all, "chunks", json_integer(count_chunks(image)));
    json_object_update(all, note);
    return all;
}

/* Of what a registry lists as attached to an image; what can't be read says so. */
static json_t *remote_evidence(IngotRemote *remote, const char *name, const json_t *referrers, const IngotDigest *image)
{
    const ImagePlace place = {.remote = remote, .name = name};
    json_t *evidence = json_array();
    if (json_array_size(referrers) > EVIDENCE_MOST) {
        ingot_progress_message(ingot_command_progress(), "of %u attachments, the first %u are read",
                               (guint)json_array_size(referrers), EVIDENCE_MOST);
    }
    for (size_t i = 0; i < json_array_size(referrers) && i < EVIDENCE_MOST; i++) {
        const char *text = json_string_value(json_object_get(json_array_get(referrers, i), "digest"));
        IngotDigest digest;
        if (text != NULL && ingot_digest_parse(text, &digest, NULL) && ingot_interrupt_check(NULL)) {
            json_array_append_new(evidence, evidence_of(&place, &digest, image));
        }
    }
    return evidence;
}

json_t *show_of_registry(IngotReference *reference, GError **error)
{
    IngotDescriptor descriptor;
    g_autoptr(IngotRemoteOptions) options = cli_remote_options(TRUE); /* it is shown that it is revoked */
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options, error);
    g_autoptr(GBytes) bytes =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &descriptor, error);
    g_autoptr(json_t) words = remote == NULL ? NULL : allowed_words(remote);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(IngotManifest) manifest =
        bytes == NULL ? NULL
                      : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    g_autoptr(GBytes) text =
        manifest == NULL ? NULL
                         : ingot_remote_get_blob(remote, reference->name, &manifest->config.digest, CONFIG_MAX, error);
    g_autoptr(json_t) config =
        text == NULL ? NULL : ingot_config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), what, error);
    if (config == NULL || !ingot_config_fits(config, manifest, what, error) ||
        !platform_check(config, options, what, error)) {
        return NULL;
    }
    g_autoptr(GError) problem = NULL;
    ingot_remote_limit(remote, 0, 0, ATTACHED_PATIENCE);
    g_autoptr(json_t) referrers = ingot_remote_some_referrers(remote, reference->name, &descriptor.digest, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (problem != NULL) {
        ingot_progress_message(ingot_command_progress(), "what is attached is not known, or not all of it: %s",
                               problem->message);
    }
    g_autoptr(json_t) attached = problem != NULL && json_array_size(referrers) == 0 ? json_null() : json_array();
    for (size_t i = 0; i < json_array_size(referrers); i++) {
        json_t *type = json_object_get(json_array_get(referrers, i), "artifactType");
        json_array_append(attached, type == NULL ? json_null() : type);
    }
    json_t *all = describe(what, &descriptor, manifest, config, attached);
    json_t *evidence =
        json_is_null(attached) ? json_null() : remote_evidence(remote, reference->name, referrers, &descriptor.digest);
    json_object_set_new(all, "evidence", evidence);
    if (!ingot_interrupt_check(error)) {
        json_decref(all);
        return NULL;
    }
    json_object_update(all, words);
    return all;
}

/* What the store has, or what the registry says, of which nothing is kept. */
static json_t *show_when(IngotReference *reference, IngotPull pull, GError **error)
{
    GError *problem = NULL;
    json_t *all = pull == INGOT_PULL_ALWAYS ? NULL : show_local(reference, &problem);
    if (all != NULL) {
        return all;
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    return show_of_registry(reference, error);
}

static void line(const char *label, const char *value)
{
    if (value != NULL) {
        g_autofree char *shown = ingot_text_line(value);
        printf("%-12s %s\n", label, shown);
    }
}

static const char *get(const json_t *object, const char *a, const char *b)
{
    const json_t *value = json_object_get(object, a);
    return json_string_value(b == NULL ? value : json_object_get(value, b));
}

static void print_steps(const json_t *steps)
{
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        const char *title = get(step, "title", NULL);
        g_autofree char *shown = ingot_text_line(title == NULL ? "?" : title);
        printf("%-12s %s (%.1f s)\n", i == 0 ? "steps" : "", shown,
               json_number_value(json_object_get(step, "seconds")));
    }
}

static void print_outputs(const json_t *outputs)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *one = json_string_value(json_array_get(outputs, i));
        g_string_append_printf(list, "%s%s", i == 0 ? "" : ", ", one == NULL ? "?" : one);
    }
    line("outputs", list->len == 0 ? NULL : list->str);
}

/* One is told by its size; of several, what each of them takes as well. */
static void print_disks(const json_t *disks)
{
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        g_autofree char *size = ingot_text_size((guint64)json_integer_value(json_object_get(disk, "size")));
        g_autofree char *stored = ingot_text_size((guint64)json_integer_value(json_object_get(disk, "stored")));
        g_autofree char *both = g_strdup_printf("%s (%s stored)", size, stored);
        line(i == 0 ? "disk" : "", json_array_size(disks) == 1 ? size : both);
    }
}

/* What registries say of it, and of a base that it stands on. */
static void print_said(const json_t *all)
{
    const json_t *said = json_object_get(all, "said"), *base = json_object_get(all, "base");
    g_autofree char *own = said == NULL ? NULL : lifecycle_tell(said);
    g_autofree char *told = base == NULL ? NULL : lifecycle_tell(base);
    g_autofree char *of_base = told == NULL ? NULL
                                            : g_strdup_printf("its base %s@%s is %s", get(base, "name", NULL),
                                                              get(base, "digest", NULL), told);
    line("state", own);
    line(own == NULL ? "state" : "", of_base);
}

void show_print(const json_t *all)
{
    const json_t *config = json_object_get(all, "config");
    g_autofree char *stored = ingot_text_size((guint64)json_integer_value(json_object_get(all, "stored")));
    const char *release = get(config, "os", "version"); /* a rolling system has none */
    g_autofree char *os = get(config, "os", "id") == NULL
                              ? NULL
                              : g_strdup_printf("%s%s%s", get(config, "os", "id"), release == NULL ? "" : " ",
                                                release == NULL ? "" : release);
    line("reference", get(all, "reference", NULL));
    line("digest", get(all, "digest", NULL));
    print_said(all);
    line("created", get(config, "created", NULL));
    line("os", os);
    line("architecture", get(config, "architecture", NULL));
    print_disks(json_object_get(all, "disks"));
    line("stored", stored);
    line("recipe", get(config, "recipe", "name"));
    line("commit", get(config, "git", "commit"));
    line("base", get(config, "base", "reference"));
    line("", get(config, "base", "digest"));
    print_outputs(json_object_get(config, "outputs"));
    print_steps(json_object_get(config, "steps"));
    const json_t *evidence = json_object_get(all, "evidence");
    for (size_t i = 0; i < json_array_size(evidence); i++) {
        evidence_print(json_array_get(evidence, i));
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *when = NULL, *architecture = NULL;
    const GOptionEntry entries[] = {CLI_PULL_OPTION(when), CLI_ARCH_OPTION(architecture), G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_show, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_architecture(architecture);
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    if (reference == NULL) {
        return FALSE;
    }
    IngotPull pull;
    g_autoptr(json_t) all = ingot_pull_parse(when, reference, &pull, error) ? show_when(reference, pull, error) : NULL;
    if (all == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(all);
    } else if (ingot_command_common()->quiet) {
        printf("%s\n", get(all, "digest", NULL));
    } else {
        show_print(all);
    }
    return TRUE;
}

const IngotVerb verb_show = {
    "show", "REF", "tell all about one image",
    "An image that the store lacks is looked up in the registry of its host; with --pull=always it is "
    "there each time, with --pull=never it is not.\n\n"
    "What is attached to it is summed up: packages, test reports, provenance, signatures, the recipe. None of it is\n"
    "verified: whoever may push to the image's name can attach what he likes.\n\n"
    "Examples:\n  ingot show web:1.0.0\n  ingot show registry.example/team/web:prod --json\n",
    run};
