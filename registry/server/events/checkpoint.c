#include "server/events/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/events/eventline.h"

#define BUFFER (256u << 10) /* bytes that are written at once */
#define DIGITS 20           /* of a number that the head has room for before it is known */

struct Checkpoint {
    char *log, *path; /* the one that is there, and the new one beside it */
    int fd;
    EventMark last;
    GString *lines; /* that are not written yet */
    guint64 begins, size;
    GChecksum *picture;
};

/* --- the head --- */

/* Of one length, whatever the numbers are. */
static void head_append(GString *out, const CheckpointHead *head)
{
    char hash[INGOT_DIGEST_TEXT_SIZE], picture[INGOT_DIGEST_TEXT_SIZE], size[DIGITS + 1];
    ingot_digest_write_text(&head->last.hash, hash);
    ingot_digest_write_text(&head->picture, picture);
    g_snprintf(size, sizeof size, "%020" G_GUINT64_FORMAT, head->size);
    g_autoptr(json_t) object =
        ingot_json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "op", "checkpoint", "last", (json_int_t)head->last.number,
                        "from", (json_int_t)head->last.end, "hash", hash, "size", size, "picture", picture);
    eventline_append(out, object);
    g_string_append_c(out, '\n');
}

gboolean checkpoint_head(const char *start, gsize size, CheckpointHead *head)
{
    const char *newline = size == 0 ? NULL : memchr(start, '\n', size);
    g_autoptr(json_t) object = newline == NULL ? NULL : eventline_parse(start, (gsize)(newline - start));
    const char *hash = json_string_value(json_object_get(object, "hash"));
    const char *picture = json_string_value(json_object_get(object, "picture"));
    const char *end = json_string_value(json_object_get(object, "size"));
    if (g_strcmp0(json_string_value(json_object_get(object, "op")), "checkpoint") != 0 || hash == NULL ||
        picture == NULL || end == NULL) {
        return FALSE;
    }
    head->last.number = eventline_number(object, "last");
    head->last.end = eventline_number(object, "from");
    head->begins = (guint64)(newline - start) + 1;
    return ingot_digest_parse(hash, &head->last.hash, NULL) && ingot_digest_parse(picture, &head->picture, NULL) &&
           g_ascii_string_to_unsigned(end, 10, head->begins, G_MAXUINT64, &head->size, NULL);
}

/* --- logs of before --- */

