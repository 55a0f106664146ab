#include "server/auth/recall.h"

#include <string.h>

#define ROWS_MAX 4096

typedef struct {
    gpointer row;
    GDestroyNotify free;
} Kept;

static void kept_free(gpointer data)
{
    Kept *kept = data;
    if (kept->row != NULL) {
        kept->free(kept->row);
    }
    g_free(kept);
}

/* Under the lock: whether what is kept is of files that look so; else nothing is kept any more. */
static gboolean recall_is_of(AccountsMemory *memory, const AccountsLook *look)
{
    if (memory->rows != NULL && memcmp(&memory->look, look, sizeof *look) == 0) {
        return TRUE;
    }
    g_clear_pointer(&memory->rows, g_hash_table_unref);
    memory->known = FALSE;
    return FALSE;
}

/* Under the lock: makes room for what was read of files that looked so. */
static void recall_take(AccountsMemory *memory, const AccountsLook *look)
{
    if (!recall_is_of(memory, look) || g_hash_table_size(memory->rows) >= ROWS_MAX) {
        g_clear_pointer(&memory->rows, g_hash_table_unref);
        memory->rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, kept_free);
        memory->look = *look;
    }
}

gboolean recall_any(Accounts *accounts, gboolean *any)
{
    AccountsMemory *memory = accounts_memory(accounts);
    AccountsLook look;
    accounts_look(accounts, &look);
    g_mutex_lock(&memory->lock);
    gboolean known = recall_is_of(memory, &look) && memory->known;
    *any = known && memory->any;
    g_mutex_unlock(&memory->lock);
    return known;
}

gboolean recall_row(Accounts *accounts, const char *key, RecallCopy copy, gpointer *row)
{
    AccountsMemory *memory = accounts_memory(accounts);
    AccountsLook look;
    accounts_look(accounts, &look);
    g_mutex_lock(&memory->lock);
    const Kept *kept = recall_is_of(memory, &look) ? g_hash_table_lookup(memory->rows, key) : NULL;
    *row = kept == NULL || kept->row == NULL ? NULL : copy(kept->row);
    g_mutex_unlock(&memory->lock);
    return kept != NULL;
}

void recall_keep_any(Accounts *accounts, const AccountsLook *look, gboolean any)
{
    AccountsMemory *memory = accounts_memory(accounts);
    g_mutex_lock(&memory->lock);
    recall_take(memory, look);
    memory->known = TRUE;
    memory->any = any;
    g_mutex_unlock(&memory->lock);
}

void recall_keep_row(Accounts *accounts, const AccountsLook *look, const char *key, gpointer row, GDestroyNotify free)
{
    AccountsMemory *memory = accounts_memory(accounts);
    Kept *kept = g_new(Kept, 1);
    *kept = (Kept){.row = row, .free = free};
    g_mutex_lock(&memory->lock);
    recall_take(memory, look);
    g_hash_table_replace(memory->rows, g_strdup(key), kept);
    g_mutex_unlock(&memory->lock);
}
