/* Reading the log of events: each event, and each gap. */
#include "server/events/eventlog.h"

#include <ingot/error.h>
#include <string.h>

#include "server/events/checkpoint.h"
#include "server/events/eventline.h"

typedef struct {
    const char *path, *start;
    EventTake take;
    gpointer user;
    EventMark mark;  /* of the last whole line */
    guint64 damaged; /* lines since then */
    gboolean begun;  /* with a checkpoint, or an event that has a number: `prev` is the mark's hash */
    guint64 picture; /* where the picture ends that is being read; 0: none is */
} Reading;

static gboolean reading_tell(Reading *reading, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean reading_tell(Reading *reading, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_autofree char *trouble = g_strdup_vprintf(format, values);
    va_end(values);
    const Event event = {.trouble = trouble, .gap = reading->picture > 0 ? EVENT_GAP_PICTURE : EVENT_GAP};
    return reading->take(&event, reading->user, NULL);
}

static void reading_damaged(Reading *reading, guint64 offset)
{
    guint64 number = reading->mark.number == 0 ? 0 : reading->mark.number + 1 + reading->damaged;
    if (offset < reading->picture) {
        reading_tell(reading, "%s: a line of the checkpoint, at offset %" G_GUINT64_FORMAT ", is damaged",
                     reading->path, offset);
        return;
    }
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
        if (mark->number == 0 && !reading->begun) {
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
    g_autoptr(json_t) object = eventline_parse(line, size);
    guint64 number = eventline_number(object, "n");
    gboolean pictured = offset < reading->picture;
    if (object == NULL || (number == 0 && reading->mark.number > 0 && !pictured)) {
        reading_damaged(reading, offset);
        return TRUE;
    }
    if (number > 0) {
        if (!reading_follows(reading, object, number, offset)) {
            return TRUE;
        }
        ingot_digest_of(line, size, &reading->mark.hash);
        reading->mark.number = number;
        reading->damaged = 0;
        reading->begun = TRUE;
        reading->picture = 0; /* one that is cut short */
    }
    reading->mark.end = offset + size + 1;
    const Event event = {.number = number, .object = object};
    return reading->take(&event, reading->user, error);
}

/* The head of a checkpoint: what follows is its picture, or what follows that where the picture is skipped. */
static guint64 reading_begin(Reading *reading, guint64 size, gboolean skip)
{
    CheckpointHead head;
    if (reading->start == NULL || !checkpoint_head(reading->start, size, &head)) {
        return 0;
    }
    reading->mark = head.last;
    reading->mark.end = skip ? MIN(head.size, size) : head.begins;
    reading->picture = skip ? 0 : head.size;
    reading->begun = TRUE;
    return reading->mark.end;
}

/* Behind the picture, or where the log is cut short within it. */
static void reading_end_picture(Reading *reading, guint64 size)
{
    if (reading->picture > size) {
        reading_tell(reading, "%s: the checkpoint that it begins with is cut short", reading->path);
    } else if (reading->picture > 0) {
        reading->mark.end = MAX(reading->mark.end, reading->picture);
    }
    reading->picture = 0;
}

static gboolean reading_lines(Reading *reading, guint64 at, guint64 size, GError **error)
{
    while (at < size) {
        const char *line = reading->start + at, *newline = memchr(line, '\n', size - at);
        if (reading->picture > 0 && at >= reading->picture) {
            reading_end_picture(reading, size);
        }
        if (newline == NULL) {
            reading_damaged(reading, at); /* a line ends with a newline */
            break;
        }
        if (!reading_line(reading, at, (gsize)(newline - line), error)) {
            return FALSE;
        }
        at += (guint64)(newline - line) + 1;
    }
    reading_end_picture(reading, size);
    return TRUE;
}

static gboolean read_file(const char *path, GMappedFile *file, guint64 end, gboolean skip, EventTake take,
                          gpointer user, EventMark *mark, GError **error)
{
    Reading reading = {.path = path, .take = take, .user = user};
    reading.start = file == NULL ? NULL : g_mapped_file_get_contents(file);
    guint64 size = file == NULL ? 0 : MIN(end, g_mapped_file_get_length(file));
    guint64 from = reading_begin(&reading, size, skip);
    if (!reading_lines(&reading, from, size, error)) {
        return FALSE;
    }
    if (mark != NULL) {
        *mark = reading.mark;
        if (!reading.begun) {
            ingot_digest_of(mark->end == 0 ? "" : reading.start, mark->end, &mark->hash);
        }
    }
    return TRUE;
}

gboolean eventlog_read(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GMappedFile) file = eventlog_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return read_file(path, file, end, FALSE, take, user, mark, error);
}

/* --- past a damaged checkpoint --- */

static gboolean picture_is_whole(GMappedFile *file, const CheckpointHead *head)
{
    IngotDigest found;
    if (g_mapped_file_get_length(file) < head->size) {
        return FALSE;
    }
    ingot_digest_of(g_mapped_file_get_contents(file) + head->begins, head->size - head->begins, &found);
    return ingot_digest_equal(&found, &head->picture);
}

/* NOLINTNEXTLINE(misc-no-recursion): once for each checkpoint that is damaged, and kept logs are few */
static gboolean read_whole(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark,
                           GError **error)
{
    GError *problem = NULL;
    CheckpointHead head;
    g_autoptr(GMappedFile) file = eventlog_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gboolean damaged = file != NULL &&
                       checkpoint_head(g_mapped_file_get_contents(file), g_mapped_file_get_length(file), &head) &&
                       !picture_is_whole(file, &head);
    g_autofree char *before = damaged ? checkpoint_before(path, &head) : NULL;
    if (before != NULL) {
        g_autofree char *trouble = g_strdup_printf("%s: its checkpoint is damaged; %s is read instead", path, before);
        const Event event = {.trouble = trouble, .gap = EVENT_GAP_REPLACED};
        if (!take(&event, user, error) || !read_whole(before, head.last.end, take, user, NULL, error)) {
            return FALSE;
        }
    }
    return read_file(path, file, end, before != NULL, take, user, mark, error);
}

gboolean eventlog_read_whole(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark,
                             GError **error)
{
    return read_whole(path, end, take, user, mark, error);
}
