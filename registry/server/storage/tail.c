#include "server/storage/tail.h"

#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/logmark.h"
#include "server/events/checkpoint.h"
#include "server/events/eventline.h"
#include "server/storage/inside.h"

/* Where the line begins that is so many lines before the end, and not before `from`. */
static guint64 lines_back(const char *start, guint64 from, guint64 end, guint lines)
{
    guint64 at = end;
    for (guint i = 0; i < lines && at > from; i++) {
        const char *newline = memrchr(start + from, '\n', at - from - 1);
        at = newline == NULL ? from : (guint64)(newline - start) + 1;
    }
    return at;
}

/* The number of the event whose line begins there; 0: it has none. */
static guint64 line_number(const char *line, gsize size)
{
    const char *newline = memchr(line, '\n', size);
    g_autoptr(json_t) object = newline == NULL ? NULL : eventline_parse(line, (gsize)(newline - line));
    return object == NULL ? 0 : eventline_number(object, "n");
}

gboolean storage_tail_begin(Storage *storage, StorageTail *tail, guint most, GError **error)
{
    EventMark mark;
    LogMarkKind kind;
    CheckpointHead head;
    *tail = (StorageTail){0};
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !logmark_get(reader, &mark, &kind, error)) {
        return FALSE;
    }
    g_autoptr(GMappedFile) file = kind == LOGMARK_KNOWN ? eventlog_map(storage->events, NULL) : NULL;
    if (file == NULL || g_mapped_file_get_length(file) < mark.end) {
        return TRUE; /* from the beginning, then */
    }
    const char *start = g_mapped_file_get_contents(file);
    guint64 from = checkpoint_head(start, mark.end, &head) && head.size <= mark.end ? head.size : 0;
    guint64 at = lines_back(start, from, mark.end, most);
    guint64 first = at == mark.end ? mark.number + 1 : line_number(start + at, mark.end - at);
    if (first > 0) {
        *tail = (StorageTail){.number = first - 1, .end = at};
    }
    return TRUE;
}

typedef struct {
    StorageTail *tail;
    guint64 last; /* the number of the last event that is committed */
    StorageTailTake take;
    gpointer user;
} TailReading;

static void tail_give(TailReading *reading, guint64 number, const json_t *object)
{
    if (number > reading->tail->number && number <= reading->last) {
        reading->tail->number = number;
        reading->take(number, object, reading->user);
    }
}

static gboolean tail_take(const Event *event, gpointer user, GError **error)
{
    (void)error;
    if (event->object != NULL) {
        tail_give(user, event->number, event->object);
    }
    return TRUE;
}

/* The lines between the tail and the mark, where the log still has them there; FALSE: it does not. */
static gboolean tail_go_on(TailReading *reading, const char *path, guint64 end)
{
    guint64 at = reading->tail->end;
    g_autoptr(GMappedFile) file = at == 0 || at >= end ? NULL : eventlog_map(path, NULL);
    if (file == NULL || g_mapped_file_get_length(file) < end) {
        return FALSE;
    }
    const char *start = g_mapped_file_get_contents(file);
    while (at < end) {
        const char *newline = memchr(start + at, '\n', end - at);
        g_autoptr(json_t) object = newline == NULL ? NULL : eventline_parse(start + at, (gsize)(newline - start - at));
        guint64 number = object == NULL ? 0 : eventline_number(object, "n");
        if (number != reading->tail->number + 1) {
            return FALSE;
        }
        tail_give(reading, number, object);
        at = (guint64)(newline - start) + 1;
    }
    return reading->tail->number == reading->last;
}

/* Logs of before a checkpoint, from the one on that has the event behind the tail. A log is named after its last. */
static gboolean tail_read_kept(TailReading *reading, const char *path, GError **error)
{
    g_auto(GStrv) kept = checkpoint_kept(path);
    for (guint i = 0; kept[i] != NULL; i++) {
        guint64 last = g_ascii_strtoull(strrchr(kept[i], '.') + 1, NULL, 10);
        if (last > reading->tail->number && !eventlog_read(kept[i], G_MAXUINT64, tail_take, reading, NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean storage_tail(Storage *storage, StorageTail *tail, StorageTailTake take, gpointer user, GError **error)
{
    EventMark mark;
    LogMarkKind kind;
    guint64 sequence = database_sequence(storage->catalogue);
    if (sequence == tail->sequence) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !logmark_get(reader, &mark, &kind, error)) {
        return FALSE;
    }
    TailReading reading = {.tail = tail, .last = mark.number, .take = take, .user = user};
    if (kind == LOGMARK_KNOWN && mark.number > tail->number && !tail_go_on(&reading, storage->events, mark.end)) {
        /* A checkpoint has moved the lines, or one of them is damaged. */
        if ((tail->all && !tail_read_kept(&reading, storage->events, error)) ||
            !eventlog_read(storage->events, G_MAXUINT64, tail_take, &reading, NULL, error)) {
            return FALSE;
        }
        tail->number = mark.number;
    }
    tail->end = mark.end;
    tail->sequence = sequence;
    return TRUE;
}
