#include "source/base.h"

#include <ingot/digest.h>
#include <ingot/download.h>
#include <ingot/file.h>
#include <string.h>

#include "source/extents.h"
#include "source/kept.h"

#define RECORD "source.json"
#define RECORD_MAX (64u << 20) /* bytes */
#define VERSION 2
#define DISK_PREFIX "disk-"
#define DISK_SUFFIX ".raw"

void base_free(Base *base)
{
    if (base != NULL) {
        g_free(base->disk);
        g_free(base->state);
        json_decref(base->record);
        g_free(base);
    }
}

static json_t *base_record(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, RECORD, NULL);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, NULL);
    return bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
}

/* What an image takes over from it is there. */
static gboolean base_is_complete(const json_t *record)
{
    return json_integer_value(json_object_get(record, "version")) == VERSION &&
           json_is_string(json_object_get(record, "disk")) && json_is_string(json_object_get(record, "state")) &&
           json_is_object(json_object_get(record, "os")) && json_is_array(json_object_get(record, "packages")) &&
           json_is_string(json_object_get(record, "apt")) && json_is_string(json_object_get(record, "date"));
}

Base *base_read(const char *folder)
{
    g_autoptr(json_t) record = base_record(folder);
    if (!base_is_complete(record)) {
        return NULL;
    }
    const char *name = json_string_value(json_object_get(record, "disk"));
    g_autofree char *disk = g_build_filename(folder, name, NULL);
    if (!g_file_test(disk, G_FILE_TEST_EXISTS)) {
        return NULL;
    }
    Base *base = g_new0(Base, 1);
    base->disk = g_steal_pointer(&disk);
    base->state = g_strdup(json_string_value(json_object_get(record, "state")));
    base->asked = json_integer_value(json_object_get(record, "asked"));
    base->record = g_steal_pointer(&record);
    return base;
}

/* For the owner alone: where packages come from is not for everybody on this host. */
static gboolean base_write(const char *folder, const json_t *record, GError **error)
{
    g_autofree char *path = g_build_filename(folder, RECORD, NULL);
    return ingot_json_save(record, path, RECORD_MAX, 0600, error);
}

gboolean base_publish(const char *folder, const char *made, const char *state, gint64 asked, const json_t *record,
                      GError **error)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    if (!extents_digest(made, &digest, error) || !ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    ingot_digest_write_text(&digest, text);
    g_autofree char *name = g_strdup_printf(DISK_PREFIX "%.16s" DISK_SUFFIX, text + strlen("sha256:"));
    g_autofree char *disk = g_build_filename(folder, name, NULL);
    g_autoptr(json_t) whole = json_copy((json_t *)record);
    json_object_set_new(whole, "version", json_integer(VERSION));
    json_object_set_new(whole, "disk", json_string(name));
    json_object_set_new(whole, "state", json_string(state));
    json_object_set_new(whole, "asked", json_integer(asked));
    return kept_publish(made, disk, error) && base_write(folder, whole, error);
}

gboolean base_confirm(const char *folder, Base *base, gint64 asked, GError **error)
{
    base->asked = asked;
    json_object_set_new(base->record, "asked", json_integer(asked));
    return base_write(folder, base->record, error);
}

void base_tidy(const char *folder, const char *cache, gboolean (*needed)(const char *cache, const char *disk))
{
    g_autofree char *use_path = g_strconcat(folder, INGOT_DOWNLOAD_USE, NULL);
    g_autoptr(IngotLock) alone = ingot_lock_take(use_path, TRUE, FALSE, NULL);
    g_autoptr(Base) current = alone == NULL ? NULL : base_read(folder);
    g_autoptr(GDir) names = current == NULL || needed == NULL ? NULL : g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        g_autofree char *disk = g_build_filename(folder, name, NULL);
        if (g_str_has_prefix(name, DISK_PREFIX) && g_str_has_suffix(name, DISK_SUFFIX) &&
            strcmp(disk, current->disk) != 0 && !needed(cache, disk)) {
            kept_remove(disk, NULL); /* else the next build's turn */
        }
    }
}
