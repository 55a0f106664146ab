#include "server/catalogue/rowsum.h"

#include <ingot/digest.h>
#include <stdarg.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* its state on the stack */
#include <xxhash.h>

static void sum_add(XXH3_state_t *state, int type, const void *data, gsize size)
{
    const guint32 head[] = {(guint32)type, (guint32)size};
    XXH3_64bits_update(state, head, sizeof head);
    XXH3_64bits_update(state, data == NULL ? "" : data, size);
}

static void sum_add_one(XXH3_state_t *state, char type, va_list *values)
{
    if (type == 'i') {
        gint64 number = va_arg(*values, gint64);
        sum_add(state, SQLITE_INTEGER, &number, sizeof number);
    } else if (type == 't') {
        const char *text = va_arg(*values, const char *);
        sum_add(state, text == NULL ? SQLITE_NULL : SQLITE_TEXT, text, text == NULL ? 0 : strlen(text));
    } else if (type == 'd') {
        const IngotDigest *digest = va_arg(*values, const IngotDigest *);
        sum_add(state, digest == NULL ? SQLITE_NULL : SQLITE_BLOB, digest, digest == NULL ? 0 : INGOT_DIGEST_SIZE);
    } else {
        const void *data = va_arg(*values, const void *);
        sum_add(state, SQLITE_BLOB, data, va_arg(*values, gsize));
    }
}

gint64 row_sum(const char *types, ...)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    va_list values;
    va_start(values, types);
    for (; *types != '\0'; types++) {
        sum_add_one(&state, *types, &values);
    }
    va_end(values);
    return (gint64)XXH3_64bits_digest(&state);
}

gint64 row_sum_columns(sqlite3_stmt *row, int first, int count)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (int i = first; i < first + count; i++) {
        int type = sqlite3_column_type(row, i);
        gint64 number = type == SQLITE_INTEGER ? sqlite3_column_int64(row, i) : 0;
        const void *data = type == SQLITE_INTEGER ? &number : sqlite3_column_blob(row, i);
        gsize size = type == SQLITE_INTEGER ? sizeof number : (gsize)sqlite3_column_bytes(row, i);
        sum_add(&state, type, data, size);
    }
    return (gint64)XXH3_64bits_digest(&state);
}
