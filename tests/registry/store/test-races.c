/* Processes that add, name, remove and collect at the same time, some of which are killed: no image that has a name
 * ever lacks a blob, none of them fails for what another does, and a last collection leaves what is named alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <ingot/packer.h>
#include <ingot/store.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/blobs.h"

#define ROUNDS 1000
#define PROCESSES 4
#define TURNS 3 /* of each process */
#define KINDS 3 /* of images: few, so that they meet */

/* What a registry would send of an image. */
typedef struct {
    GBytes *config, *index, *disk, *manifest;
    IngotDescriptor disk_is, manifest_is;
} Kind;

typedef struct {
    IngotWorkdir *workdir;
    char *path;
    Kind kinds[KINDS];
} Fixture;

static void kind_make(Fixture *f, IngotStore *store, guint number)
{
    Kind *kind = &f->kinds[number];
    guint8 bytes[8192] = {(guint8)(number + 1)};
    g_autofree char *raw = ingot_workdir_file(f->workdir, "raw");
    assert_true(ingot_file_replace(raw, bytes, sizeof bytes, 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, "raw", NULL);
    IngotPackOptions options = {.threads = 1};
    g_autoptr(IngotPacked) packed = ingot_store_pack(store, blocks, &options, NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", sizeof bytes);
    json_object_set_new(config, "number", json_integer(number));
    kind->disk_is = (IngotDescriptor){.digest = packed->digest, .size = packed->size};
    const IngotPackedDisk disk = {kind->disk_is, packed->index};
    assert_true(ingot_store_add_image(store, "made", "1", config, NULL, &disk, 1, &kind->manifest_is, NULL));
    g_autoptr(IngotReference) named = ingot_reference_parse("made:1", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, named, NULL);
    kind->config = ingot_store_read(store, &image->manifest->config.digest, 1 << 20, NULL);
    kind->index = ingot_store_read(store, &ingot_manifest_disk(image->manifest, 0)->index.digest, 1 << 20, NULL);
    kind->disk = ingot_store_read(store, &kind->disk_is.digest, 1 << 20, NULL);
    kind->manifest = ingot_store_read(store, &kind->manifest_is.digest, 1 << 20, NULL);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->workdir = ingot_workdir_new(NULL);
    f->path = ingot_workdir_file(f->workdir, "store");
    g_autofree char *other = ingot_workdir_file(f->workdir, "made");
    g_autoptr(IngotStore) store = ingot_store_open(other, NULL);
    for (guint i = 0; i < KINDS; i++) {
        kind_make(f, store, i);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    for (guint i = 0; i < KINDS; i++) {
        g_bytes_unref(f->kinds[i].config);
        g_bytes_unref(f->kinds[i].index);
        g_bytes_unref(f->kinds[i].disk);
        g_bytes_unref(f->kinds[i].manifest);
    }
    ingot_workdir_free(f->workdir);
    g_free(f->path);
    g_free(f);
    return 0;
}

/* --- what a process does --- */

static gboolean put(IngotStore *store, GBytes *bytes, GError **error)
{
    IngotDescriptor out;
    return ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &out, error);
}

static gboolean write_disk(IngotStore *store, const Kind *kind, IngotStoreFile *file, GError **error)
{
    return ingot_file_pwrite(file->fd, g_bytes_get_data(kind->disk, NULL), kind->disk_is.size, 0, file->path, error) &&
           ingot_store_adopt(store, file, &kind->disk_is.digest, error);
}

/* As a pack: the disk is made whether it is there or not. */
static gboolean pack_disk(IngotStore *store, const Kind *kind, GError **error)
{
    IngotStoreFile *file = ingot_store_create(store, error);
    return file != NULL && write_disk(store, kind, file, error);
}

/* As a pull: only what is missing is fetched, and one of two that fetch waits for the other. */
static gboolean pull_disk(IngotStore *store, const Kind *kind, GError **error)
{
    gboolean fresh;
    if (ingot_store_hold(store, &kind->disk_is.digest)) {
        return TRUE;
    }
    IngotStoreFile *file = ingot_store_resume(store, &kind->disk_is.digest, &fresh, error);
    if (file == NULL && g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_clear_error(error);
        return TRUE;
    }
    return file != NULL && write_disk(store, kind, file, error);
}

static gboolean add(IngotStore *store, const Kind *kind, gboolean packs, const char *tag, GError **error)
{
    return (packs ? pack_disk : pull_disk)(store, kind, error) && put(store, kind->config, error) &&
           put(store, kind->index, error) && put(store, kind->manifest, error) &&
           (!packs ||
            ingot_store_attach(store, &kind->manifest_is, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, error)) &&
           ingot_store_tag(store, "web", tag, &kind->manifest_is, error);
}

static gboolean name_again(IngotStore *store, const IngotReference *from, const char *tag, GError **error)
{
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, from, error);
    return entry != NULL && ingot_store_tag(store, "copy", tag, &entry->manifest, error);
}

static gboolean removes(IngotStore *store, const IngotReference *from, GError **error)
{
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, from, error);
    return entry != NULL && ingot_store_remove(store, entry, NULL, error);
}

