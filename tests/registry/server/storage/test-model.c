/* The storage against a model of it: random operations on two handles of one folder, as two processes have it. After
 * each of them one of the two, by chance, must show just what the model says: nothing lost, nothing served stale,
 * nothing collected that is needed. A failure names the seed and the operation. */
#include "../fixture.h"

#include "server/storage/collect.h"
#include "server/storage/keptmanifests.h"

#define HANDLES 2
#define REPOSITORIES 2
#define BLOBS 8
#define MANIFESTS (BLOBS / 2) /* each names two blobs */
#define TAGS 3
#define UPLOADS 3
#define STEPS 400
#define SEEDS 8

static const char *const repositories[REPOSITORIES] = {"one", "two"};
static const char *const tags[TAGS] = {"red", "green", "blue"};

/* An upload of which the first half has come. */
typedef struct {
    char *id;
    guint repository, blob;
} Begun;

typedef struct {
    void **state;
    Storage *handles[HANDLES];
    GRand *random;
    GByteArray *blobs[BLOBS];
    IngotDigest digests[BLOBS], manifest_digests[MANIFESTS];
    Begun uploads[UPLOADS];
    /* The model. */
    gboolean has[REPOSITORIES][BLOBS];
    gboolean manifests[REPOSITORIES][MANIFESTS];
    gint tagged[REPOSITORIES][TAGS]; /* a manifest; -1: no such tag */
    char *doing;                     /* what went on last, for messages */
} Model;

static guint pick(Model *model, guint count)
{
    return (guint)g_rand_int_range(model->random, 0, (gint)count);
}

static void G_GNUC_PRINTF(2, 3) model_does(Model *model, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_free(model->doing);
    model->doing = g_strdup_vprintf(format, values);
    va_end(values);
}

static void model_expect(Model *model, gboolean found, gboolean wanted, GError *const *error)
{
    if (found != wanted) {
        fail_msg("%s: %s, but the model says %s: %s", model->doing, found ? "yes" : "no", wanted ? "yes" : "no",
                 error == NULL || *error == NULL ? "no error" : (*error)->message);
    }
}

static Storage *model_open(Model *model)
{
    g_autofree char *path = ingot_workdir_file(*model->state, "data");
    g_autoptr(GError) error = NULL;
    Storage *storage = storage_open_shared(path, &error);
    if (storage == NULL) {
        fail_msg("%s", error->message);
    }
    return storage;
}

static gboolean is_needed(const Model *model, guint repository, guint blob)
{
    return model->manifests[repository][blob / 2];
}

/* --- operations --- */

static void do_push(Model *model, Storage *storage)
{
    guint repository = pick(model, REPOSITORIES), blob = pick(model, BLOBS);
    g_autoptr(GError) error = NULL;
    model_does(model, "push of blob %u to %s", blob, repositories[repository]);
    model_expect(model, try_push(storage, repositories[repository], model->blobs[blob], 20000, &error), TRUE, &error);
    model->has[repository][blob] = TRUE;
}

/* Where an upload of the slot has begun, it ends, on either handle; else one begins. Garbage is collected in between,
 * on either handle.
 */
static void do_upload(Model *model, Storage *storage)
{
    Begun *begun = &model->uploads[pick(model, UPLOADS)];
    g_autoptr(GError) error = NULL;
    if (begun->id == NULL) {
        *begun = (Begun){.repository = pick(model, REPOSITORIES), .blob = pick(model, BLOBS)};
        const GByteArray *bytes = model->blobs[begun->blob];
        model_does(model, "begin of an upload of blob %u", begun->blob);
        begun->id = begin_upload(storage, &error);
        model_expect(model, begun->id != NULL && add_steps(storage, begun->id, bytes, 0, bytes->len / 2, 9000, &error),
                     TRUE, &error);
        storage_upload_pause(storage, begun->id);
        return;
    }
    const GByteArray *bytes = model->blobs[begun->blob];
    guint64 at = 0;
    model_does(model, "end of an upload of blob %u to %s", begun->blob, repositories[begun->repository]);
    model_expect(model,
                 storage_upload_size(storage, begun->id, &at, &error) &&
                     add_steps(storage, begun->id, bytes, at, bytes->len, 9000, &error) &&
                     storage_upload_finish(storage, NULL, begun->id, 0, repositories[begun->repository],
                                           &model->digests[begun->blob], &error),
                 TRUE, &error);
    model->has[begun->repository][begun->blob] = TRUE;
    g_clear_pointer(&begun->id, g_free);
}

static void do_mount(Model *model, Storage *storage)
{
    guint from = pick(model, REPOSITORIES), to = (from + 1) % REPOSITORIES, blob = pick(model, BLOBS);
    g_autoptr(GError) error = NULL;
    model_does(model, "mount of blob %u from %s", blob, repositories[from]);
    model_expect(model,
                 storage_mount(storage, NULL, repositories[from], repositories[to], &model->digests[blob], &error),
                 model->has[from][blob], &error);
    model->has[to][blob] |= model->has[from][blob];
}

