#include "server/mirror/through.h"

#include <ingot/error.h>
#include <string.h>

#include "server/http/log.h"
#include "server/mirror/copy.h"

struct Through {
    Storage *storage;
    char *host;
    GMutex lock;
    GCond ended;
    GHashTable *running; /* "NAME what" that is being copied */
};

Through *through_new(Storage *storage, const char *host)
{
    Through *through = g_new0(Through, 1);
    through->storage = storage;
    through->host = g_strdup(host);
    g_mutex_init(&through->lock);
    g_cond_init(&through->ended);
    through->running = g_hash_table_new(g_str_hash, g_str_equal);
    return through;
}

void through_free(Through *through)
{
    if (through != NULL) {
        g_hash_table_unref(through->running);
        g_cond_clear(&through->ended);
        g_mutex_clear(&through->lock);
        g_free(through->host);
        g_free(through);
    }
}

/* TRUE: it is ours to copy; FALSE: somebody else's, who has ended. */
static gboolean claim(Through *through, const char *key)
{
    g_mutex_lock(&through->lock);
    gboolean ours = g_hash_table_add(through->running, (gpointer)key);
    while (!ours && g_hash_table_contains(through->running, key)) {
        g_cond_wait(&through->ended, &through->lock);
    }
    g_mutex_unlock(&through->lock);
    return ours;
}

static void release(Through *through, const char *key)
{
    g_mutex_lock(&through->lock);
    g_hash_table_remove(through->running, key);
    g_cond_broadcast(&through->ended);
    g_mutex_unlock(&through->lock);
}

typedef gboolean (*Get)(Copy *copy, const char *name, gconstpointer what, GError **error);

static void get(Through *through, const char *name, const char *text, gconstpointer what, Get function)
{
    g_autofree char *key = g_strdup_printf("%s %s", name, text);
    if (!claim(through, key)) {
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotRemote) remote = ingot_remote_new(through->host, &error);
    Copy copy = {.storage = through->storage, .remote = remote};
    if (remote == NULL || !function(&copy, name, what, &error)) {
        /* That the upstream has it no more than we do is for the client to hear. */
        if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            log_warning("upstream: %s", error->message);
        }
    }
    release(through, key);
}

static gboolean get_manifest(Copy *copy, const char *name, gconstpointer what, GError **error)
{
    gboolean changed;
    const char *reference = what;
    return copy_manifest(copy, name, reference, strchr(reference, ':') == NULL ? reference : NULL, TRUE, &changed,
                         error);
}

void through_manifest(Through *through, const char *name, const char *reference)
{
    IngotDigest digest;
    if (through == NULL ||
        (ingot_digest_parse(reference, &digest, NULL) && storage_has_manifest(through->storage, name, &digest))) {
        return;
    }
    get(through, name, reference, reference, get_manifest);
}

static gboolean get_blob(Copy *copy, const char *name, gconstpointer what, GError **error)
{
    guint64 size;
    return ingot_remote_blob_size(copy->remote, name, what, &size, error) && copy_blob(copy, name, what, size, error);
}

void through_blob(Through *through, const char *name, const IngotDigest *digest)
{
    if (through == NULL || storage_has(through->storage, name, digest)) {
        return;
    }
    g_autofree char *text = ingot_digest_to_text(digest);
    get(through, name, text, digest, get_blob);
}

static gboolean get_referrers(Copy *copy, const char *name, gconstpointer what, GError **error)
{
    return copy_referrers(copy, name, what, TRUE, error);
}

void through_referrers(Through *through, const char *name, const IngotDigest *subject)
{
    if (through == NULL) {
        return;
    }
    g_autofree char *digest = ingot_digest_to_text(subject);
    g_autofree char *text = g_strconcat("about ", digest, NULL);
    get(through, name, text, subject, get_referrers);
}
