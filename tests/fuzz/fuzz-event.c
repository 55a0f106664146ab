/* Events: the input is taken for a log of events, which is read, replayed and checked; and for the events of a log that
 * is written whole and then damaged in one byte. What was written comes back, and damage is told, never passed over. */
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fuzz.h"
#include "server/events/eventlog.h"
#include "server/storage/replay.h"

#define HEAD 4 /* bytes of the input that say which byte of the log is damaged */

static IngotWorkdir *workdir;
static char *path;

static void clean_up(void)
{
    g_free(path);
    ingot_workdir_free(workdir);
}

static void set_up(void)
{
    if (workdir == NULL) {
        g_autoptr(GError) error = NULL;
        workdir = ingot_workdir_new(&error);
        g_assert_no_error(error);
        path = ingot_workdir_file(workdir, "names.log");
        atexit(clean_up);
    }
}

static void write_log(const void *bytes, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, bytes, (gssize)size, &error);
    g_assert_no_error(error);
}

typedef struct {
    Replay *replay;
    guint64 events, gaps, last;
} Seen;

static gboolean seen_take(const Event *event, gpointer user, GError **error)
{
    Seen *seen = user;
    g_assert((event->object == NULL) == (event->trouble != NULL));
    if (event->object == NULL) {
        seen->gaps++;
    } else {
        g_assert(event->number == 0 ? seen->last == 0 : event->number > seen->last);
        seen->last = event->number;
        seen->events++;
    }
    return replay_take(event, seen->replay, error);
}

/* Reads the log, up to its mark again, and checks it against that. */
static Seen read_log(EventMark *mark)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Replay) replay = replay_new();
    Seen seen = {.replay = replay}, again = {.replay = replay};
    g_assert(eventlog_read(path, G_MAXUINT64, seen_take, &seen, mark, &error));
    g_assert_no_error(error);
    g_assert(replay->gaps->len == seen.gaps);
    g_assert(eventlog_read(path, mark->end, seen_take, &again, NULL, NULL));
    g_assert(again.events == seen.events);
    seen.replay = NULL;
    return seen;
}

static void try_log(const void *bytes, gsize size)
{
    gboolean tail;
    EventMark mark;
    write_log(bytes, size);
    Seen seen = read_log(&mark);
    g_assert(mark.end <= size && mark.number == seen.last);
    g_autoptr(GError) error = NULL;
    if (eventlog_check(path, &mark, &tail, &error)) {
        g_assert(tail == (mark.end < size));
    } else {
        g_assert(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    }
}

/* Each line of the input that is a JSON object is an event; an empty line ends a transaction. */
static guint64 write_events(const char *text, GString *lines, EventMark *mark)
{
    guint64 events = 0;
    g_auto(GStrv) all = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (guint i = 0; all[i] != NULL; i++) {
        json_t *object = ingot_json_parse(all[i], strlen(all[i]), "event", NULL);
        if (json_is_object(object)) {
            g_ptr_array_add(objects, object);
            events++;
        } else {
            json_decref(object);
        }
        if (*all[i] == '\0' || all[i + 1] == NULL) {
            eventlog_format(lines, objects, mark);
            g_ptr_array_set_size(objects, 0);
        }
    }
    return events;
}

static void try_events(const char *text, guint32 place)
{
    gboolean tail;
    g_autoptr(GString) lines = g_string_new(NULL);
    EventMark mark = {0}, read;
    ingot_digest_of("", 0, &mark.hash);
    guint64 events = write_events(text, lines, &mark);
    write_log(lines->str, lines->len);
    Seen whole = read_log(&read);
    g_assert(whole.events == events && whole.gaps == 0);
    g_assert(read.number == mark.number && read.end == mark.end && ingot_digest_equal(&read.hash, &mark.hash));
    g_assert(eventlog_check(path, &mark, &tail, NULL) && !tail);
    if (lines->len > 0) {
        lines->str[place % lines->len] ^= (char)(1 << (place >> 29));
        write_log(lines->str, lines->len);
        Seen damaged = read_log(&read);
        g_assert(damaged.gaps > 0 && damaged.events < events);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guint32 place = 0;
    set_up();
    try_log(data, size);
    if (size >= HEAD) {
        memcpy(&place, data, HEAD);
        g_autofree char *text = g_strndup((const char *)data + HEAD, size - HEAD);
        try_events(text, place);
    }
    return 0;
}
