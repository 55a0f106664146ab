/* ingotd audit: whether the log of events is whole, and what it says. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "image/lifecycle.h"
#include "server/cli/verbs.h"
#include "server/events/auditlog.h"
#include "server/storage/witness.h"

typedef struct {
    gint64 since;        /* seconds since 1970; G_MININT64: from the first on */
    const char *pattern; /* of names; NULL: all */
    guint64 gaps;
} Export;

static void print_report(const AuditReport *report, gboolean json)
{
    g_autofree char *head = ingot_digest_to_text(&report->head);
    if (json) {
        g_autoptr(json_t) object =
            ingot_json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "events", (json_int_t)report->events, "first",
                            (json_int_t)report->first, "last", (json_int_t)report->last, "logs",
                            (json_int_t)report->logs, "faults", (json_int_t)report->faults, "head", head);
        g_autofree char *text = ingot_json_canonical(object);
        puts(text);
        return;
    }
    printf("%" G_GUINT64_FORMAT " events, %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ", in %u logs; head: %s\n",
           report->events, report->first, report->last, report->logs, head);
}

static gboolean verify(const char *data, const char *head, gboolean json, GError **error)
{
    IngotDigest wanted;
    EventMark known;
    AuditReport report;
    if (head != NULL && !ingot_digest_parse(head, &wanted, error)) {
        return FALSE;
    }
    g_autofree char *log = g_build_filename(data, "names.log", NULL);
    gboolean has_known = witness_read(data, &known); /* first: the log may go on meanwhile */
    if (!has_known) {
        fputs("the catalogue can't be read, or knows of no event: a log that was cut at its end does not show\n",
              stderr);
    }
    if (!audit_verify(log, has_known ? &known : NULL, head == NULL ? NULL : &wanted, verb_print_line, NULL, &report,
                      error)) {
        return FALSE;
    }
    print_report(&report, json);
    if (report.faults > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %" G_GUINT64_FORMAT " faults", log, report.faults);
    }
    return report.faults == 0;
}

static gboolean export_event(const Event *event, gpointer user, GError **error)
{
    Export *export = user;
    (void)error;
    if (event->object == NULL) {
        export->gaps++;
        fprintf(stderr, "%s\n", event->trouble);
        return TRUE;
    }
    gint64 at = json_integer_value(json_object_get(event->object, "at"));
    const char *name = json_string_value(json_object_get(event->object, "name"));
    if (at < export->since ||
        (export->pattern != NULL && (name == NULL || !g_pattern_match_simple(export->pattern, name)))) {
        return TRUE;
    }
    g_autoptr(json_t) object = json_copy((json_t *)event->object);
    g_autofree char *when = ingot_text_time(at);
    ingot_json_set_string(object, "when", when);
    g_autofree char *text = ingot_json_canonical(object);
    puts(text);
    return TRUE;
}

static gboolean print_all(const char *data, const char *since, const char *pattern, GError **error)
{
    Export export = {.since = G_MININT64, .pattern = pattern};
    g_autofree char *log = g_build_filename(data, "names.log", NULL);
    if (since != NULL && !lifecycle_date(since, &export.since, error)) {
        g_prefix_error(error, "--since: ");
        return FALSE;
    }
    if (!audit_read(log, export_event, &export, error)) {
        return FALSE;
    }
    if (export.gaps > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %" G_GUINT64_FORMAT " places are damaged", log,
                    export.gaps);
    }
    return export.gaps == 0;
}

static gboolean only_of(const char *option, gboolean given, const char *action, GError **error)
{
    if (given) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s goes with `ingotd audit %s` alone", option, action);
    }
    return !given;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL, *head = NULL, *since = NULL, *name = NULL;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"head", 0, 0, G_OPTION_ARG_STRING, &head, "verify: an event must have this hash", "sha256:HEX"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "verify: print the outcome as JSON", NULL},
        {"since", 0, 0, G_OPTION_ARG_STRING, &since, "export: events from this date on (UTC)", "DATE"},
        {"name", 0, 0, G_OPTION_ARG_STRING, &name, "export: events of names that match", "PATTERN"},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_audit, entries, 1, 1, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !verb_finds_data(data, error)) {
        return FALSE;
    }
    if (strcmp(argv[1], "verify") == 0) {
        return only_of("--since", since != NULL, "export", error) && only_of("--name", name != NULL, "export", error) &&
               verify(data, head, json, error);
    }
    if (strcmp(argv[1], "export") == 0) {
        return only_of("--head", head != NULL, "verify", error) && only_of("--json", json, "verify", error) &&
               print_all(data, since, name, error);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "audit %s: verify or export is expected", argv[1]);
    return FALSE;
}

const Verb verb_audit = {
    "audit", "verify|export", "check the log of events, or print it",
    "verify reads all logs that are kept and says which event is damaged, missing, moved or put in, and whether the\n"
    "last that the catalogue knows is there; it ends with status 1 if anything is wrong. It prints the hash of the "
    "last\n"
    "event, the head: keep it elsewhere, and give it as --head later, so that a log that was written anew as a whole\n"
    "shows too. The server may run meanwhile.\n"
    "export prints each event as a line of JSON, the oldest first: who (by), when, from where, what, why.\n\n"
    "Examples:\n  ingotd audit verify --data /srv/ingot\n"
    "  ingotd audit export --data /srv/ingot --since 2026-01-01 --name 'team/*'\n",
    run};
