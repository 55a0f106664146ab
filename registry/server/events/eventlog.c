#include "server/events/eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SUM_SIZE 17 /* characters that a line begins with */

/* --- lines --- */

static char *line_sum(const char *text, gsize size)
{
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x ", (guint64)XXH3_64bits(text, size));
}

/* NULL: the line is not what was written, to the letter. */
static json_t *line_parse(const char *line, gsize size)
{
    if (size <= SUM_SIZE) {
        return NULL;
    }
    g_autofree char *sum = line_sum(line + SUM_SIZE, size - SUM_SIZE);
    return memcmp(line, sum, SUM_SIZE) == 0 ? ingot_json_parse(line + SUM_SIZE, size - SUM_SIZE, "line", NULL) : NULL;
}

static guint64 line_number(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (guint64)number : 0;
}

void eventlog_format(GString *lines, const GPtrArray *objects, EventMark *mark)
{
    guint64 transaction = mark->number + 1;
    for (guint i = 0; i < objects->len; i++) {
        json_t *object = g_ptr_array_index(objects, i);
        g_autofree char *prev = ingot_digest_to_text(&mark->hash);
        json_object_set_new(object, "n", json_integer((json_int_t)++mark->number));
        json_object_set_new(object, "tx", json_integer((json_int_t)transaction));
        ingot_json_set_string(object, "prev", prev);
        g_autofree char *json = ingot_json_canonical(object), *sum = line_sum(json, strlen(json));
        gsize from = lines->len;
        g_string_append_printf(lines, "%s%s", sum, json);
        ingot_digest_of(lines->str + from, lines->len - from, &mark->hash);
        g_string_append_c(lines, '\n');
        mark->end += lines->len - from;
    }
}

/* --- reading --- */

typedef struct {
    const char *path, *start;
    EventTake take;
    gpointer user;
    EventMark mark;  /* of the last whole line */
    guint64 damaged; /* lines since then */
} Reading;

static gboolean reading_tell(Reading *reading, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean reading_tell(Reading *reading, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_autofree char *trouble = g_strdup_vprintf(format, values);
    va_end(values);
    const Event event = {.trouble = trouble};
    return reading->take(&event, reading->user, NULL);
}

static void reading_damaged(Reading *reading, guint64 offset)
{
    guint64 number = reading->mark.number == 0 ? 0 : reading->mark.number + 1 + reading->damaged;
    reading->damaged++;
    if (number == 0) {
        reading_tell(reading, "%s: the line at offset %" G_GUINT64_FORMAT " is damaged", reading->path, offset);
    } else {
        reading_tell(reading, "%s: event %" G_GUINT64_FORMAT ", at offset %" G_GUINT64_FORMAT ", is damaged",
                     reading->path, number, offset);
    }
}

/* Whether a numbered line may be taken; tells what is missing in front of it. */
static gboolean reading_follows(Reading *reading, const json_t *object, guint64 number, guint64 offset)
{
    const EventMark *mark = &reading->mark;
    if (number <= mark->number) {
        reading_tell(reading, "%s: event %" G_GUINT64_FORMAT ", at offset %" G_GUINT64_FORMAT ", stands there again",
                     reading->path, number, offset);
        return FALSE;
    }
    guint64 missing = number - mark->number - 1;
    if (missing > reading->damaged) {
        reading_tell(reading, "%s: %" G_GUINT64_FORMAT " events before event %" G_GUINT64_FORMAT " are missing",
                     reading->path, missing - reading->damaged, number);
    } else if (missing == 0 && reading->damaged == 0) {
        IngotDigest wanted = mark->hash, prev;
        const char *text = json_string_value(json_object_get(object, "prev"));
        if (mark->number == 0) {
            ingot_digest_of(reading->start, offset, &wanted);
        }
        if (text == NULL || !ingot_digest_parse(text, &prev, NULL) || !ingot_digest_equal(&prev, &wanted)) {
            reading_tell(reading, "%s: event %" G_GUINT64_FORMAT " does not follow the one before it", reading->path,
                         number);
        }
    }
    return TRUE;
}

static gboolean reading_line(Reading *reading, guint64 offset, gsize size, GError **error)
{
    const char *line = reading->start + offset;
    g_autoptr(json_t) object = line_parse(line, size);
    guint64 number = line_number(object, "n");
    if (object == NULL || (number == 0 && reading->mark.number > 0)) {
        reading_damaged(reading, offset);
        return TRUE;
    }
    if (number > 0) {
        if (!reading_follows(reading, object, number, offset)) {
            return TRUE;
        }
        ingot_digest_of(line, size, &reading->mark.hash);
        reading->damaged = 0;
    }
    reading->mark.number = number;
    reading->mark.end = offset + size + 1;
    const Event event = {.number = number, .object = object};
    return reading->take(&event, reading->user, error);
}

/* NULL and no error: the file does not exist, or is empty. */
static GMappedFile *log_map(const char *path, GError **error)
{
    GError *problem = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &problem);
    if (g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_clear_error(&problem);
    } else if (problem != NULL) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_FAILED, problem->message);
        g_error_free(problem);
    }
    return file;
}