static void do_remove_blob(Model *model, Storage *storage)
{
    guint repository = pick(model, REPOSITORIES), blob = pick(model, BLOBS);
    g_autoptr(GError) error = NULL;
    if (is_needed(model, repository, blob)) {
        return;
    }
    model_does(model, "removal of blob %u from %s", blob, repositories[repository]);
    model_expect(model, storage_remove_blob(storage, NULL, repositories[repository], &model->digests[blob], &error),
                 model->has[repository][blob], &error);
    model->has[repository][blob] = FALSE;
}

static void do_manifest(Model *model, Storage *storage)
{
    guint repository = pick(model, REPOSITORIES), manifest = pick(model, MANIFESTS), tag = pick(model, TAGS);
    g_autofree char *text = g_strdup_printf("manifest %u", manifest);
    g_autoptr(GError) error = NULL;
    model_does(model, "manifest %u as %s:%s", manifest, repositories[repository], tags[tag]);
    gboolean done =
        try_manifest(storage, repositories[repository], tags[tag], text, &model->digests[(gsize)manifest * 2], 2, NULL,
                     &model->manifest_digests[manifest], &error);
    model_expect(model, done,
                 model->has[repository][(gsize)manifest * 2] && model->has[repository][(gsize)manifest * 2 + 1],
                 &error);
    if (done) {
        model->manifests[repository][manifest] = TRUE;
        model->tagged[repository][tag] = (gint)manifest;
    }
}

static void do_remove_manifest(Model *model, Storage *storage)
{
    guint repository = pick(model, REPOSITORIES), tag = pick(model, TAGS);
    gint manifest = model->tagged[repository][tag];
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    model_does(model, "removal of what %s:%s names", repositories[repository], tags[tag]);
    model_expect(model, storage_find_tag(storage, repositories[repository], tags[tag], &digest, &error), manifest >= 0,
                 &error);
    if (manifest < 0) {
        return;
    }
    model_expect(model, storage_remove_manifest(storage, NULL, repositories[repository], &digest, &error), TRUE,
                 &error);
    model->manifests[repository][manifest] = FALSE;
    for (guint i = 0; i < TAGS; i++) {
        if (model->tagged[repository][i] == manifest) {
            model->tagged[repository][i] = -1;
        }
    }
}

static void do_remove_tag(Model *model, Storage *storage)
{
    guint repository = pick(model, REPOSITORIES), tag = pick(model, TAGS);
    g_autoptr(GError) error = NULL;
    model_does(model, "removal of the tag %s:%s", repositories[repository], tags[tag]);
    model_expect(model, storage_remove_tag(storage, NULL, repositories[repository], tags[tag], &error),
                 model->tagged[repository][tag] >= 0, &error);
    model->tagged[repository][tag] = -1;
}

static gboolean is_tagged(const Model *model, guint repository, guint manifest)
{
    for (guint i = 0; i < TAGS; i++) {
        if (model->tagged[repository][i] == (gint)manifest) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What the model need not keep may go or stay, as long as both handles say the same. */
static void take_in_collection(Model *model, Storage *storage)
{
    for (guint r = 0; r < REPOSITORIES; r++) {
        for (guint m = 0; m < MANIFESTS; m++) {
            if (model->manifests[r][m] && !is_tagged(model, r, m)) {
                model->manifests[r][m] = storage_has_manifest(storage, repositories[r], &model->manifest_digests[m]);
            }
        }
        for (guint b = 0; b < BLOBS; b++) {
            if (model->has[r][b] && !is_needed(model, r, b)) {
                model->has[r][b] = storage_has(storage, repositories[r], &model->digests[b]);
            }
        }
    }
}

static void do_collect(Model *model, Storage *storage)
{
    const CollectOptions options = {.grace = pick(model, 2) * 1000000};
    CollectReport report;
    g_autoptr(GError) error = NULL;
    model_does(model, "collection with a grace of %u s", (guint)options.grace);
    model_expect(model, storage_collect(storage, &options, &report, &error), TRUE, &error);
    take_in_collection(model, storage);
}

static void do_reopen(Model *model, Storage *storage)
{
    guint handle = model->handles[0] == storage ? 0 : 1;
    model_does(model, "close and open of handle %u", handle);
    storage_close(storage);
    model->handles[handle] = model_open(model);
}

/* As each server does now and then: garbage waits for that. */
static void do_let_go(Model *model, Storage *storage)
{
    model_does(model, "letting go of what others removed");
    storage_let_go(storage);
}

/* --- comparing --- */

/* What is remembered is what is there, whichever handle changed it last. */
static void model_check_kept(Model *model, Storage *storage, guint repository, guint tag)
{
    const char *name = repositories[repository];
    gboolean is_tagged = model->tagged[repository][tag] >= 0;
    g_autofree char *text = g_strdup_printf("manifest %d\"", model->tagged[repository][tag]);
    for (guint i = 0; i < 3; i++) { /* of before, if at all; looked up; remembered */
        g_autoptr(GError) error = NULL;
        g_autoptr(KeptManifest) kept = i == 1 ? kept_manifest_find(storage, name, tags[tag], &error)
                                              : kept_manifest_ready(storage, name, tags[tag]);
        if (i > 0 || kept != NULL) {
            model_expect(model, kept != NULL, is_tagged, &error);
        }
        model_expect(model,
                     kept == NULL || memmem(g_bytes_get_data(kept->bytes, NULL), g_bytes_get_size(kept->bytes), text,
                                            strlen(text)) != NULL,
                     TRUE, NULL);
    }
}

/* A blob is ready only where it is, and then it is read as any other. */
static void model_check_ready(Model *model, Storage *storage, guint repository, guint blob)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(StorageBlob) ready = storage_blob_known(storage, repositories[repository], &model->digests[blob]);
        if (i > 0 || ready != NULL) {
            model_expect(model, ready != NULL, model->has[repository][blob], NULL);
        }
        g_autoptr(StorageBlob) opened = storage_blob(storage, repositories[repository], &model->digests[blob], NULL);
        model_expect(model, opened != NULL, model->has[repository][blob], NULL);
    }
}