static gboolean turn(const Fixture *f, IngotStore *store, GError **error)
{
    static const char *const names[] = {"web", "copy"};
    g_autofree char *tag = g_strdup_printf("%d", rand() % 2);
    g_autoptr(IngotReference) other = ingot_reference_new(NULL, names[rand() % 2], rand() % 2 ? "1" : "0", NULL);
    const Kind *kind = &f->kinds[rand() % KINDS];
    IngotGarbage garbage;
    switch (rand() % 8) {
    case 0:
        return name_again(store, other, tag, error);
    case 1:
        return ingot_store_collect(store, &garbage, error);
    case 2:
    case 3:
    case 4:
        return removes(store, other, error);
    case 5:
        return add(store, kind, TRUE, tag, error);
    default:
        return add(store, kind, FALSE, tag, error);
    }
}

static G_NORETURN void process(const Fixture *f, guint seed)
{
    srand(seed);
    g_autoptr(IngotStore) store = ingot_store_open(f->path, NULL);
    for (guint i = 0; store != NULL && i < TURNS; i++) {
        g_autoptr(GError) error = NULL;
        /* The name that is to be removed or copied may have gone. */
        if (!turn(f, store, &error) && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            g_printerr("%s\n", error == NULL ? "failed without an error" : error->message);
            _exit(1);
        }
    }
    _exit(store == NULL);
}

/* --- what is looked at --- */

static guint check_names(const Fixture *f)
{
    g_autoptr(IngotStore) store = ingot_store_open(f->path, NULL);
    g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
    for (guint i = 0; i < list->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(list, i);
        g_autoptr(IngotReference) reference = ingot_reference_new(NULL, entry->name, entry->tag, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(IngotImage) image = ingot_store_image(store, reference, &error);
        if (image == NULL) {
            fail_msg("%s:%s: %s", entry->name, entry->tag, error->message);
        }
        IngotDigest disk;
        assert_true(ingot_digest_of_file(ingot_image_part(image, 0)->path, &disk, NULL, NULL));
        assert_true(ingot_digest_equal(&disk, &ingot_manifest_disk(image->manifest, 0)->disk.digest));
        g_autoptr(GPtrArray) attached = ingot_store_attachments(store, &entry->manifest, NULL);
        g_autoptr(GBytes) report = ingot_store_attached(store, &entry->manifest, INGOT_TYPE_JUNIT, NULL);
        assert_int_equal(attached->len > 0, report != NULL);
    }
    return list->len;
}

static void run_round(const Fixture *f, guint round)
{
    pid_t children[PROCESSES];
    guint killed = round % (PROCESSES + 1); /* or none */
    for (guint i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            process(f, round * PROCESSES + i);
        }
    }
    if (killed < PROCESSES) {
        g_usleep((gulong)(rand() % 6000));
        kill(children[killed], SIGKILL);
    }
    for (guint i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(status == 0 || (i == killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
}

static guint count(const char *path, const char *folder)
{
    g_autofree char *full = g_build_filename(path, folder, NULL);
    g_autoptr(GDir) dir = g_dir_open(full, 0, NULL);
    guint number = 0;
    while (dir != NULL && g_dir_read_name(dir) != NULL) {
        number++;
    }
    return number;
}

static void no_named_image_loses_a_blob(void **state)
{
    const Fixture *f = *state;
    guint named = 0;
    srand(1);
    for (guint round = 0; round < ROUNDS; round++) {
        run_round(f, round);
        named += check_names(f);
    }
    assert_true(named > ROUNDS / 2); /* there was something to lose */
    g_autoptr(IngotStore) store = ingot_store_open(f->path, NULL);
    g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
    IngotGarbage garbage;
    for (guint i = 0; i < list->len; i++) {
        assert_true(ingot_store_remove(store, g_ptr_array_index(list, i), NULL, NULL));
    }
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.held, 0);
    assert_int_equal(count(f->path, "blobs/sha256"), 0);
    assert_int_equal(count(f->path, "tmp"), 0);
}

int main(void)
{
    /* In memory: what is synced is no matter here, and would take most of the time. */
    if (access("/dev/shm", W_OK) == 0) {
        ingot_workdir_use("/dev/shm");
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(no_named_image_loses_a_blob, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
