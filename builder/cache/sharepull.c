#include <errno.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cache/checksum.h"
#include "cache/draft.h"
#include "cache/nodes.h"
#include "cache/shared.h"
#include "format/all.h"
#include "remote/environment.h"

#define PART (8u << 20)             /* bytes fetched by one range */
#define BATCH 64u                   /* ranges fetched by one call */
#define MEMORY_BESIDES (1ull << 30) /* bytes of a machine's state besides twice its memory */
#define VARIABLES_MAX (16ull << 20) /* bytes of a firmware's variables */

/* --- one blob --- */

typedef struct {
    int fd;
    const char *path;
} PullSink;

static gboolean pull_take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const PullSink *sink = user;
    return ingot_file_pwrite(sink->fd, data, size, offset, sink->path, error);
}

/* The parts from *at on, as many as one call takes; moves *at behind them. */
static gboolean pull_batch(const Share *share, IngotRemote *remote, const IngotDescriptor *blob, PullSink *sink,
                           guint64 *at, GError **error)
{
    IngotRange ranges[BATCH];
    guint count = 0;
    for (; count < BATCH && *at < blob->size; count++) {
        ranges[count] = (IngotRange){.offset = *at, .length = MIN(PART, blob->size - *at)};
        *at += ranges[count].length;
    }
    return ingot_remote_get_ranges(remote, share->where->name, &blob->digest, blob->size, ranges, count, pull_take,
                                   sink, NULL, error);
}

static gboolean pull_blob(const Share *share, IngotRemote *remote, const IngotDescriptor *blob, const char *path,
                          GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    PullSink sink = {.fd = fd, .path = path};
    gboolean ok = fd >= 0;
    for (guint64 at = 0; ok && at < blob->size;) {
        ok = pull_batch(share, remote, blob, &sink, &at, error);
    }
    IngotDigest digest;
    if (!ok || !ingot_digest_of_file(path, &digest, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&digest, &blob->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: what the registry sent does not match its digest",
                    path);
        return FALSE;
    }
    return TRUE;
}

/* --- the node --- */

/* A file besides the disk: it must be the very one that the record was written with. */
static gboolean pull_file(const Share *share, IngotRemote *remote, const Shared *shared, guint i,
                          const NodeDraft *draft, GError **error)
{
    const char *name = shared_files[i].name;
    const char *wanted = json_string_value(json_object_get(shared->node->files, name));
    g_autofree char *path = draft_file(draft, name);
    g_autofree char *found =
        pull_blob(share, remote, &shared->files[i], path, error) ? checksum_of_file(path, FALSE, error) : NULL;
    if (found == NULL) {
        return FALSE;
    }
    if (g_strcmp0(found, wanted) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s/%s@%s: %s is not the one that the node was kept with (its checksum differs)",
                    share->where->host, share->where->name, shared->digest, name);
        return FALSE;
    }
    return TRUE;
}

/* The sizes are the registry's word: what the recipe's machine can't need is not fetched. */
static gboolean pull_is_sane(const Share *share, const Recipe *recipe, const Shared *shared, GError **error)
{
    for (guint i = 0; i < SHARED_FILES; i++) {
        const char *name = shared_files[i].name;
        guint64 most =
            strcmp(name, NODE_MEMORY) == 0 ? 2 * recipe_machine(recipe).memory + MEMORY_BESIDES : VARIABLES_MAX;
        if (shared->has[i] && shared->files[i].size > most) {
            g_autofree char *size = ingot_text_size(shared->files[i].size), *limit = ingot_text_size(most);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                        "%s/%s@%s: %s has %s, but that of the recipe's machine has at most %s", share->where->host,
                        share->where->name, shared->digest, name, size, limit);
            return FALSE;
        }
    }
    return TRUE;
}