gboolean eventlog_read(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = log_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    Reading reading = {.path = path, .take = take, .user = user};
    reading.start = file == NULL ? NULL : g_mapped_file_get_contents(file);
    guint64 size = file == NULL ? 0 : MIN(end, g_mapped_file_get_length(file));
    for (guint64 at = 0; at < size;) {
        const char *line = reading.start + at, *newline = memchr(line, '\n', size - at);
        if (newline == NULL) {
            reading_damaged(&reading, at); /* a line ends with a newline */
            break;
        }
        if (!reading_line(&reading, at, (gsize)(newline - line), error)) {
            return FALSE;
        }
        at += (guint64)(newline - line) + 1;
    }
    if (mark != NULL) {
        *mark = reading.mark;
        if (mark->number == 0) {
            ingot_digest_of(mark->end == 0 ? "" : reading.start, mark->end, &mark->hash);
        }
    }
    return TRUE;
}

/* --- the mark --- */

static gboolean log_corrupt(GError **error, const char *path, const char *why)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s: %s. `ingotd rebuild --data %s` makes the catalogue fit the log", path, why, folder);
    return FALSE;
}

static GMappedFile *log_map_to(const char *path, guint64 end, GError **error)
{
    GError *problem = NULL;
    GMappedFile *file = log_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    if (file == NULL || g_mapped_file_get_length(file) < end) {
        g_clear_pointer(&file, g_mapped_file_unref);
        log_corrupt(error, path, "shorter than the catalogue says: the end of the log is lost");
    }
    return file;
}

gboolean eventlog_start(const char *path, guint64 end, EventMark *mark, GError **error)
{
    *mark = (EventMark){.end = end};
    g_autoptr(GMappedFile) file = end == 0 ? NULL : log_map_to(path, end, error);
    if (end > 0 && file == NULL) {
        return FALSE;
    }
    ingot_digest_of(end == 0 ? "" : g_mapped_file_get_contents(file), end, &mark->hash);
    return TRUE;
}

/* Whether the line that ends at the mark is the mark's. */
static gboolean mark_fits(const EventMark *mark, const char *start)
{
    IngotDigest hash;
    if (mark->number == 0) {
        ingot_digest_of(mark->end == 0 ? "" : start, mark->end, &hash);
    } else if (mark->end == 0 || start == NULL || start[mark->end - 1] != '\n') {
        return FALSE;
    } else {
        const char *before = memrchr(start, '\n', mark->end - 1), *line = before == NULL ? start : before + 1;
        ingot_digest_of(line, (gsize)(start + mark->end - 1 - line), &hash);
    }
    return ingot_digest_equal(&hash, &mark->hash);
}

typedef struct {
    const EventMark *mark;
    guint64 strange; /* whole lines that are not of the next transaction */
} Tail;

