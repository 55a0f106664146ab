#include "source/base.h"

#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "bundle/download.h"
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

static Base *base_of(const char *folder, json_t *record)
{
    Base *base = g_new0(Base, 1);
    base->disk = g_build_filename(folder, json_string_value(json_object_get(record, "disk")), NULL);
    base->state = g_strdup(json_string_value(json_object_get(record, "state")));
    base->asked = json_integer_value(json_object_get(record, "asked"));
    base->record = json_incref(record);
    return base;
}

Base *base_read(const char *folder)
{
    g_autoptr(json_t) record = base_record(folder);
    g_autoptr(Base) base = base_is_complete(record) ? base_of(folder, record) : NULL;
    return base != NULL && g_file_test(base->disk, G_FILE_TEST_EXISTS) ? g_steal_pointer(&base) : NULL;
}

/* For the owner alone: where packages come from is not for everybody on this host. */
static gboolean base_write(const char *folder, const json_t *record, GError **error)
{
    g_autofree char *path = g_build_filename(folder, RECORD, NULL);
    return ingot_json_save(record, path, RECORD_MAX, 0600, error);
}

Base *base_publish(const char *folder, const char *made, const char *state, gint64 asked, const json_t *record,
                   IngotProgress *progress, GError **error)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    if (!extents_digest(made, &digest, error) || !ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    ingot_digest_write_text(&digest, text);
    g_autofree char *name = g_strdup_printf(DISK_PREFIX "%.16s" DISK_SUFFIX, text + strlen("sha256:"));
    g_autoptr(json_t) whole = json_copy((json_t *)record);
    json_object_set_new(whole, "version", json_integer(VERSION));
    json_object_set_new(whole, "disk", json_string(name));
    json_object_set_new(whole, "state", json_string(state));
    json_object_set_new(whole, "asked", json_integer(asked));
    g_autoptr(Base) base = base_of(folder, whole);
    if (!kept_publish(made, base->disk, progress, error)) {
        return NULL;
    }
    g_autoptr(GError) problem = NULL;
    if (!base_write(folder, whole, &problem)) {
        ingot_progress_message(progress, "the base is made again the next time, since it cannot be noted: %s",
                               problem->message);
    }
    return g_steal_pointer(&base);
}

/* Only in the record of that very base: another build may have put another one in its place. */
static gboolean base_note_asked(const char *folder, const Base *base, gint64 asked, GError **error)
{
    g_autofree char *lock_path = g_strconcat(folder, ".lock", NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, TRUE, error);
    g_autoptr(Base) now = lock == NULL ? NULL : base_read(folder);
    if (now == NULL || strcmp(now->disk, base->disk) != 0 || strcmp(now->state, base->state) != 0) {
        return lock != NULL;
    }
    json_object_set_new(now->record, "asked", json_integer(MAX(asked, now->asked)));
    return base_write(folder, now->record, error);
}

gboolean base_confirm(const char *folder, Base *base, gint64 asked, IngotProgress *progress, GError **error)
{
    g_autoptr(GError) problem = NULL;
    base->asked = asked;
    if (base_note_asked(folder, base, asked, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    ingot_progress_message(progress,
                           "the mirror is asked again the next time, since it cannot be noted that it was: %s",
                           problem->message);
    return TRUE;
}

void base_tidy(const char *folder, const char *used, const char *cache,
               gboolean (*needed)(const char *cache, const char *disk))
{
    g_autofree char *use_path = g_strconcat(folder, INGOT_DOWNLOAD_USE, NULL);
    g_autoptr(IngotLock) alone = ingot_lock_take(use_path, TRUE, FALSE, NULL);
    g_autoptr(Base) current = alone == NULL ? NULL : base_read(folder);
    g_autoptr(GDir) names = current == NULL || needed == NULL ? NULL : g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        g_autofree char *disk = g_build_filename(folder, name, NULL);
        if (g_str_has_prefix(name, DISK_PREFIX) && g_str_has_suffix(name, DISK_SUFFIX) &&
            strcmp(disk, current->disk) != 0 && strcmp(disk, used) != 0 && !needed(cache, disk)) {
            kept_remove(disk, NULL); /* else the next build's turn */
        }
    }
}