/* By the manifest's digest, whatever the tag names by now. */
static gboolean pull_disk(const Share *share, const Shared *shared, NodeDraft *draft, GError **error)
{
    g_autoptr(IngotReference) exact = ingot_reference_new(share->where->host, share->where->name, NULL, shared->digest);
    IngotDescriptor manifest;
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions options = {.progress = share->progress, .remote = remote};
    g_autoptr(IngotLock) passing = shared_begin(share, error);
    if (passing == NULL || !ingot_transfer_pull(share->store, exact, &options, &manifest, NULL, error)) {
        return FALSE;
    }
    g_autoptr(IngotImage) image = ingot_store_image(share->store, exact, error);
    g_autoptr(IngotDisk) disk = image == NULL ? NULL : ingot_image_only_disk(image, error);
    g_autofree char *path = draft_layer(draft, NODE_DISK);
    gboolean ok =
        disk != NULL && ingot_format_export(&format_qcow2, &(IngotFormatInput){.disk = disk}, path, NULL, error);
    shared_forget(share, NULL, shared->digest);
    return ok;
}

/* What becomes a node here: its disk is whole, its files' checksums are made again for the files as they are here. */
static Node *pull_describe(const Recipe *recipe, const Shared *shared, const char *source)
{
    Node *node = node_new();
    node->source = g_strdup(source);
    node->recipe = g_strdup(recipe->name);
    node->fingerprint = g_strdup(shared->node->fingerprint);
    node->clean = shared->node->clean;
    node->secret = shared->node->secret;
    for (guint i = 0; i < shared->node->runs->len; i++) {
        g_ptr_array_add(node->runs, node_run_copy(g_ptr_array_index(shared->node->runs, i)));
    }
    for (guint i = 0; i < SHARED_FILES; i++) {
        if (shared->has[i]) {
            json_object_set_new(node->files, shared_files[i].name, json_null());
        }
    }
    return node;
}

/* FALSE also where what is here can't be listed: then nothing says that the node would be used. */
static gboolean pull_is_newest(const Share *share, const Shared *shared)
{
    g_autoptr(GPtrArray) here = nodes_list(share->cache, NULL);
    return here != NULL && !nodes_supersede(here, shared->node);
}

static gboolean pull_fits(const Share *share, const Shared *shared, const Plan *plan, guint stage,
                          const char *fingerprint)
{
    const Node *node = shared->node;
    return ingot_digest_equal(&node_run(node)->key, &plan_stage(plan, stage)->key) &&
           (node->fingerprint == NULL || strcmp(node->fingerprint, fingerprint) == 0) &&
           nodes_fresh(node, plan, g_get_real_time() / G_USEC_PER_SEC) && pull_is_newest(share, shared);
}

ShareState share_pull(const Share *share, const Recipe *recipe, const Plan *plan, guint stage, const char *source,
                      const char *fingerprint, GError **error)
{
    g_autofree char *tag = shared_tag(&plan_stage(plan, stage)->key);
    g_autoptr(IngotRemote) remote = environment_remote(share->where->host, error);
    g_autoptr(Shared) shared = NULL;
    ShareState found = remote == NULL ? SHARE_FAILED : shared_read(share, remote, tag, &shared, error);
    if (found != SHARE_DONE || !pull_fits(share, shared, plan, stage, fingerprint)) {
        return found == SHARE_FAILED ? SHARE_FAILED : SHARE_NONE;
    }
    g_autoptr(NodeDraft) draft = draft_new(share->cache, share->workdir, error);
    g_autoptr(Node) node = pull_describe(recipe, shared, source);
    if (draft == NULL || !pull_is_sane(share, recipe, shared, error) || !pull_disk(share, shared, draft, error)) {
        return SHARE_FAILED;
    }
    for (guint i = 0; i < SHARED_FILES; i++) {
        if (shared->has[i] && !pull_file(share, remote, shared, i, draft, error)) {
            return SHARE_FAILED;
        }
    }
    return draft_publish(draft, node, error) ? SHARE_DONE : SHARE_FAILED;
}