/* What a crash leaves of a transaction may be torn anywhere; a whole line tells whose it is. */
static void tail_look(Tail *tail, const char *at, gsize size)
{
    while (size > 0) {
        const char *newline = memchr(at, '\n', size);
        gsize length = newline == NULL ? size : (gsize)(newline - at);
        g_autoptr(json_t) object = line_parse(at, length);
        if (object != NULL &&
            (line_number(object, "n") <= tail->mark->number || line_number(object, "tx") != tail->mark->number + 1)) {
            tail->strange++;
        }
        gsize step = MIN(size, length + 1);
        at += step;
        size -= step;
    }
}

gboolean eventlog_check(const char *path, const EventMark *mark, gboolean *tail, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = mark->end == 0 ? log_map(path, &problem) : log_map_to(path, mark->end, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    const char *start = file == NULL ? NULL : g_mapped_file_get_contents(file);
    gsize size = file == NULL ? 0 : g_mapped_file_get_length(file);
    Tail behind = {.mark = mark};
    *tail = size > mark->end;
    if (!mark_fits(mark, start)) {
        return log_corrupt(error, path, "not the log that the catalogue was written with");
    }
    if (*tail) {
        tail_look(&behind, start + mark->end, size - mark->end);
    }
    return behind.strange == 0 || log_corrupt(error, path, "the catalogue is older than its log");
}

/* --- writing --- */

static int log_open(const char *path, GError **error)
{
    gboolean is_new = !g_file_test(path, G_FILE_TEST_EXISTS);
    int fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, error);
    if (fd >= 0 && is_new && !ingot_file_publish(fd, path, path, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean log_size(int fd, const char *path, guint64 *size, GError **error)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    *size = (guint64)st.st_size;
    return TRUE;
}

static gboolean log_flush(int fd, const char *path, GError **error)
{
    return fdatasync(fd) == 0 || ingot_error_set_errno(error, errno, "%s: cannot flush", path);
}

static gboolean log_cut(int fd, const char *path, guint64 end, GError **error)
{
    return ftruncate(fd, (off_t)end) == 0 || ingot_error_set_errno(error, errno, "%s", path);
}

/* Appends bytes to the file at `aside`. A crash before the log is cut leaves them there twice. */
static gboolean aside_add(const char *aside, const void *bytes, gsize size, GError **error)
{
    g_auto(IngotFd) fd = log_open(aside, error);
    guint64 at = 0;
    return fd >= 0 && log_size(fd, aside, &at, error) && ingot_file_pwrite(fd, bytes, size, at, aside, error) &&
           log_flush(fd, aside, error);
}

gboolean eventlog_settle(const char *path, const EventMark *mark, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR, 0, error);
    g_autofree char *aside = g_strconcat(path, ".aside", NULL);
    guint64 size = 0;
    if (fd < 0 || !log_size(fd, path, &size, error)) {
        return FALSE;
    }
    if (size <= mark->end) {
        return TRUE;
    }
    g_autofree char *bytes = g_malloc(size - mark->end);
    return ingot_file_pread(fd, bytes, size - mark->end, mark->end, path, error) &&
           aside_add(aside, bytes, size - mark->end, error) && log_cut(fd, path, mark->end, error) &&
           log_flush(fd, path, error);
}

gboolean eventlog_append(const char *path, const EventMark *mark, const GString *lines, GError **error)
{
    g_auto(IngotFd) fd = log_open(path, error);
    guint64 size = 0;
    if (fd < 0 || !log_size(fd, path, &size, error)) {
        return FALSE;
    }
    if (size != mark->end) { /* another process ended between its append and its commit */
        gboolean tail;
        if (!eventlog_check(path, mark, &tail, error) || !eventlog_settle(path, mark, error)) {
            return FALSE;
        }
    }
    if (ingot_file_pwrite(fd, lines->str, lines->len, mark->end, path, error) && log_flush(fd, path, error)) {
        return TRUE;
    }
    log_cut(fd, path, mark->end, NULL); /* our own lines alone */
    return FALSE;
}

gboolean eventlog_undo(const char *path, const EventMark *mark, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR, 0, error);
    return fd >= 0 && log_cut(fd, path, mark->end, error);
}
