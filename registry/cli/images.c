#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "store/standing.h"

/* What an image says of itself, by its manifest's digest: names of one are looked at once. */
static json_t *describe(IngotStore *store, const char *digest)
{
    g_autoptr(IngotReference) reference = ingot_reference_new(NULL, NULL, NULL, digest);
    g_autoptr(IngotImage) image = ingot_store_image_by_digest(store, reference, NULL);
    if (image == NULL) {
        return json_pack("{s:b}", "damaged", TRUE);
    }
    json_t *object = json_pack("{s:I, s:I}", "size", (json_int_t)ingot_image_size(image), "stored",
                               (json_int_t)ingot_manifest_stored(image->manifest));
    ingot_json_set_string(object, "created", json_string_value(json_object_get(image->config, "created")));
    g_autoptr(json_t) note = standing_load(store, &image->entry->manifest.digest);
    json_object_update(object, note);
    return object;
}

static json_t *row(IngotStore *store, const IngotStoreEntry *entry, json_t *images)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&entry->manifest.digest, digest);
    json_t *object = json_pack("{s:s, s:s?, s:s}", "name", entry->name, "tag", entry->tag, "digest", digest);
    if (entry->former) {
        json_object_set_new(object, "replaced", json_true());
    }
    if (json_object_get(images, digest) == NULL) {
        json_object_set_new(images, digest, describe(store, digest));
    }
    json_object_update(object, json_object_get(images, digest));
    return object;
}

static void add_rows(IngotStore *store, const GPtrArray *list, json_t *images, json_t *rows)
{
    for (guint i = 0; i < list->len; i++) {
        json_array_append_new(rows, row(store, g_ptr_array_index(list, i), images));
    }
}

static void print_row(const json_t *object)
{
    const char *tag = json_string_value(json_object_get(object, "tag"));
    const char *created = json_string_value(json_object_get(object, "created"));
    g_autofree char *size = ingot_text_size((guint64)json_integer_value(json_object_get(object, "size")));
    g_autofree char *stored = ingot_text_size((guint64)json_integer_value(json_object_get(object, "stored")));
    gboolean damaged = json_is_true(json_object_get(object, "damaged"));
    g_autofree char *name = ingot_text_line(json_string_value(json_object_get(object, "name")));
    g_autofree char *shown = ingot_text_line(json_is_true(json_object_get(object, "replaced")) ? "<none>"
                                             : tag == NULL                                     ? "-"
                                                                                               : tag);
    g_autofree char *when = ingot_text_line(created == NULL ? "-" : created);
    const json_t *said = json_object_get(object, "said"), *base = json_object_get(object, "base");
    printf("%-32s %-12s %.19s  %-20s %10s %10s%s%s\n", name, shown,
           json_string_value(json_object_get(object, "digest")), when, damaged ? "damaged" : size,
           damaged ? "damaged" : stored, said == NULL ? "" : "  ",
           said != NULL   ? lifecycle_word(lifecycle_of(said))
           : base != NULL ? "  base revoked"
                          : "");
}

/* Each once, however many names it has. */
static void print_digests(const json_t *rows)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *digest = json_string_value(json_object_get(json_array_get(rows, i), "digest"));
        if (g_hash_table_add(seen, (gpointer)digest)) {
            printf("%s\n", digest);
        }
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_images, NULL, 0, 0, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(GPtrArray) list = ingot_store_list(store, error);
    g_autoptr(GPtrArray) former = list == NULL ? NULL : ingot_store_list_former(store, error);
    if (former == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) rows = json_array(), images = json_object();
    add_rows(store, list, images, rows);
    add_rows(store, former, images, rows);
    if (ingot_command_common()->json) {
        cli_print_json(rows);
        return TRUE;
    }
    if (ingot_command_common()->quiet) {
        print_digests(rows);
        return TRUE;
    }
    printf("%-32s %-12s %-19s  %-20s %10s %10s\n", "NAME", "TAG", "DIGEST", "CREATED", "SIZE", "STORED");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        print_row(json_array_get(rows, i));
    }
    return TRUE;
}

const IngotVerb verb_images = {
    "images", "", "list the images of the store",
    "SIZE is the disk as a machine sees it (all disks, where it has several), STORED what it takes here. TAG is <none> "
    "where another "
    "image has the name now: `ingot gc` removes it. Behind STORED stands what the image's registry has said\n"
    "of it, as it was asked last: deprecated, disabled, revoked, or that a base which it stands on is. With -q only "
    "digests are printed, each once: "
    "other verbs take them as they are, or their first 12 digits as DIGEST shows them.\n\n"
    "Example:\n  ingot images --json\n",
    run};
