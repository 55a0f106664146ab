#include "server/events/auditlog.h"

#include <ingot/error.h>

#include "server/events/checkpoint.h"
#include "server/events/eventline.h"

typedef struct {
    const IngotDigest *wanted;
    AuditTell tell;
    gpointer user;
    AuditReport *report;
    EventTake take; /* of audit_read; NULL: none */
    gpointer take_user;
    gboolean pictured; /* lines without a number are a checkpoint's picture */
} Audit;

static void audit_fault(Audit *audit, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void audit_fault(Audit *audit, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    audit->report->faults++;
    if (audit->tell != NULL) {
        audit->tell(line, audit->user);
    }
}

/* Its line as it was written: eventline_append is canonical. */
static void event_hash(const json_t *object, IngotDigest *hash)
{
    g_autoptr(GString) line = g_string_new(NULL);
    eventline_append(line, object);
    ingot_digest_of(line->str, line->len, hash);
}

static gboolean audit_event(const Event *event, gpointer user, GError **error)
{
    Audit *audit = user;
    AuditReport *report = audit->report;
    if (event->object == NULL) {
        audit_fault(audit, "%s", event->trouble);
    } else if (event->number > 0) {
        IngotDigest hash;
        report->first = report->first == 0 ? event->number : report->first;
        report->last = event->number;
        report->events++;
        if (audit->wanted != NULL) {
            event_hash(event->object, &hash);
            report->met |= ingot_digest_equal(&hash, audit->wanted);
        }
    }
    gboolean counts = event->object == NULL || event->number > 0 || !audit->pictured;
    return !counts || audit->take == NULL || audit->take(event, audit->take_user, error);
}

/* The picture is what its head says. */
static void audit_picture(Audit *audit, const char *path, GMappedFile *file, const CheckpointHead *head)
{
    IngotDigest found;
    gsize size = g_mapped_file_get_length(file);
    if (head->begins > head->size || head->size > size) {
        return; /* reading it tells that it is cut short */
    }
    ingot_digest_of(g_mapped_file_get_contents(file) + head->begins, head->size - head->begins, &found);
    if (!ingot_digest_equal(&found, &head->picture)) {
        audit_fault(audit, "%s: the checkpoint that it begins with is not what was written", path);
    }
}

/* A log that begins with a checkpoint goes on where the one before it stood. before: NULL: that one is not kept. */
static void audit_joint(Audit *audit, const char *path, const CheckpointHead *head, const char *before)
{
    if (before != NULL && !eventlog_has(before, &head->last)) {
        audit_fault(audit, "%s: begins behind event %" G_GUINT64_FORMAT ", which is another one in %s", path,
                    head->last.number, before);
    }
}

static gboolean audit_file(Audit *audit, const char *path, const char *before, guint64 end, EventMark *mark,
                           GError **error)
{
    GError *problem = NULL;
    CheckpointHead head;
    g_autoptr(GMappedFile) file = eventlog_map(path, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    audit->report->logs++;
    audit->pictured =
        file != NULL && checkpoint_head(g_mapped_file_get_contents(file), g_mapped_file_get_length(file), &head);
    if (audit->pictured) {
        audit_picture(audit, path, file, &head);
        audit_joint(audit, path, &head, before);
    } else if (before != NULL) {
        audit_fault(audit, "%s: does not begin with the checkpoint that follows %s", path, before);
    }
    gsize size = file == NULL ? 0 : g_mapped_file_get_length(file);
    return eventlog_read(path, MIN(end, size), audit_event, audit, mark, error);
}

/* Where a log's events end that the next one does not have: those behind, which came while its picture was made, were
 * taken over. */
static guint64 audit_end(const char *path, const char *next)
{
    CheckpointHead head;
    g_autoptr(GMappedFile) file = eventlog_map(next, NULL);
    gboolean known = file != NULL &&
                     checkpoint_head(g_mapped_file_get_contents(file), g_mapped_file_get_length(file), &head) &&
                     eventlog_has(path, &head.last);
    return known ? head.last.end : G_MAXUINT64;
}

/* All that are kept, and the one that lives behind them. */
static gboolean audit_all(Audit *audit, const char *log, EventMark *mark, GError **error)
{
    g_auto(GStrv) kept = checkpoint_kept(log);
    const char *before = NULL;
    for (guint i = 0; kept[i] != NULL; i++) {
        const char *next = kept[i + 1] == NULL ? log : kept[i + 1];
        if (!audit_file(audit, kept[i], before, audit_end(kept[i], next), mark, error)) {
            return FALSE;
        }
        before = kept[i];
    }
    return audit_file(audit, log, before, G_MAXUINT64, mark, error);
}

/* What the catalogue knows as the last event stands in the log, which may go on behind it. */
static gboolean audit_known(Audit *audit, const char *log, const EventMark *known, GError **error)
{
    EventMark mark = *known;
    gboolean moved;
    if (!eventlog_locate(log, &mark, &moved, error)) {
        return FALSE;
    }
    if (known->number > 0 && !eventlog_has(log, &mark)) {
        audit_fault(audit,
                    "%s: event %" G_GUINT64_FORMAT
                    ", the last that the catalogue knows, is not there: the log was cut, or another one was put here",
                    log, known->number);
    }
    return TRUE;
}

gboolean audit_verify(const char *log, const EventMark *known, const IngotDigest *wanted, AuditTell tell, gpointer user,
                      AuditReport *report, GError **error)
{
    EventMark mark = {0};
    Audit audit = {.wanted = wanted, .tell = tell, .user = user, .report = report};
    *report = (AuditReport){0};
    if (!audit_all(&audit, log, &mark, error) || (known != NULL && !audit_known(&audit, log, known, error))) {
        return FALSE;
    }
    report->head = mark.hash;
    report->met |= wanted != NULL && ingot_digest_equal(&mark.hash, wanted);
    if (wanted != NULL && !report->met) {
        g_autofree char *text = ingot_digest_to_text(wanted);
        audit_fault(&audit, "%s: no event has the hash %s: what followed it, or all, was written anew", log, text);
    }
    return TRUE;
}

gboolean audit_read(const char *log, EventTake take, gpointer user, GError **error)
{
    AuditReport report;
    EventMark mark = {0};
    Audit audit = {.report = &report, .take = take, .take_user = user};
    report = (AuditReport){0};
    return audit_all(&audit, log, &mark, error);
}
