#include "server/catalogue/spared.h"

#include "server/catalogue/piecebits.h"

gboolean spared_add_piece(Connection *writer, gint64 piece, gint64 until, GError **error)
{
    return database_run(writer, error, "INSERT INTO spared_pieces (piece, until) VALUES (?, ?)", "ii", piece, until);
}

gboolean spared_add_pack(Connection *writer, gint64 pack, gint64 until, GError **error)
{
    return database_run(writer, error, "INSERT INTO spared_packs (pack, until) VALUES (?, ?)", "ii", pack, until);
}

gboolean spared_add_repository(Connection *writer, gint64 repository, gint64 until, GError **error)
{
    return database_run(writer, error, "INSERT INTO spared_repositories (repository, until) VALUES (?, ?)", "ii",
                        repository, until);
}

gboolean spared_has_repository(Connection *connection, gint64 repository, gboolean *spared, GError **error)
{
    gint64 count;
    gboolean ok = database_number(connection, &count, 0, error,
                                  "SELECT count(*) FROM spared_repositories WHERE repository=?", "i", repository);
    *spared = ok && count > 0;
    return ok;
}

gboolean spared_lapse(Connection *writer, gint64 now, GError **error)
{
    return database_run(writer, error, "DELETE FROM spared_pieces WHERE until<=?", "i", now) &&
           database_run(writer, error, "DELETE FROM spared_packs WHERE until<=?", "i", now) &&
           database_run(writer, error, "DELETE FROM spared_repositories WHERE until<=?", "i", now);
}

gboolean spared_pieces(Connection *connection, GByteArray *bits, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT piece FROM spared_pieces", "");
    while (database_step(rows, &problem)) {
        piecebits_set(bits, sqlite3_column_int64(rows, 0));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}