static void model_check(Model *model)
{
    Storage *storage = model->handles[pick(model, HANDLES)];
    for (guint r = 0; r < REPOSITORIES; r++) {
        for (guint b = 0; b < BLOBS; b++) {
            g_autoptr(GError) error = NULL;
            model_expect(model, storage_has(storage, repositories[r], &model->digests[b]), model->has[r][b], NULL);
            model_expect(model, try_pull(storage, repositories[r], model->blobs[b], &error), model->has[r][b], &error);
            model_check_ready(model, storage, r, b);
        }
        for (guint t = 0; t < TAGS; t++) {
            IngotDigest digest;
            g_autofree char *type = NULL;
            g_autoptr(GError) error = NULL;
            model_check_kept(model, storage, r, t);
            gboolean found = storage_find_tag(storage, repositories[r], tags[t], &digest, &error);
            model_expect(model, found, model->tagged[r][t] >= 0, &error);
            g_autoptr(GBytes) bytes = found ? storage_manifest(storage, repositories[r], &digest, &type, &error) : NULL;
            g_autofree char *text = g_strdup_printf("manifest %d\"", model->tagged[r][t]);
            model_expect(model,
                         bytes != NULL &&
                             memmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, strlen(text)) != NULL,
                         found, &error);
        }
    }
}

static void model_run(void **state, guint32 seed)
{
    static void (*const operations[])(Model *, Storage *) = {
        do_push,     do_push,     do_upload,          do_upload,     do_mount,   do_remove_blob, do_manifest,
        do_manifest, do_manifest, do_remove_manifest, do_remove_tag, do_collect, do_reopen,      do_let_go,
    };
    Model model = {.state = state, .random = g_rand_new_with_seed(seed)};
    memset(model.tagged, -1, sizeof model.tagged);
    for (guint i = 0; i < BLOBS; i++) {
        /* Neighbours share frames. */
        model.blobs[i] = frames(seed * 1000 + i * 4, 6, 7000);
        model.digests[i] = digest_of(model.blobs[i]);
    }
    for (guint i = 0; i < HANDLES; i++) {
        model.handles[i] = model_open(&model);
    }
    for (guint i = 0; i < STEPS; i++) {
        operations[pick(&model, G_N_ELEMENTS(operations))](&model, model.handles[pick(&model, HANDLES)]);
        model_check(&model);
    }
    for (guint i = 0; i < HANDLES; i++) {
        storage_close(model.handles[i]);
    }
    for (guint i = 0; i < BLOBS; i++) {
        g_byte_array_unref(model.blobs[i]);
    }
    for (guint i = 0; i < UPLOADS; i++) {
        g_free(model.uploads[i].id);
    }
    g_rand_free(model.random);
    g_free(model.doing);
}

static void two_handles_show_what_the_model_says(void **state)
{
    for (guint32 seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %u\n", seed);
        model_run(state, seed);
        g_autofree char *data = ingot_workdir_file(*state, "data");
        g_autoptr(GError) error = NULL;
        if (!ingot_file_remove_tree(data, &error)) {
            fail_msg("%s", error->message);
        }
    }
}

int main(void)
{
    g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL); /* nothing here is damaged */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_handles_show_what_the_model_says, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
