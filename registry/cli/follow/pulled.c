#include "cli/follow/pulled.h"

#include <string.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "store/blobs.h"

#define PREFIX "image-"
#define NOTE_MAX 8192u

static char *note_name(const IngotDigest *target)
{
    g_autofree char *text = ingot_digest_to_text(target);
    return g_strconcat(PREFIX, strchr(text, ':') + 1, NULL);
}

gboolean pulled_note(const char *folder, IngotStore *store, const IngotReference *image, const IngotManifest *parts,
                     const IngotDigest *target, GError **error)
{
    g_autofree char *note = note_name(target), *path = g_build_filename(folder, note, NULL);
    if (g_file_test(path, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, image, NULL);
    g_autoptr(GString) text = g_string_new(image->digest);
    for (guint i = 0; i < parts->disks->len; i++) {
        char disk[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&ingot_manifest_disk(parts, i)->disk.digest, disk);
        g_string_append_printf(text, " %s", disk);
    }
    return entry != NULL || ingot_file_replace(path, text->str, text->len, 0644, error);
}

/* The image, and GArray of IngotDigest: its disks. NULL: it can't be read. */
static GArray *note_read(const char *path, IngotDigest *image)
{
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, NOTE_MAX, NULL);
    gsize size = 0;
    const char *data = bytes == NULL ? "" : g_bytes_get_data(bytes, &size);
    g_autofree char *text = g_strndup(data, size);
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    g_autoptr(GArray) disks = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    gboolean ok = words[0] != NULL && ingot_digest_parse(words[0], image, NULL);
    for (guint i = 1; ok && words[i] != NULL; i++) {
        IngotDigest disk;
        ok = ingot_digest_parse(words[i], &disk, NULL);
        g_array_append_val(disks, disk);
    }
    return ok && disks->len > 0 ? g_steal_pointer(&disks) : NULL;
}

static const IngotStoreEntry *find_image(GPtrArray *entries, const IngotDigest *image)
{
    for (guint i = 0; i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if (ingot_digest_equal(&entry->manifest.digest, image)) {
            return entry;
        }
    }
    return NULL;
}

/* One that has a name, another channel's, say, may lose it later: its note stays. */
static gboolean remove_one(IngotStore *store, const char *path, GError **error)
{
    IngotDigest image;
    g_autoptr(GArray) disks = note_read(path, &image);
    if (disks == NULL) {
        unlink(path);
        return TRUE;
    }
    g_autoptr(GPtrArray) named = ingot_store_list(store, error);
    g_autoptr(GPtrArray) former = named == NULL ? NULL : ingot_store_list_former(store, error);
    if (former == NULL) {
        return FALSE;
    }
    const IngotStoreEntry *entry = find_image(former, &image);
    if (entry != NULL && !ingot_store_remove(store, entry, NULL, error)) {
        return FALSE;
    }
    if (find_image(named, &image) == NULL) {
        for (guint i = 0; i < disks->len; i++) {
            ingot_store_drop_partial(store, &g_array_index(disks, IngotDigest, i));
        }
        unlink(path);
    }
    return TRUE;
}

void pulled_remove(const char *folder, IngotStore *store, const IngotDigest *target, const IngotDigest *done)
{
    g_autofree char *own = note_name(target), *before = done == NULL ? NULL : note_name(done);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *note; dir != NULL && (note = g_dir_read_name(dir)) != NULL;) {
        if (!g_str_has_prefix(note, PREFIX) || strcmp(note, own) == 0 || g_strcmp0(note, before) == 0) {
            continue;
        }
        g_autoptr(GError) problem = NULL;
        g_autofree char *path = g_build_filename(folder, note, NULL);
        if (!remove_one(store, path, &problem)) {
            ingot_progress_message(ingot_command_progress(), "an image of before stays in the store: %s",
                                   problem->message);
        }
    }
}
