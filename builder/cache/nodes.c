#include "cache/nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include "base/text.h"
#include "bundle/download.h"
#include "cache/made.h"

#define SALT_SIZE 32       /* random bytes */
#define SALT_MAX 4096      /* of its file */
#define CLOCKS_DIFFER 3600 /* seconds that a time may lie ahead before it is taken for wrong */

static char *nodes_path(const char *cache)
{
    g_autofree char *absolute = g_canonicalize_filename(cache, NULL);
    return g_build_filename(absolute, "nodes", NULL);
}

char *nodes_folder(const char *cache, GError **error)
{
    g_autofree char *folder = nodes_path(cache);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    g_chmod(folder, 0700); /* what the steps have seen is in there */
    return g_steal_pointer(&folder);
}

/* --- the list --- */

/* Nobody else may hold it: NULL if somebody does, or if it is not there. A folder that has lost its lock gets one. */
static IngotLock *lock_alone(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, NODE_LOCK, NULL);
    return g_file_test(folder, G_FILE_TEST_IS_DIR) ? ingot_lock_take(path, TRUE, FALSE, NULL) : NULL;
}

/* A folder that is locked: the lock is removed last. A draft may take the folder once its lock is gone, so nothing is
 * removed after it but an empty folder. */
static gboolean remove_locked(const char *folder)
{
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    gboolean removed = names != NULL;
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        if (strcmp(name, NODE_LOCK) != 0) {
            g_autofree char *path = g_build_filename(folder, name, NULL);
            removed &= ingot_file_remove_tree(path, NULL);
        }
    }
    g_autofree char *lock = g_build_filename(folder, NODE_LOCK, NULL);
    return removed && g_remove(lock) == 0 && g_rmdir(folder) == 0;
}

gboolean nodes_remove(const char *folder)
{
    g_autoptr(IngotLock) lock = lock_alone(folder);
    if (lock == NULL) {
        return FALSE;
    }
    /* First what makes it a node: what a power cut leaves of it is swept. */
    g_autofree char *record = g_build_filename(folder, NODE_RECORD, NULL);
    g_remove(record);
    return remove_locked(folder);
}

static Node *find_name(const GPtrArray *nodes, const char *name)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (strcmp(node_name(g_ptr_array_index(nodes, i)), name) == 0) {
            return g_ptr_array_index(nodes, i);
        }
    }
    return NULL;
}

/* A layer without the one below it is worth nothing. */
static gboolean is_whole(const GPtrArray *nodes, const Node *node)
{
    while (node->below != NULL) {
        node = find_name(nodes, node->below);
        if (node == NULL) {
            return FALSE;
        }
    }
    return g_file_test(node->source, G_FILE_TEST_EXISTS);
}

/* Calls visit for every folder of nodes/, with the node or with why there is none. Nothing is made for it: a cache that
 * is not there has no nodes. */
typedef void (*VisitNode)(Node *node, const char *folder, const GError *problem, gpointer user);
static gboolean visit_nodes(const char *cache, VisitNode visit, gpointer user, GError **error)
{
    g_autofree char *folder = nodes_path(cache);
    g_autoptr(GError) closed = NULL;
    g_auto(IngotFd) there = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, &closed); /* with words of our own */
    if (there < 0 && !g_error_matches(closed, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&closed));
        return FALSE;
    }
    if (there < 0) {
        return ingot_file_check_folder(cache, error) && ingot_file_check_folder(folder, error);
    }
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(GError) problem = NULL;
        Node *node = node_read(path, &problem);
        visit(node, path, problem, user);
    }
    return TRUE;
}

static void add_node(Node *node, const char *folder, const GError *problem, gpointer user)
{
    (void)folder, (void)problem;
    if (node != NULL) {
        g_ptr_array_add(user, node);
    }
}

