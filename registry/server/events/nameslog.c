#include "server/events/nameslog.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SUM_SIZE 17 /* characters that a line begins with */

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

static char *sum_of(const char *text, gsize size)
{
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x ", (guint64)XXH3_64bits(text, size));
}

void nameslog_format(GString *text, const json_t *object)
{
    g_autofree char *line = ingot_json_canonical(object), *sum = sum_of(line, strlen(line));
    g_string_append_printf(text, "%s%s\n", sum, line);
}

gboolean nameslog_append(NamesLog *log, const GString *lines, guint64 *end, GError **error)
{
    gboolean ok = ingot_file_pwrite(log->fd, lines->str, lines->len, log->end, log->path, error);
    if (ok && fdatasync(log->fd) != 0) {
        ok = ingot_error_set_errno(error, errno, "%s", log->path);
    }
    if (!ok) {
        /* Half a line is no line: whoever reads the log to its end would take it for a damaged one. */
        nameslog_truncate(log, log->end, NULL);
        return FALSE;
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

/* NULL: the line is not what was written, to the letter. */
static json_t *parse_line(const char *line, gsize size)
{
    if (size <= SUM_SIZE) {
        return NULL;
    }
    g_autofree char *sum = sum_of(line + SUM_SIZE, size - SUM_SIZE);
    return memcmp(line, sum, SUM_SIZE) == 0 ? ingot_json_parse(line + SUM_SIZE, size - SUM_SIZE, "line", NULL) : NULL;
}

gboolean nameslog_read(const char *path, guint64 end, NamesLogTake take, gpointer user, guint *damaged, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &problem);
    const char *at = file == NULL ? NULL : g_mapped_file_get_contents(file);
    gsize left = file == NULL ? 0 : (gsize)MIN(end, g_mapped_file_get_length(file));
    *damaged = 0;
    if (g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_clear_error(&problem);
    } else if (problem != NULL) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_FAILED, problem->message);
        g_error_free(problem);
        return FALSE;
    }
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
