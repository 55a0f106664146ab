#include "server/catalogue/rowcheck.h"

#include "server/catalogue/rowsum.h"

/* The words in front of the first column, where that is the row's; the columns that the sum covers come behind it. */
typedef struct {
    const char *sql; /* name, the columns of the sum, sum */
    int columns;
} RowKind;

static void check_problem(GError *problem, RowCheckTell tell, gpointer user)
{
    if (problem != NULL) {
        tell(problem->message, user);
        g_error_free(problem);
    }
}

static void check_kind(Connection *connection, const RowKind *kind, RowCheckTell tell, gpointer user)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(connection, kind->sql, "");
    while (database_step(rows, &problem)) {
        if (sqlite3_column_int64(rows, 1 + kind->columns) != row_sum_columns(rows, 1, kind->columns)) {
            const char *name = (const char *)sqlite3_column_text(rows, 0);
            tell(name == NULL ? "a row of the catalogue" : name, user);
        }
    }
    check_problem(problem, tell, user);
}

/* Rows of one text each, every one of them a complaint, but for "ok". */
static void check_texts(Connection *connection, const char *sql, RowCheckTell tell, gpointer user)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(connection, sql, "");
    while (database_step(rows, &problem)) {
        const char *text = (const char *)sqlite3_column_text(rows, 0);
        if (g_strcmp0(text, "ok") != 0) {
            tell(text == NULL ? "a row of the catalogue" : text, user);
        }
    }
    check_problem(problem, tell, user);
}

void row_check(Connection *connection, RowCheckTell tell, gpointer user)
{
    static const RowKind kinds[] = {
        {"SELECT 'the name of repository '||name, id, name, sum FROM repositories", 2},
        {"SELECT 'the list of pieces of blob sha256:'||lower(hex(digest)), digest, size, pieces, sum FROM blobs", 3},
        {"SELECT 'a blob of repository '||repository, repository, blob, sum FROM links", 2},
        {"SELECT 'a manifest of repository '||repository, repository, blob, type, subject, sum FROM manifests", 4},
        {"SELECT 'the kind of a manifest of repository '||repository, repository, blob, artifact, artifact_sum FROM"
         " manifests WHERE artifact IS NOT NULL",
         3},
        {"SELECT 'the SHA-512 of blob sha256:'||lower(hex(digest)), key, sha512, digest, sum FROM aliases", 3},
        {"SELECT 'the base of image sha256:'||lower(hex(image)), image, base, sum FROM bases", 2},
        {"SELECT 'the base''s name of image sha256:'||lower(hex(image)), image, name, name_sum FROM bases WHERE "
         "name_sum"
         " IS NOT NULL",
         2},
        {"SELECT 'the tag '||name||' of repository '||repository, repository, name, blob, sum FROM tags", 3},
        {"SELECT 'the '||kind||' of '||name, kind, name, key, body, at, by, reason, sum FROM records", 7},
        {"SELECT 'the state '||key, key, value, sum FROM state", 2},
    };
    check_texts(connection, "PRAGMA integrity_check", tell, user);
    check_texts(connection, "SELECT 'a reference of the table '||\"table\" FROM pragma_foreign_key_check", tell, user);
    check_texts(connection,
                "SELECT 'the channel of move '||key||' of '||name FROM records WHERE kind='move' AND channel<>"
                " coalesce(CASE WHEN json_valid(body) THEN json_extract(body, '$.tag') END, '')",
                tell, user);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        check_kind(connection, &kinds[i], tell, user);
    }
}

static void keep_first(const char *complaint, gpointer user)
{
    char **first = user;
    if (*first == NULL) {
        *first = g_strdup(complaint);
    }
}

char *row_check_first(Connection *connection)
{
    char *first = NULL;
    row_check(connection, keep_first, &first);
    return first;
}