GPtrArray *nodes_list(const char *cache, GError **error)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func((GDestroyNotify)node_free);
    if (!visit_nodes(cache, add_node, nodes, error)) {
        return NULL;
    }
    for (guint i = 0; i < nodes->len; i++) {
        Node *node = g_ptr_array_index(nodes, i);
        node->whole = is_whole(nodes, node);
    }
    return g_steal_pointer(&nodes);
}

gboolean nodes_any_on(const GPtrArray *nodes, const char *path)
{
    gsize length = strlen(path);
    for (guint i = 0; i < nodes->len; i++) {
        const char *source = ((const Node *)g_ptr_array_index(nodes, i))->source;
        if (strncmp(source, path, length) == 0 && (source[length] == '\0' || source[length] == '/')) {
            return TRUE;
        }
    }
    return FALSE;
}

/* --- the sweep --- */

/* What an ended build left. Since it was looked at, it may have become a node: its maker holds it until then. */
static void sweep_unfinished(const char *folder)
{
    g_autoptr(IngotLock) lock = lock_alone(folder);
    g_autofree char *record = g_build_filename(folder, NODE_RECORD, NULL);
    if (lock != NULL && !g_file_test(record, G_FILE_TEST_EXISTS)) {
        remove_locked(folder);
    }
}

static void sweep_one(Node *node, const char *folder, const GError *problem, gpointer user)
{
    (void)user;
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        sweep_unfinished(folder);
    } else if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        nodes_remove(folder);
    }
    node_free(node);
}

/* Whether the cache's folder for sources is the one that had the source of that disk: something of it is left there. A
 * folder that is missing, empty or another one may stand where a file system is to be mounted again. */
static gboolean knows_source(const char *sources, const char *disk)
{
    const char *name = disk + strlen(sources);
    g_autofree char *source = g_strdup_printf("%s%.*s", sources, (int)strcspn(name, "/"), name);
    g_autofree char *use = g_strconcat(source, INGOT_DOWNLOAD_USE, NULL);
    return g_file_test(source, G_FILE_TEST_EXISTS) || g_file_test(use, G_FILE_TEST_EXISTS);
}

/* What it stands on will not come back: the layer below is not a node, not even a newer Ingot's, or the cache's own
 * disk is gone. A disk elsewhere may only be unmounted. */
static gboolean is_orphaned(const char *cache, const Node *node)
{
    g_autofree char *absolute = g_canonicalize_filename(cache, NULL);
    if (node->below != NULL) {
        g_autofree char *record = g_build_filename(absolute, "nodes", node->below, NODE_RECORD, NULL);
        return !g_file_test(record, G_FILE_TEST_EXISTS);
    }
    g_autofree char *sources = g_build_filename(absolute, "sources/", NULL);
    return g_str_has_prefix(node->source, sources) && !g_file_test(node->source, G_FILE_TEST_EXISTS) &&
           knows_source(sources, node->source);
}

gboolean nodes_sweep(const char *cache, GError **error)
{
    gboolean again = visit_nodes(cache, sweep_one, NULL, error);
    if (!again) {
        return FALSE;
    }
    while (again) {
        g_autoptr(GPtrArray) nodes = nodes_list(cache, error);
        if (nodes == NULL) {
            return FALSE;
        }
        again = FALSE;
        for (guint i = 0; i < nodes->len; i++) {
            const Node *node = g_ptr_array_index(nodes, i);
            /* Those above it are orphaned with it. */
            again |= is_orphaned(cache, node) && nodes_remove(node->folder);
        }
    }
    return TRUE;
}

gboolean nodes_stand_on(const char *cache, const char *disk)
{
    g_autoptr(GPtrArray) nodes = nodes_list(cache, NULL);
    return nodes == NULL || nodes_any_on(nodes, disk);
}

/* --- the best --- */

