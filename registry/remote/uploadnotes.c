#include "remote/uploadnotes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "remote/http.h"
#include "remote/location.h"

#define KEPT 172800         /* seconds: registries keep uploads no longer */
#define NOTE_MAX (8u << 20) /* bytes: the bits of the longest list, as text */

struct UploadNote {
    char *path;
    int fd; /* with the lock */
};

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

/* -1: another has it, or it can't be had. */
static int note_lock(const char *path)
{
    struct stat st;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600, NULL);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
                   ingot_file_is_named(fd, path)
               ? g_steal_fd(&fd)
               : -1;
}

/* Those of pushes that nobody has gone on with. */
static void notes_sweep(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat st;
        gboolean is_old =
            lstat(path, &st) == 0 && S_ISREG(st.st_mode) && g_get_real_time() / G_USEC_PER_SEC - st.st_mtime > KEPT;
        g_auto(IngotFd) fd = is_old ? note_lock(path) : -1;
        if (fd >= 0) {
            unlink(path);
        }
    }
}

UploadNote *upload_note_open(const IngotRemote *remote, const char *name, const IngotDigest *blob)
{
    g_autofree char *path = note_path(remote, name, blob);
    if (path == NULL || !ingot_file_make_folder(remote->uploads, NULL)) {
        return NULL;
    }
    notes_sweep(remote->uploads);
    int fd = note_lock(path);
    if (fd < 0) {
        return NULL;
    }
    UploadNote *note = g_new(UploadNote, 1);
    *note = (UploadNote){.path = g_steal_pointer(&path), .fd = fd};
    return note;
}

void upload_note_free(UploadNote *note)
{
    struct stat st;
    if (note != NULL) {
        if (fstat(note->fd, &st) == 0 && st.st_size == 0) {
            unlink(note->path);
        }
        close(note->fd);
        g_free(note->path);
        g_free(note);
    }
}

void upload_note_empty(UploadNote *note)
{
    if (note != NULL && ftruncate(note->fd, 0) != 0) {
        unlink(note->path);
    }
}

void upload_note_write(UploadNote *note, const char *location, const void *missing, gsize size)
{
    if (note == NULL) {
        return;
    }
    g_autofree char *bits = g_base64_encode(missing, size);
    g_autoptr(json_t) root = ingot_json_pack("{s:o, s:s}", "location", ingot_json_text(location), "missing", bits);
    g_autofree char *text = ingot_json_pretty(root);
    gsize length = strlen(text);
    upload_note_empty(note);
    if (length <= NOTE_MAX && !ingot_file_pwrite(note->fd, text, length, 0, note->path, NULL)) {
        upload_note_empty(note);
    }
}

/* NULL: it has none that is worth reading. */
static json_t *note_parse(const UploadNote *note)
{
    struct stat st;
    if (note == NULL || fstat(note->fd, &st) != 0 || st.st_size == 0 || st.st_size > (off_t)NOTE_MAX) {
        return NULL;
    }
    g_autofree char *text = g_malloc((gsize)st.st_size);
    return ingot_file_pread(note->fd, text, (gsize)st.st_size, 0, note->path, NULL)
               ? ingot_json_parse(text, (gsize)st.st_size, note->path, NULL)
               : NULL;
}

gboolean upload_note_read(const UploadNote *note, const IngotRemote *remote, gsize size, char **location,
                          guint8 **missing)
{
    g_autoptr(json_t) root = note_parse(note);
    const char *place = json_string_value(json_object_get(root, "location"));
    const char *text = json_string_value(json_object_get(root, "missing"));
    gsize length = 0;
    g_autofree guint8 *bits = text == NULL ? NULL : g_base64_decode(text, &length);
    *location = place == NULL || bits == NULL || length != size
                    ? NULL
                    : location_resolve(remote->options, remote->base, remote->base, place, NULL);
    *missing = *location == NULL ? NULL : g_steal_pointer(&bits);
    return *location != NULL;
}
