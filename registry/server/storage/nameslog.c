#include "server/storage/nameslog.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SUM_DIGITS 16

struct NamesLog {
    char *path;
    int fd;
    guint64 end;
};

static int open_log(const char *path, GError **error)
{
    return ingot_file_open(path, O_RDWR | O_CREAT, 0600, error);
}

NamesLog *nameslog_open(const char *path, guint64 end, GError **error)
{
    int fd = open_log(path, error);
    struct stat st;
    if (fd < 0) {
        return NULL;
    }
    NamesLog *log = g_new0(NamesLog, 1);
    log->path = g_strdup(path);
    log->fd = fd;
    log->end = end;
    if (fstat(fd, &st) != 0 || (guint64)st.st_size < end) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: shorter than the catalogue says; `ingotd rebuild` makes the catalogue fit it again", path);
    } else if ((guint64)st.st_size == end || nameslog_truncate(log, end, error)) {
        return log;
    }
    nameslog_close(log);
    return NULL;
}

void nameslog_close(NamesLog *log)
{
    if (log != NULL) {
        close(log->fd);
        g_free(log->path);
        g_free(log);
    }
}

void nameslog_format(GString *text, const json_t *object)
{
    g_autofree char *line = ingot_json_canonical(object);
    g_string_append_printf(text, "%016" G_GINT64_MODIFIER "x %s\n", (guint64)XXH3_64bits(line, strlen(line)), line);
}

gboolean nameslog_append(NamesLog *log, const GString *lines, guint64 *end, GError **error)
{
    if (!ingot_file_pwrite(log->fd, lines->str, lines->len, log->end, log->path, error)) {
        return FALSE;
    }
    if (fdatasync(log->fd) != 0) {
        return ingot_error_set_errno(error, errno, "%s", log->path);
    }
    log->end += lines->len;
    *end = log->end;
    return TRUE;
}

gboolean nameslog_truncate(NamesLog *log, guint64 end, GError **error)
{
    log->end = end;
    return ftruncate(log->fd, (off_t)end) == 0 || ingot_error_set_errno(error, errno, "%s", log->path);
}

gboolean nameslog_replace(NamesLog *log, const GString *lines, guint64 *end, GError **error)
{
    if (!ingot_file_replace(log->path, lines->str, lines->len, 0600, error)) {
        return FALSE;
    }
    int fd = open_log(log->path, error);
    if (fd < 0) {
        return FALSE;
    }
    close(log->fd);
    log->fd = fd;
    log->end = *end = lines->len;
    return TRUE;
}

/* NULL: the line is not what was written. */
static json_t *parse_line(const char *line, gsize size)
{
    guint64 sum;
    g_autofree char *digits = g_strndup(line, MIN(size, SUM_DIGITS));
    if (size <= SUM_DIGITS + 1 || !g_ascii_string_to_unsigned(digits, 16, 0, G_MAXUINT64, &sum, NULL) ||
        sum != XXH3_64bits(line + SUM_DIGITS + 1, size - SUM_DIGITS - 1)) {
        return NULL;
    }
    return ingot_json_parse(line + SUM_DIGITS + 1, size - SUM_DIGITS - 1, "line", NULL);
}

gboolean nameslog_read(const char *path, guint64 end, NamesLogTake take, gpointer user, guint *damaged, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    const char *at = file == NULL ? NULL : g_mapped_file_get_contents(file);
    gsize left = file == NULL ? 0 : (gsize)MIN(end, g_mapped_file_get_length(file));
    *damaged = 0;
    while (left > 0) {
        const char *newline = memchr(at, '\n', left);
        gsize size = newline == NULL ? left : (gsize)(newline - at);
        g_autoptr(json_t) object = parse_line(at, size);
        *damaged += object == NULL;
        if (object != NULL && !take(object, user, error)) {
            return FALSE;
        }
        gsize step = MIN(left, size + 1);
        at += step;
        left -= step;
    }
    return TRUE;
}
