#include "trust/policy.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "trust/base64.h"
#include "trust/key.h"
#include "trust/members.h"

#define WITH_HOST "docker"
#define WITHOUT_HOST "containers-storage"

struct Policy {
    char *folder;
    GPtrArray *usual;       /* "default" */
    GHashTable *transports; /* name -> GHashTable of scope -> GPtrArray of Demand */
};

static void demand_free(gpointer data)
{
    Demand *demand = data;
    g_ptr_array_unref(demand->key_files);
    g_ptr_array_unref(demand->key_texts);
    signed_identity_clear(&demand->identity);
    g_free(demand);
}

void policy_free(Policy *policy)
{
    if (policy != NULL) {
        g_free(policy->folder);
        g_clear_pointer(&policy->usual, g_ptr_array_unref);
        g_hash_table_unref(policy->transports);
        g_free(policy);
    }
}

/* --- one demand --- */

static gboolean demand_add_file(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                                GError **error)
{
    const char *path = json_string_value(value);
    if (path == NULL || *path == '\0') {
        return members_refuse(where, error, "the path of a key is expected");
    }
    g_ptr_array_add(demand->key_files,
                    g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(policy->folder, path, NULL));
    return TRUE;
}

static gboolean demand_add_text(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                                GError **error)
{
    (void)policy;
    const char *text = json_string_value(value);
    GBytes *pem = text == NULL ? NULL : base64_read(text, TRUST_KEY_MAX);
    if (pem == NULL) {
        return members_refuse(where, error, "a key in base64 is expected, of at most %u bytes", TRUST_KEY_MAX);
    }
    g_ptr_array_add(demand->key_texts, pem);
    return TRUE;
}

static const struct {
    const char *member;
    gboolean list;
    gboolean (*add)(const Policy *policy, const json_t *value, const char *where, Demand *demand, GError **error);
} demand_keys[] = {
    {"keyPath", FALSE, demand_add_file},
    {"keyPaths", TRUE, demand_add_file},
    {"keyData", FALSE, demand_add_text},
    {"keyDatas", TRUE, demand_add_text},
};

