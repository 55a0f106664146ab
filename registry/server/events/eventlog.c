#include "server/events/eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "server/events/checkpoint.h"
#include "server/events/eventline.h"

/* --- lines --- */

void eventlog_format(GString *lines, const GPtrArray *objects, EventMark *mark)
{
    guint64 transaction = mark->number + 1;
    for (guint i = 0; i < objects->len; i++) {
        json_t *object = g_ptr_array_index(objects, i);
        g_autofree char *prev = ingot_digest_to_text(&mark->hash);
        json_object_set_new(object, "n", json_integer((json_int_t)++mark->number));
        json_object_set_new(object, "tx", json_integer((json_int_t)transaction));
        ingot_json_set_string(object, "prev", prev);
        gsize from = lines->len;
        eventline_append(lines, object);
        ingot_digest_of(lines->str + from, lines->len - from, &mark->hash);
        g_string_append_c(lines, '\n');
        mark->end += lines->len - from;
    }
}

GMappedFile *eventlog_map(const char *path, GError **error)
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

/* --- the mark --- */

static gboolean log_corrupt(GError **error, const char *path, const char *why)
{
    g_autofree char *folder = g_path_get_dirname(path), *word = ingot_text_word(folder);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s: %s. `ingotd rebuild --data %s` makes the catalogue fit the log", path, why, word);
    return FALSE;
}

/* The catalogue knows more than the log: it is the one to go by. */
static gboolean log_lacks(GError **error, const char *path, const char *why)
{
    g_autofree char *folder = g_path_get_dirname(path), *word = ingot_text_word(folder);
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
        "%s: %s. `ingotd rebuild --events --data %s` begins a log anew with all that the catalogue has, and keeps"
        " this one",
        path, why, word);
    return FALSE;
}

static GMappedFile *log_map_to(const char *path, guint64 end, GError **error)
{
    GError *problem = NULL;
    GMappedFile *file = eventlog_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    if (file == NULL || g_mapped_file_get_length(file) < end) {
        g_clear_pointer(&file, g_mapped_file_unref);
        log_lacks(error, path, "shorter than the catalogue says: the end of the log is lost");
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

/* Whether the line that ends at the mark is the mark's: the event's, or the last of the picture that shows it. */
static gboolean mark_fits(const EventMark *mark, const char *start)
{
    IngotDigest hash;
    CheckpointHead head;
    if (start != NULL && checkpoint_head(start, mark->end, &head) && head.size >= mark->end) {
        return head.size == mark->end && head.last.number == mark->number &&
               ingot_digest_equal(&head.last.hash, &mark->hash);
    }
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

gboolean eventlog_has(const char *path, const EventMark *mark)
{
    g_autoptr(GMappedFile) file = eventlog_map(path, NULL);
    return file != NULL && g_mapped_file_get_length(file) >= mark->end &&
           mark_fits(mark, g_mapped_file_get_contents(file));
}

/* Where the event ends in a log that begins with a checkpoint; 0: it is not in it. */
static guint64 log_search(const char *start, gsize size, const EventMark *mark)
{
    CheckpointHead head;
    if (!checkpoint_head(start, size, &head) || head.size > size || head.last.number > mark->number) {
        return 0;
    }
    if (head.last.number == mark->number) {
        return ingot_digest_equal(&head.last.hash, &mark->hash) ? head.size : 0;
    }
    for (guint64 at = head.size; at < size;) {
        const char *line = start + at, *newline = memchr(line, '\n', size - at);
        if (newline == NULL) {
            break;
        }
        IngotDigest hash;
        ingot_digest_of(line, (gsize)(newline - line), &hash);
        at += (guint64)(newline - line) + 1;
        if (ingot_digest_equal(&hash, &mark->hash)) {
            return at;
        }
    }
    return 0;
}

gboolean eventlog_locate(const char *path, EventMark *mark, gboolean *moved, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = eventlog_map(path, &problem);
    *moved = FALSE;
    if (file == NULL) {
        if (problem != NULL) {
            g_propagate_error(error, problem);
        }
        return problem == NULL;
    }
    const char *start = g_mapped_file_get_contents(file);
    gsize size = g_mapped_file_get_length(file);
    if (size < mark->end || !mark_fits(mark, start)) {
        guint64 end = log_search(start, size, mark);
        *moved = end > 0;
        mark->end = *moved ? end : mark->end;
    }
    return TRUE;
}

static gboolean take_none(const Event *event, gpointer user, GError **error)
{
    guint *gaps = user;
    (void)error;
    *gaps += event->object == NULL;
    return TRUE;
}

typedef struct {
    const EventMark *mark;
    guint64 strange; /* whole lines that are not of the next transaction */
    guint64 torn;    /* lines that are not whole */
    gsize size;      /* bytes */
} Tail;

/* What a crash leaves of a transaction may be torn anywhere; a whole line tells whose it is. */
static void tail_look(Tail *tail, const char *at, gsize size)
{
    while (size > 0) {
        const char *newline = memchr(at, '\n', size);
        gsize length = newline == NULL ? size : (gsize)(newline - at);
        g_autoptr(json_t) object = eventline_parse(at, length);
        tail->torn += object == NULL || newline == NULL;
        if (object != NULL && (eventline_number(object, "n") <= tail->mark->number ||
                               eventline_number(object, "tx") != tail->mark->number + 1)) {
            tail->strange++;
        }
        gsize step = MIN(size, length + 1);
        at += step;
        size -= step;
    }
}

/* *behind: what stands behind the mark. */
static gboolean log_look(const char *path, const EventMark *mark, Tail *behind, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = mark->end == 0 ? eventlog_map(path, &problem) : log_map_to(path, mark->end, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    const char *start = file == NULL ? NULL : g_mapped_file_get_contents(file);
    gsize size = file == NULL ? 0 : g_mapped_file_get_length(file);
    *behind = (Tail){.mark = mark, .size = size > mark->end ? size - mark->end : 0};
    if (!mark_fits(mark, start)) {
        return log_lacks(error, path, "not the log that the catalogue was written with");
    }
    if (behind->size > 0) {
        tail_look(behind, start + mark->end, behind->size);
    }
    return behind->strange == 0 || log_corrupt(error, path, "the catalogue is older than its log");
}

gboolean eventlog_check(const char *path, const EventMark *mark, gboolean *tail, GError **error)
{
    Tail behind = {0};
    gboolean fits = log_look(path, mark, &behind, error);
    *tail = behind.size > 0;
    return fits;
}

gboolean eventlog_is_torn(const char *path, const EventMark *mark)
{
    Tail behind;
    return log_look(path, mark, &behind, NULL) && behind.torn > 0;
}

gboolean eventlog_lost_last(const char *path, const EventMark *mark)
{
    EventMark found;
    guint gaps = 0;
    Tail behind = {.mark = mark};
    if (mark->number == 0 || !eventlog_read(path, mark->end, take_none, &gaps, &found, NULL) ||
        found.number + 1 != mark->number || found.end >= mark->end) {
        return FALSE;
    }
    g_autoptr(GMappedFile) file = eventlog_map(path, NULL);
    gsize size = file == NULL ? 0 : g_mapped_file_get_length(file);
    if (size < mark->end) {
        return FALSE;
    }
    /* No gap but that of the last event: it may have become two lines, or none. */
    guint before = 0;
    if (!eventlog_read(path, found.end, take_none, &before, NULL, NULL) || before > 0 || gaps == 0) {
        return FALSE;
    }
    tail_look(&behind, g_mapped_file_get_contents(file) + mark->end, size - mark->end);
    return behind.strange == 0;
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
