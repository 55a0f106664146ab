#include "server/follow/hosts.h"

#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define WORD_MAX 253u   /* bytes of a host's or a group's name: of a name in the DNS */
#define WORDS_MAX 1000u /* bytes of what failed */

static gboolean hosts_wrong(GError **error, const char *member, const char *rule)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the report's \"%s\" %s", member, rule);
    return FALSE;
}

/* A text of the report without control characters; otherwise where there is none. FALSE: it is wrong. */
static gboolean hosts_text(const json_t *json, const char *member, gsize most, const char *otherwise, const char **text,
                           GError **error)
{
    const json_t *value = json_object_get(json, member);
    *text = value == NULL || json_is_null(value) ? otherwise : json_string_value(value);
    if (*text == NULL) {
        return hosts_wrong(error, member, value == NULL ? "is missing" : "is not a text");
    }
    gboolean plain = strlen(*text) <= most;
    for (const char *at = *text; plain && *at != '\0'; at++) {
        plain = !g_ascii_iscntrl(*at);
    }
    return plain || hosts_wrong(error, member, "is too long, or has control characters");
}

gboolean hosts_read(const json_t *json, HostReport *report, GError **error)
{
    static const char *const results[] = {"done", "failed", "running", NULL};
    IngotDigest digest;
    const char *since;
    const json_t *begun = json_object_get(json, "begun");
    if (!json_is_object(json)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a report is an object");
        return FALSE;
    }
    if (!hosts_text(json, "host", WORD_MAX, NULL, &report->host, error) ||
        !hosts_text(json, "id", WORD_MAX, "", &report->id, error) ||
        !hosts_text(json, "group", WORD_MAX, "", &report->group, error) ||
        !hosts_text(json, "digest", WORD_MAX, "", &report->digest, error) ||
        !hosts_text(json, "result", WORD_MAX, NULL, &report->result, error) ||
        !hosts_text(json, "failure", WORDS_MAX, "", &report->failure, error) ||
        !hosts_text(json, "since", WORD_MAX, NULL, &since, error)) {
        return FALSE;
    }
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(since, NULL);
    if (date == NULL) {
        return hosts_wrong(error, "since", "is not a date");
    }
    report->since = g_date_time_to_unix(date);
    report->begun = begun == NULL || json_is_true(begun);
    return (*report->host != '\0' || hosts_wrong(error, "host", "is empty")) &&
           (g_strv_contains(results, report->result) ||
            hosts_wrong(error, "result", "is not done, failed or running")) &&
           (begun == NULL || json_is_boolean(begun) || hosts_wrong(error, "begun", "is not true or false")) &&
           (*report->digest == '\0' || ingot_digest_parse(report->digest, &digest, error));
}

static gboolean hosts_make_room_of_name(Connection *writer, const char *name, GError **error)
{
    return database_run(writer, error,
                        "DELETE FROM hosts WHERE (name, channel, host, id, user) IN"
                        " (SELECT name, channel, host, id, user FROM hosts WHERE name=?1 AND user="
                        "(SELECT user FROM hosts WHERE name=?1 GROUP BY user ORDER BY count(*) DESC, user LIMIT 1)"
                        " ORDER BY seen, channel, host, id"
                        " LIMIT max(0, (SELECT count(*) FROM hosts WHERE name=?1)-?2))",
                        "ti", name, (gint64)HOSTS_MOST);
}

static gboolean hosts_make_room_of_all(Connection *writer, GError **error)
{
    return database_run(writer, error,
                        "DELETE FROM hosts WHERE (name, channel, host, id, user) IN"
                        " (SELECT name, channel, host, id, user FROM hosts WHERE user="
                        "(SELECT user FROM hosts GROUP BY user ORDER BY count(*) DESC, user LIMIT 1)"
                        " ORDER BY seen, name, channel, host, id"
                        " LIMIT max(0, (SELECT count(*) FROM hosts)-?))",
                        "i", (gint64)HOSTS_MOST_OF_ALL);
}

/* The move that a row counts for as a failure, or may come to count for; 0: none. */
#define COUNTS_FOR                                                                                                     \
    "max(CASE WHEN failed<>'' THEN failed_move ELSE 0 END, CASE WHEN result='running' THEN begun_move ELSE 0 END)"

/* Who fails and is silent from then on has not succeeded, so what the move of now goes by is kept. */
static gboolean hosts_forget(Connection *writer, const HostReport *report, gint64 now, GError **error)
{
    return database_run(writer, error,
                        "DELETE FROM hosts WHERE seen<? AND (" COUNTS_FOR "=0 OR (name=? AND channel=? AND " COUNTS_FOR
                        "<?))",
                        "itti", now - HOSTS_LIFE, report->name, report->channel, (gint64)report->move);
}

