#include "server/catalogue/namerows.h"

#include <ingot/error.h>

#include "server/catalogue/rowsum.h"

static gboolean row_damaged(const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's row of %s is damaged", what);
    return FALSE;
}

static gboolean ended_well(GError *problem, GError **error)
{
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* Columns: repository, blob, sum; repository, blob, type, subject, sum; digest, made, cached. */
static gboolean link_read(sqlite3_stmt *row, NameLink *link)
{
    *link = (NameLink){.made = sqlite3_column_int64(row, 9),
                       .type = (const char *)sqlite3_column_text(row, 5),
                       .cached = sqlite3_column_int64(row, 10) != 0};
    link->attached = sqlite3_column_type(row, 6) != SQLITE_NULL;
    return database_digest(row, 8, &link->digest) && sqlite3_column_int64(row, 2) == row_sum_columns(row, 0, 2) &&
           (link->type == NULL || sqlite3_column_int64(row, 7) == row_sum_columns(row, 3, 4));
}

gboolean namerows_links(Connection *connection, gint64 repository, NameLinkFunc func, gpointer user, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT links.repository, links.blob, links.sum, manifests.repository, manifests.blob, type, subject,"
        " manifests.sum, digest, links.made, EXISTS (SELECT 1 FROM cached WHERE cached.repository=links.repository AND"
        " cached.manifest=digest) FROM links JOIN blobs ON blobs.id=links.blob LEFT JOIN manifests ON"
        " manifests.repository=links.repository AND manifests.blob=links.blob WHERE links.repository=?"
        " ORDER BY digest",
        "i", repository);
    while (database_step(rows, &problem)) {
        NameLink link;
        if (!link_read(rows, &link)) {
            return row_damaged("a blob of a repository", error);
        }
        if (!func(&link, user, error)) {
            return FALSE;
        }
    }
    return ended_well(problem, error);
}

gboolean namerows_tags(Connection *connection, gint64 repository, NameTagFunc func, gpointer user, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT repository, name, blob, tags.sum, digest, made, cached, sha512 FROM tags JOIN blobs ON"
                       " blobs.id=blob WHERE repository=? ORDER BY name",
                       "i", repository);
    while (database_step(rows, &problem)) {
        NameTag tag = {.tag = (const char *)sqlite3_column_text(rows, 1),
                       .made = sqlite3_column_int64(rows, 5),
                       .cached = sqlite3_column_int64(rows, 6) != 0,
                       .is_sha512 = sqlite3_column_int64(rows, 7) != 0};
        if (tag.tag == NULL || sqlite3_column_int64(rows, 3) != row_sum_columns(rows, 0, 3) ||
            !database_digest(rows, 4, &tag.digest)) {
            return row_damaged("a tag", error);
        }
        if (!func(&tag, user, error)) {
            return FALSE;
        }
    }
    return ended_well(problem, error);
}
