#include "remote/uploadnotes.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "remote/http.h"
#include "remote/location.h"

#define KEPT 172800         /* seconds: registries keep uploads no longer */
#define NOTE_MAX (8u << 20) /* bytes: the bits of the longest list, as text */

void upload_note_free(UploadNote *note)
{
    g_free(note->location);
    g_bytes_unref(note->missing);
    g_free(note);
}

/* NULL: nothing is kept. Free it. */
static char *note_path(const IngotRemote *remote, const char *name, const IngotDigest *blob)
{
    char digest[INGOT_DIGEST_TEXT_SIZE], hex[INGOT_DIGEST_TEXT_SIZE];
    if (remote->uploads == NULL) {
        return NULL;
    }
    ingot_digest_write_text(blob, digest);
    g_autofree char *text = g_strdup_printf("%s %s %s", remote->base, name, digest);
    IngotDigest of;
    ingot_digest_of(text, strlen(text), &of);
    ingot_digest_write_text(&of, hex);
    return g_build_filename(remote->uploads, hex + strlen("sha256:"), NULL);
}

/* Those of pushes that nobody has gone on with. */
static void notes_sweep(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && g_get_real_time() / G_USEC_PER_SEC - st.st_mtime > KEPT) {
            unlink(path);
        }
    }
}

void upload_note_keep(const IngotRemote *remote, const char *name, const IngotDigest *blob, const char *location,
                      const void *missing, gsize size)
{
    g_autofree char *path = note_path(remote, name, blob);
    if (path != NULL && ingot_file_make_folder(remote->uploads, NULL)) {
        notes_sweep(remote->uploads);
        g_autofree char *bits = g_base64_encode(missing, size);
        g_autoptr(json_t) note = json_pack("{s:s, s:s}", "location", location, "missing", bits);
        ingot_json_save(note, path, NOTE_MAX, 0600, NULL);
    }
}

UploadNote *upload_note_load(const IngotRemote *remote, const char *name, const IngotDigest *blob, gsize size)
{
    g_autofree char *path = note_path(remote, name, blob);
    g_autoptr(GBytes) text = path == NULL ? NULL : ingot_file_read(path, NOTE_MAX, NULL);
    g_autoptr(json_t) root =
        text == NULL ? NULL : ingot_json_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, NULL);
    const char *location = json_string_value(json_object_get(root, "location"));
    const char *bits = json_string_value(json_object_get(root, "missing"));
    gsize length = 0;
    g_autofree guint8 *missing = bits == NULL ? NULL : g_base64_decode(bits, &length);
    char *url = location == NULL || missing == NULL || length != size
                    ? NULL
                    : location_resolve(remote->options, remote->base, remote->base, location, NULL);
    if (url == NULL) {
        return NULL;
    }
    UploadNote *note = g_new(UploadNote, 1);
    note->location = url;
    note->missing = g_bytes_new_take(g_steal_pointer(&missing), length);
    return note;
}

void upload_note_drop(const IngotRemote *remote, const char *name, const IngotDigest *blob)
{
    g_autofree char *path = note_path(remote, name, blob);
    if (path != NULL) {
        unlink(path);
    }
}