static char *kept_path(const char *log, guint64 number)
{
    return g_strdup_printf("%s.%012" G_GUINT64_FORMAT, log, number);
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static gboolean is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Paths of the names that logs are kept by; `live`: those that the log which lives has, of a switch that was broken
 * off; else the others. */
static char **kept_list(const char *log, gboolean live)
{
    g_autofree char *folder = g_path_get_dirname(log), *base = g_path_get_basename(log);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *list = g_ptr_array_new();
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        const char *digits = g_str_has_prefix(name, base) ? name + strlen(base) : "";
        if (digits[0] == '.' && strlen(digits) > 12 && strspn(digits + 1, "0123456789") == strlen(digits + 1)) {
            g_autofree char *path = g_build_filename(folder, name, NULL);
            if (is_same_file(path, log) == live) {
                g_ptr_array_add(list, g_steal_pointer(&path));
            }
        }
    }
    g_ptr_array_sort(list, compare_paths);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

char **checkpoint_kept(const char *log)
{
    return kept_list(log, FALSE);
}

void checkpoint_settle(const char *log)
{
    g_auto(GStrv) live = kept_list(log, TRUE);
    for (guint i = 0; live[i] != NULL; i++) {
        unlink(live[i]); /* one that stays is no kept log, and the next switch takes it */
    }
}

/* The one in which the checkpoint's event ends where the head says. */
char *checkpoint_before(const char *log, const CheckpointHead *head)
{
    g_auto(GStrv) kept = checkpoint_kept(log);
    for (guint i = 0; kept[i] != NULL; i++) {
        if (eventlog_has(kept[i], &head->last)) {
            return g_strdup(kept[i]);
        }
    }
    return NULL;
}

gboolean checkpoint_forget(const char *log, gint64 before, GError **error)
{
    g_auto(GStrv) kept = checkpoint_kept(log);
    for (guint i = 0; kept[i] != NULL; i++) {
        struct stat st;
        if (stat(kept[i], &st) == 0 && st.st_mtime < before && unlink(kept[i]) != 0 && errno != ENOENT) {
            return ingot_error_set_errno(error, errno, "%s", kept[i]);
        }
    }
    return TRUE;
}

/* --- making one --- */

Checkpoint *checkpoint_begin(const char *log, const EventMark *last, GError **error)
{
    g_autoptr(Checkpoint) checkpoint = g_new0(Checkpoint, 1);
    const CheckpointHead head = {.last = *last};
    checkpoint->log = g_strdup(log);
    checkpoint->path = g_strconcat(log, ".new", NULL);
    checkpoint->last = *last;
    checkpoint->lines = g_string_new(NULL);
    checkpoint->picture = g_checksum_new(G_CHECKSUM_SHA256);
    head_append(checkpoint->lines, &head);
    checkpoint->begins = checkpoint->size = checkpoint->lines->len;
    g_string_truncate(checkpoint->lines, 0);
    checkpoint->fd = ingot_file_open(checkpoint->path, O_RDWR | O_CREAT | O_TRUNC, 0600, error);
    return checkpoint->fd < 0 ? NULL : g_steal_pointer(&checkpoint);
}

void checkpoint_free(Checkpoint *checkpoint)
{
    if (checkpoint == NULL) {
        return;
    }
    if (checkpoint->fd >= 0) {
        close(checkpoint->fd);
        unlink(checkpoint->path);
    }
    g_string_free(checkpoint->lines, TRUE);
    g_checksum_free(checkpoint->picture);
    g_free(checkpoint->path);
    g_free(checkpoint->log);
    g_free(checkpoint);
}

static gboolean checkpoint_write(Checkpoint *checkpoint, GError **error)
{
    const GString *lines = checkpoint->lines;
    if (!ingot_file_pwrite(checkpoint->fd, lines->str, lines->len, checkpoint->size, checkpoint->path, error)) {
        return FALSE;
    }
    g_checksum_update(checkpoint->picture, (const guchar *)lines->str, (gssize)lines->len);
    checkpoint->size += lines->len;
    g_string_truncate(checkpoint->lines, 0);
    return TRUE;
}

gboolean checkpoint_add(Checkpoint *checkpoint, const json_t *object, GError **error)
{
    eventline_append(checkpoint->lines, object);
    g_string_append_c(checkpoint->lines, '\n');
    return checkpoint->lines->len < BUFFER || checkpoint_write(checkpoint, error);
}

static gboolean checkpoint_flush(const Checkpoint *checkpoint, GError **error)
{
    return fdatasync(checkpoint->fd) == 0 || ingot_error_set_errno(error, errno, "%s: cannot flush", checkpoint->path);
}

gboolean checkpoint_finish(Checkpoint *checkpoint, GError **error)
{
    if (!checkpoint_write(checkpoint, error)) {
        return FALSE;
    }
    CheckpointHead head = {.last = checkpoint->last, .size = checkpoint->size};
    gsize length = sizeof head.picture.bytes;
    g_checksum_get_digest(checkpoint->picture, head.picture.bytes, &length);
    head_append(checkpoint->lines, &head);
    g_assert(checkpoint->lines->len == checkpoint->begins);
    gboolean ok =
        ingot_file_pwrite(checkpoint->fd, checkpoint->lines->str, checkpoint->begins, 0, checkpoint->path, error);
    g_string_truncate(checkpoint->lines, 0);
    return ok && checkpoint_flush(checkpoint, error);
}

/* The bytes of the old log between two places, behind what the new one has. */
static gboolean checkpoint_take_over(Checkpoint *checkpoint, guint64 from, guint64 to, GError **error)
{
    g_auto(IngotFd) old = from == to ? -1 : ingot_file_open(checkpoint->log, O_RDONLY, 0, error);
    g_autofree char *buffer = g_malloc(BUFFER);
    for (guint64 at = from; at < to;) {
        gsize step = (gsize)MIN(BUFFER, to - at);
        if (old < 0 || !ingot_file_pread(old, buffer, step, at, checkpoint->log, error) ||
            !ingot_file_pwrite(checkpoint->fd, buffer, step, checkpoint->size, checkpoint->path, error)) {
            return FALSE;
        }
        checkpoint->size += step;
        at += step;
    }
    return TRUE;
}

static gboolean flush_folder_of(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_auto(IngotFd) fd = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || ingot_error_set_errno(error, errno, "%s", folder));
}

/* Several checkpoints may be made of one event: each log has a name of its own. NULL: it has one already, of a switch
 * that was broken off. */
static char *free_path(const char *log, guint64 number)
{
    char *path = kept_path(log, number);
    while (path != NULL && g_file_test(path, G_FILE_TEST_EXISTS)) {
        char *other = is_same_file(path, log) ? NULL : g_strconcat(path, "0", NULL);
        g_free(path);
        path = other;
    }
    return path;
}

/* The old log, where it is not lost, gets its other name before the new one has its own. Its time is that of now: from
 * now on it is kept. */
static gboolean checkpoint_keep(const Checkpoint *checkpoint, guint64 number, GError **error)
{
    g_autofree char *kept = free_path(checkpoint->log, number);
    if (kept != NULL && link(checkpoint->log, kept) != 0 && errno != ENOENT) {
        return ingot_error_set_errno(error, errno, "%s", kept);
    }
    utimensat(AT_FDCWD, checkpoint->log, NULL, 0);
    return flush_folder_of(checkpoint->log, error);
}

gboolean checkpoint_switch(Checkpoint *checkpoint, EventMark *mark, GError **error)
{
    if (!checkpoint_take_over(checkpoint, checkpoint->last.end, mark->end, error) ||
        !checkpoint_keep(checkpoint, mark->number, error) ||
        !ingot_file_publish(checkpoint->fd, checkpoint->path, checkpoint->log, error)) {
        checkpoint_settle(checkpoint->log);
        return FALSE;
    }
    close(checkpoint->fd);
    checkpoint->fd = -1;
    mark->end = checkpoint->size;
    return TRUE;
}