char *nodes_why_stale(const PlanStage *stage, const NodeRun *run, gint64 now)
{
    gint64 ran = run->ran;
    if (stage->product != NULL && !g_file_test(stage->product, G_FILE_TEST_EXISTS)) {
        return g_strdup_printf("%s, which it makes, is not there", stage->product);
    }
    if (ran > now + CLOCKS_DIFFER) {
        return g_strdup("it ran in the future, by this host's clock");
    }
    if (stage->max_age > 0 && now - ran > (gint64)stage->max_age) {
        g_autofree char *age = ingot_text_age((double)(now - ran));
        g_autofree char *limit = ingot_text_age((double)stage->max_age);
        return g_strdup_printf("%s old, its max_age is %s", age, limit);
    }
    return made_why_stale(run->made); /* last: it may have to read what was made */
}

static const NodeRun *run_of(const Node *node, const IngotDigest *key)
{
    for (guint i = 0; i < node->runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(node->runs, i);
        if (ingot_digest_equal(&run->key, key)) {
            return run;
        }
    }
    return NULL;
}

gboolean nodes_fresh(const Node *node, const Plan *plan, gint64 now)
{
    for (guint i = 0; i < plan->stages->len; i++) {
        const NodeRun *run = run_of(node, &plan_stage(plan, i)->key);
        g_autofree char *why = run == NULL ? NULL : nodes_why_stale(plan_stage(plan, i), run, now);
        if (why != NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean node_supersedes(const Node *node, const Node *other)
{
    for (guint i = 0; i < other->runs->len; i++) {
        const NodeRun *theirs = g_ptr_array_index(other->runs, i);
        const NodeRun *ours = run_of(node, &theirs->key);
        if (ours != NULL && strcmp(ours->id, theirs->id) != 0 && ours->ran >= theirs->ran) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean nodes_supersede(const GPtrArray *nodes, const Node *node)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (node_supersedes(g_ptr_array_index(nodes, i), node)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Those that the plan may go on from, but for other runs of the same stages. */
static GPtrArray *candidates(const GPtrArray *nodes, const Plan *plan, const char *source, int refresh, gint64 now)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; i < nodes->len; i++) {
        Node *node = g_ptr_array_index(nodes, i);
        int stage = plan_find_key(plan, &node_run(node)->key);
        gboolean stands = node->whole && (source == NULL || strcmp(node->source, source) == 0);
        if (stage >= 0 && plan_leads_on(plan, (guint)stage) && stands && (refresh < 0 || stage < refresh) &&
            nodes_fresh(node, plan, now)) {
            g_ptr_array_add(found, node);
        }
    }
    return found;
}

/* Of the runs of one stage, the newest alone. */
static void keep_newest(GPtrArray *found, const IngotDigest *key)
{
    const NodeRun *newest = NULL;
    for (guint i = 0; i < found->len; i++) {
        const NodeRun *run = run_of(g_ptr_array_index(found, i), key);
        newest = run != NULL && (newest == NULL || run->ran > newest->ran) ? run : newest;
    }
    for (guint i = found->len; i-- > 0;) {
        const NodeRun *run = run_of(g_ptr_array_index(found, i), key);
        if (run != NULL && newest != NULL && strcmp(run->id, newest->id) != 0) {
            g_ptr_array_remove_index(found, i);
        }
    }
}

const Node *nodes_best(const GPtrArray *nodes, const Plan *plan, const char *source, int refresh, gint64 now)
{
    g_autoptr(GPtrArray) found = candidates(nodes, plan, source, refresh, now);
    const Node *best = NULL;
    for (guint i = 0; i < plan->stages->len; i++) {
        keep_newest(found, &plan_stage(plan, i)->key);
    }
    for (guint i = 0; i < found->len; i++) {
        const Node *node = g_ptr_array_index(found, i);
        if (best == NULL || plan_find_key(plan, &node_run(node)->key) > plan_find_key(plan, &node_run(best)->key)) {
            best = node;
        }
    }
    return best;
}

const Node *nodes_newest(const GPtrArray *nodes, const PlanStage *stage)
{
    const Node *found = NULL;
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        if (node->whole && ingot_digest_equal(&node_run(node)->key, &stage->key) &&
            (found == NULL || node_run(node)->ran > node_run(found)->ran)) {
            found = node;
        }
    }
    return found;
}

/* --- use --- */

struct NodeHold {
    GPtrArray *locks; /* of IngotLock */
};

void nodes_release(NodeHold *hold)
{
    if (hold != NULL) {
        g_ptr_array_unref(hold->locks);
        g_free(hold);
    }
}

static gboolean hold_one(NodeHold *hold, const Node *node, GError **error)
{
    g_autofree char *path = node_file(node, NODE_LOCK);
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: it was removed meanwhile", node->folder);
        return FALSE;
    }
    IngotLock *lock = ingot_lock_take(path, FALSE, FALSE, error);
    if (lock == NULL) {
        return FALSE;
    }
    g_ptr_array_add(hold->locks, lock);
    g_utime(path, NULL);
    return node_verify(node, error);
}

NodeHold *nodes_hold(const char *cache, const Node *node, GError **error)
{
    g_autofree char *folder = nodes_path(cache);
    g_autoptr(NodeHold) hold = g_new0(NodeHold, 1);
    hold->locks = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_lock_release);
    if (!hold_one(hold, node, error)) {
        return NULL;
    }
    g_autofree char *below = g_strdup(node->below);
    while (below != NULL) {
        g_autofree char *path = g_build_filename(folder, below, NULL);
        g_autoptr(Node) next = node_read(path, error);
        if (next == NULL || !hold_one(hold, next, error)) {
            return NULL;
        }
        g_free(below);
        below = g_strdup(next->below);
    }
    return g_steal_pointer(&hold);
}

gboolean nodes_pin(const Node *node, gboolean pinned, GError **error)
{
    g_autofree char *path = node_file(node, NODE_PIN);
    if (pinned) {
        return ingot_file_replace(path, "", 0, 0600, error);
    }
    return g_remove(path) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s", path);
}

/* --- turns and salt --- */

IngotLock *nodes_turn(const char *cache, const IngotDigest *key, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(key, text);
    g_autofree char *folder = g_build_filename(cache, "turns", NULL);
    g_autofree char *path = g_build_filename(folder, text + strlen("sha256:"), NULL);
    GError *problem = NULL;
    IngotLock *lock = ingot_file_make_folder(folder, &problem) ? ingot_lock_take(path, TRUE, FALSE, &problem) : NULL;
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_clear_error(&problem);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return lock;
}

char *nodes_random_salt(GError **error)
{
    guint8 random[SALT_SIZE];
    if (getentropy(random, sizeof random) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the system gives no random bytes");
        return NULL;
    }
    return g_base64_encode(random, sizeof random);
}

static char *salt_read(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_file_read(path, SALT_MAX, error);
    return bytes == NULL ? NULL : g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

char *nodes_look_salt(const char *cache, GError **error)
{
    g_autofree char *path = g_build_filename(cache, "salt", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? salt_read(path, error) : nodes_random_salt(error);
}

char *nodes_salt(const char *cache, GError **error)
{
    g_autofree char *path = g_build_filename(cache, "salt", NULL);
    g_autofree char *lock_path = g_build_filename(cache, "salt.lock", NULL);
    if (g_file_test(path, G_FILE_TEST_EXISTS)) {
        return salt_read(path, error);
    }
    g_autoptr(IngotLock) lock =
        ingot_file_make_folder(cache, NULL) ? ingot_lock_take(lock_path, TRUE, TRUE, NULL) : NULL;
    if (lock != NULL && g_file_test(path, G_FILE_TEST_EXISTS)) {
        return salt_read(path, error);
    }
    char *salt = nodes_random_salt(error);
    if (salt != NULL && lock != NULL) {
        ingot_file_replace(path, salt, strlen(salt), 0600, NULL);
    }
    return salt;
}