static gboolean demand_read_keys(const Policy *policy, const json_t *value, const char *where, guint which,
                                 Demand *demand, GError **error)
{
    const char *member = demand_keys[which].member;
    const json_t *keys = json_object_get(value, member);
    if (!demand_keys[which].list) {
        return demand_keys[which].add(policy, keys, where, demand, error);
    }
    if (json_array_size(keys) == 0) {
        return members_refuse(where, error, "'%s' is a list of one at least", member);
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (!demand_keys[which].add(policy, json_array_get(keys, i), where, demand, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What makes a signature one that is not checked here; NULL: nothing does. */
static const char *demand_beyond(const json_t *value)
{
    static const char *const logs[] = {"rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
                                       "rekorPublicKeyDatas", NULL};
    for (guint i = 0; logs[i] != NULL; i++) {
        if (json_object_get(value, logs[i]) != NULL) {
            return "entries of a transparency log (rekorPublicKey…) are not checked here";
        }
    }
    return json_object_get(value, "fulcio") != NULL || json_object_get(value, "pki") != NULL
               ? "signatures by certificates (fulcio, pki) are not checked here"
               : NULL;
}

static gboolean demand_read_sigstore(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                                     GError **error)
{
    guint sources = (json_object_get(value, "fulcio") != NULL) + (json_object_get(value, "pki") != NULL);
    demand->why = demand_beyond(value);
    demand->kind = demand->why == NULL ? DEMAND_SIGNATURE : DEMAND_BEYOND;
    for (guint i = 0; i < G_N_ELEMENTS(demand_keys); i++) {
        if (json_object_get(value, demand_keys[i].member) != NULL) {
            sources++;
            if (!demand_read_keys(policy, value, where, i, demand, error)) {
                return FALSE;
            }
        }
    }
    if (sources != 1) {
        return members_refuse(where, error, "one of keyPath, keyPaths, keyData and keyDatas is expected");
    }
    return signed_identity_parse(json_object_get(value, "signedIdentity"), where, &demand->identity, error);
}

static gboolean demand_read_gpg(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                                GError **error)
{
    (void)policy;
    demand->why = "signatures by GPG (signedBy) are not checked here";
    return members_text(value, where, "keyType", error) != NULL &&
           signed_identity_parse(json_object_get(value, "signedIdentity"), where, &demand->identity, error);
}

static gboolean demand_read_base(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                                 GError **error)
{
    (void)policy;
    demand->why = "signatures of a base layer (signedBaseLayer) are not checked here";
    return signed_identity_parse(json_object_get(value, "baseLayerIdentity"), where, &demand->identity, error);
}

static const struct {
    const char *type;
    DemandKind kind;
    gboolean (*read)(const Policy *policy, const json_t *value, const char *where, Demand *demand, GError **error);
    const char *members[16]; /* NULL-terminated */
} demand_types[] = {
    {"insecureAcceptAnything", DEMAND_NOTHING, NULL, {"type"}},
    {"reject", DEMAND_REJECT, NULL, {"type"}},
    {"sigstoreSigned",
     DEMAND_SIGNATURE,
     demand_read_sigstore,
     {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity", "fulcio", "pki", "rekorPublicKeyPath",
      "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"}},
    {"signedBy",
     DEMAND_BEYOND,
     demand_read_gpg,
     {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}},
    {"signedBaseLayer", DEMAND_BEYOND, demand_read_base, {"type", "baseLayerIdentity"}},
};

static gboolean demand_read(const Policy *policy, const json_t *value, const char *where, Demand *demand,
                            GError **error)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    for (guint i = 0; i < G_N_ELEMENTS(demand_types); i++) {
        if (g_strcmp0(type, demand_types[i].type) == 0) {
            demand->kind = demand_types[i].kind;
            return members_check(value, where, demand_types[i].members, error) &&
                   (demand_types[i].read == NULL || demand_types[i].read(policy, value, where, demand, error));
        }
    }
    return members_refuse(where, error, "unknown type '%s'", type == NULL ? "" : type);
}

/* Nothing is not the same as insecureAcceptAnything: an empty list is refused, as it may have been forgotten. */
static GPtrArray *demands_read(const Policy *policy, const json_t *list, const char *where, GError **error)
{
    g_autoptr(GPtrArray) demands = g_ptr_array_new_with_free_func(demand_free);
    if (json_array_size(list) == 0) {
        members_refuse(where, error, "a list of one requirement at least is expected");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        Demand *demand = g_new0(Demand, 1);
        demand->key_files = g_ptr_array_new_with_free_func(g_free);
        demand->key_texts = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
        g_ptr_array_add(demands, demand);
        if (!demand_read(policy, json_array_get(list, i), where, demand, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&demands);
}

/* --- the file --- */

/* Hosts are the same in upper case, tags are not: without a host, a tag may stand before any slash. */
static char *scope_fold(const char *scope, gboolean has_host)
{
    gsize host = strcspn(scope, has_host ? "/" : "/:@");
    g_autofree char *lower = g_ascii_strdown(scope, (gssize)host);
    return g_strconcat(lower, scope + host, NULL);
}

/* A wildcard stands for the first parts of a host, and has nothing behind it: any other would never match. */
static gboolean scope_check(const char *scope, const char *where, GError **error)
{
    const char *star = strrchr(scope, '*');
    return star == NULL || (g_str_has_prefix(scope, "*.") && star == scope && strchr(scope, '/') == NULL) ||
           members_refuse(where, error, "'*' can only begin a host, as in *.example.com");
}

static gboolean policy_read_scopes(Policy *policy, const char *transport, const json_t *scopes, const char *path,
                                   GError **error)
{
    const char *scope;
    json_t *list;
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    g_hash_table_insert(policy->transports, g_strdup(transport), table);
    gboolean has_host = strcmp(transport, WITH_HOST) == 0;
    gboolean is_ours = has_host || strcmp(transport, WITHOUT_HOST) == 0;
    json_object_foreach((json_t *)scopes, scope, list)
    {
        g_autofree char *where = g_strdup_printf("%s: transports, %s, '%s'", path, transport, scope);
        GPtrArray *demands =
            is_ours && !scope_check(scope, where, error) ? NULL : demands_read(policy, list, where, error);
        if (demands == NULL) {
            return FALSE;
        }
        if (!g_hash_table_insert(table, is_ours ? scope_fold(scope, has_host) : g_strdup(scope), demands)) {
            return members_refuse(where, error, "the same scope is there twice");
        }
    }
    return TRUE;
}

static gboolean policy_read_root(Policy *policy, const json_t *root, const char *path, GError **error)
{
    static const char *const known[] = {"default", "transports", NULL};
    g_autofree char *where = g_strdup_printf("%s: default", path);
    const json_t *transports = json_object_get(root, "transports");
    const char *name;
    json_t *scopes;
    if (!members_check(root, path, known, error)) {
        return FALSE;
    }
    policy->usual = demands_read(policy, json_object_get(root, "default"), where, error);
    if (policy->usual == NULL) {
        return FALSE;
    }
    if (transports != NULL && !json_is_object(transports)) {
        return members_refuse(path, error, "transports: an object is expected");
    }
    json_object_foreach((json_t *)transports, name, scopes)
    {
        if (!json_is_object(scopes)) {
            return members_refuse(path, error, "transports, %s: an object is expected", name);
        }
        if (!policy_read_scopes(policy, name, scopes, path, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

Policy *policy_parse(const void *text, gsize size, const char *path, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) root = ingot_json_parse(text, size, path, &problem);
    if (root == NULL) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID, problem->message);
        return NULL;
    }
    g_autoptr(Policy) policy = g_new0(Policy, 1);
    policy->folder = g_path_get_dirname(path);
    policy->transports = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_hash_table_unref);
    return policy_read_root(policy, root, path, error) ? g_steal_pointer(&policy) : NULL;
}

Policy *policy_read(const char *path, GError **error)
{
    g_autoptr(GBytes) text = ingot_file_read(path, POLICY_MAX, error);
    return text == NULL ? NULL : policy_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

/* --- the answer --- */

/* The domains that a host is in, each with its wildcard, the nearest first; a port counts for none of them. */
static void scopes_of_host(const char *host, GPtrArray *scopes)
{
    g_autofree char *name = g_strndup(host, strcspn(host, ":"));
    for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        g_ptr_array_add(scopes, g_strconcat("*", dot, NULL));
    }
}

/* All scopes that an image is in, the most specific first. */
static GPtrArray *scopes_of(const IngotReference *image)
{
    GPtrArray *scopes = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *local = ingot_reference_local_name(image), *name = scope_fold(local, image->host != NULL);
    gboolean pinned = image->digest != NULL;
    g_ptr_array_add(scopes, g_strconcat(name, pinned ? "@" : ":", pinned ? image->digest : image->tag, NULL));
    for (char *slash = name + strlen(name); slash != NULL; slash = strrchr(name, '/')) {
        *slash = '\0';
        g_ptr_array_add(scopes, g_strdup(name));
    }
    if (image->host != NULL) {
        scopes_of_host(name, scopes);
    }
    g_ptr_array_add(scopes, g_strdup(""));
    return scopes;
}

const GPtrArray *policy_find(const Policy *policy, const IngotReference *image, char **scope)
{
    const char *transport = image->host == NULL ? WITHOUT_HOST : WITH_HOST;
    GHashTable *table = g_hash_table_lookup(policy->transports, transport);
    g_autoptr(GPtrArray) scopes = scopes_of(image);
    for (guint i = 0; table != NULL && i < scopes->len; i++) {
        const GPtrArray *demands = g_hash_table_lookup(table, g_ptr_array_index(scopes, i));
        if (demands != NULL) {
            *scope = g_strdup_printf("transports, %s, '%s'", transport, (const char *)g_ptr_array_index(scopes, i));
            return demands;
        }
    }
    *scope = image->host == NULL ? NULL : g_strdup("default");
    return image->host == NULL ? NULL : policy->usual;
}

static GHashTable *policy_table(const Policy *policy, const IngotReference *image)
{
    return g_hash_table_lookup(policy->transports, image->host == NULL ? WITHOUT_HOST : WITH_HOST);
}

/* NAME: as its scopes begin. Free it. */
static char *policy_tags(const IngotReference *image)
{
    g_autofree char *local = ingot_reference_local_name(image), *name = scope_fold(local, image->host != NULL);
    return g_strconcat(name, ":", NULL);
}

const GPtrArray *policy_find_tag(const Policy *policy, const IngotReference *image)
{
    GHashTable *table = policy_table(policy, image);
    g_autofree char *tags = policy_tags(image), *scope = g_strconcat(tags, image->tag, NULL);
    return table == NULL ? NULL : g_hash_table_lookup(table, scope);
}

gboolean demands_ask(const GPtrArray *demands)
{
    for (guint i = 0; demands != NULL && i < demands->len; i++) {
        if (((const Demand *)g_ptr_array_index(demands, i))->kind != DEMAND_NOTHING) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Of scopes that begin so. */
static gboolean scopes_ask(GHashTable *table, const char *begin)
{
    GHashTableIter iter;
    gpointer scope, demands;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &scope, &demands)) {
        if (g_str_has_prefix(scope, begin) && demands_ask(demands)) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean policy_asks_of_tags(const Policy *policy, const IngotReference *name)
{
    GHashTable *table = policy_table(policy, name);
    g_autofree char *tags = policy_tags(name);
    return table != NULL && scopes_ask(table, tags);
}

gboolean policy_asks(const Policy *policy)
{
    GHashTable *table = g_hash_table_lookup(policy->transports, WITH_HOST);
    return demands_ask(policy->usual) || (table != NULL && scopes_ask(table, ""));
}

GPtrArray *policy_keys(const Demand *demand, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)trust_key_free);
    for (guint i = 0; i < demand->key_files->len; i++) {
        const char *path = g_ptr_array_index(demand->key_files, i);
        g_autoptr(GBytes) pem = ingot_file_read(path, TRUST_KEY_MAX, error);
        if (pem == NULL ||
            !trust_key_read_list(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem), path, keys, error)) {
            return NULL;
        }
    }
    for (guint i = 0; i < demand->key_texts->len; i++) {
        GBytes *pem = g_ptr_array_index(demand->key_texts, i);
        if (!trust_key_read_list(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem), "keyData", keys, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&keys);
}