/* Whether the report is what the row says already. */
#define SAID "hosts.result=excluded.result AND hosts.digest=excluded.digest AND hosts.since=excluded.since"
/* Whether it is of a failure that the row does not have yet. */
#define FAILS "excluded.failed<>'' AND NOT (" SAID ")"

static gboolean hosts_adopt(Connection *writer, const HostReport *report, GError **error)
{
    return *report->id == '\0' ||
           database_run(writer, error,
                        "UPDATE OR IGNORE hosts SET id=? WHERE name=? AND channel=? AND host=? AND id='' AND user=?",
                        "ttttt", report->id, report->name, report->channel, report->host, report->user);
}

gboolean hosts_put(Database *ledger, const HostReport *report, gint64 now, GError **error)
{
    gboolean fails = report->begun && strcmp(report->result, "failed") == 0;
    gint64 move = (gint64)report->move;
    Connection *writer = database_begin(ledger, error);
    if (writer == NULL) {
        return FALSE;
    }
    gboolean ok =
        hosts_adopt(writer, report, error) &&
        database_run(
            writer, error,
            "INSERT INTO hosts (name, channel, host, id, user, grp, digest, result, failure, since, seen, failed,"
            " failed_move, begun_move) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " grp=excluded.grp, digest=excluded.digest, result=excluded.result, failure=excluded.failure,"
            " since=excluded.since, seen=excluded.seen, failed=CASE WHEN " FAILS " THEN"
            " excluded.failed WHEN excluded.result='done' AND excluded.digest=hosts.failed THEN ''"
            " ELSE hosts.failed END, failed_move=CASE WHEN " FAILS " THEN excluded.failed_move"
            " ELSE hosts.failed_move END, begun_move=CASE WHEN " SAID " THEN hosts.begun_move"
            " ELSE excluded.begun_move END",
            "tttttttttiitii", report->name, report->channel, report->host, report->id, report->user, report->group,
            report->digest, report->result, report->failure, report->since, now, fails ? report->digest : "", move,
            move) &&
        hosts_forget(writer, report, now, error) && hosts_make_room_of_name(writer, report->name, error) &&
        hosts_make_room_of_all(writer, error);
    return database_end(ledger, ok, error);
}

static json_t *hosts_row(sqlite3_stmt *rows)
{
    g_autofree char *since = ingot_text_time(sqlite3_column_int64(rows, 6)),
                    *seen = ingot_text_time(sqlite3_column_int64(rows, 7));
    const char *user = (const char *)sqlite3_column_text(rows, 8), *id = (const char *)sqlite3_column_text(rows, 9);
    json_t *row = json_object();
    static const char *const members[] = {"channel", "host", "group", "digest", "result", "failure"};
    for (int i = 0; i < (int)G_N_ELEMENTS(members); i++) {
        ingot_json_set_string(row, members[i], (const char *)sqlite3_column_text(rows, i));
    }
    ingot_json_set_string(row, "since", since);
    ingot_json_set_string(row, "seen", seen);
    ingot_json_set_string(row, "id", *id == '\0' ? NULL : id);
    ingot_json_set_string(row, "by", strcmp(user, "-") == 0 ? NULL : user);
    return row;
}

json_t *hosts_list(Database *ledger, const char *name, const char *channel, gint64 now, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(json_t) list = json_array();
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader,
                       "SELECT channel, host, grp, digest, result, failure, since, seen, user, id FROM hosts WHERE"
                       " name=? AND channel=coalesce(?, channel) AND (seen>=? OR failed<>'' OR result='running')"
                       " ORDER BY channel, host, id, user",
                       "tti", name, channel, now - HOSTS_LIFE);
    while (database_step(rows, &problem)) {
        json_array_append_new(list, hosts_row(rows));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

json_t *hosts_failed(Database *ledger, const char *name, const char *channel, guint64 move, gint64 now, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(ledger, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(json_t) list = json_array();
    g_autoptr(sqlite3_stmt) rows = database_query(
        reader,
        "SELECT host, id, failed FROM hosts WHERE name=?1 AND channel=?2 AND failed<>'' AND failed_move>=?3"
        " UNION SELECT host, id, digest FROM hosts WHERE name=?1 AND channel=?2 AND result='running' AND begun_move>=?3"
        " AND seen<?4 ORDER BY 1, 2, 3",
        "ttii", name, channel, (gint64)move, now - HOSTS_SILENT);
    while (database_step(rows, &problem)) {
        json_t *row = json_object();
        ingot_json_set_string(row, "host", (const char *)sqlite3_column_text(rows, 0));
        ingot_json_set_string(row, "id", (const char *)sqlite3_column_text(rows, 1));
        ingot_json_set_string(row, "digest", (const char *)sqlite3_column_text(rows, 2));
        json_array_append_new(list, row);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}
