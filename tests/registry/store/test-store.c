/* The store: names and blobs hold together, whoever writes at the same time and whatever is removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/packer.h>
#include <ingot/store.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../image/many.h"
#include "../image/onedisk.h"
#include "base/file.h"
#include "base/json.h"
#include "image/encoder.h"
#include "store/blobs.h"

static int set_up(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state == NULL;
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static IngotStore *open_store(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "store");
    IngotStore *store = ingot_store_open(path, NULL);
    assert_non_null(store);
    return store;
}

/* An image of a disk that begins with the text; images of one text share their disk. */
static IngotDescriptor add_image(void **state, IngotStore *store, const char *name, const char *tag, const char *text)
{
    guint8 bytes[8192] = {0};
    g_strlcpy((char *)bytes, text, sizeof bytes);
    g_autofree char *raw = g_strdup_printf("%s/%d.raw", ingot_workdir_path(*state), (int)getpid());
    assert_true(ingot_file_replace(raw, bytes, sizeof bytes, 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, "raw", NULL);
    IngotPackOptions options = {.threads = 1};
    IngotStoreFile *file = ingot_store_create(store, NULL);
    g_autoptr(IngotPacked) packed = ingot_pack(blocks, &options, file->fd, file->path, NULL);
    assert_non_null(packed);
    assert_true(ingot_store_adopt(store, file, &packed->digest, NULL));
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", sizeof bytes);
    assert_true(ingot_store_add_image(store, name, tag, config, NULL, &disk, 1, &manifest, NULL));
    return manifest;
}

/* Whoever reads leaves nothing behind, and the first write makes the store. */
static void a_store_that_is_read_is_not_made(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "lazy"), *layout = g_build_filename(path, "oci-layout", NULL);
    g_autoptr(IngotStore) store = ingot_store_open_lazy(path);
    g_autoptr(GPtrArray) none = ingot_store_list(store, NULL);
    g_autoptr(IngotReference) reference = ingot_reference_parse("web:1.0.0", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotImage) missing = ingot_store_image(store, reference, &error);
    assert_int_equal(none->len, 0);
    assert_true(missing == NULL && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    add_image(state, store, "web", "1.0.0", "a");
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
    assert_non_null(image);
    assert_true(g_file_test(layout, G_FILE_TEST_EXISTS));
}

/* Neither is a file, nor a link whose disk is not mounted, in the store's place. */
static void what_is_no_folder_is_no_empty_store(void **state)
{
    g_autofree char *file = ingot_workdir_file(*state, "file"), *link = ingot_workdir_file(*state, "link");
    g_autofree char *below = g_build_filename(file, "store", NULL);
    assert_true(ingot_file_replace(file, "", 0, 0600, NULL));
    assert_int_equal(symlink("nowhere", link), 0);
    const char *const paths[] = {file, link, below};
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(IngotStore) store = ingot_store_open_lazy(paths[i]);
        g_autoptr(GError) error = NULL;
        assert_null(ingot_store_list(store, &error));
        assert_non_null(strstr(error->message, paths[i]));
    }
}

/* A list that can't be read is not an empty one. */
static void a_list_that_cannot_be_read_is_an_error(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "closed"), *index = g_build_filename(path, "index.json", NULL);
    assert_int_equal(g_mkdir_with_parents(index, 0700), 0);
    g_autoptr(IngotStore) store = ingot_store_open_lazy(path);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_store_list(store, &error));
    assert_non_null(strstr(error->message, "index.json"));
}

static IngotStoreEntry *find(IngotStore *store, const char *text, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, NULL);
    return ingot_store_find(store, reference, error);
}

static guint count_blobs(const IngotStore *store)
{
    g_autofree char *path = g_build_filename(ingot_store_path(store), "blobs", "sha256", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint count = 0;
    while (g_dir_read_name(folder) != NULL) {
        count++;
    }
    return count;
}

static void names_find_images(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor old = add_image(state, store, "web", "1.9.0", "old");
    IngotDescriptor new = add_image(state, store, "web", "1.10.0", "new");
    add_image(state, store, "host:5000/web", "dev", "other");
    g_autoptr(IngotStoreEntry) highest = find(store, "web", NULL);
    assert_string_equal(highest->tag, "1.10.0");
    assert_memory_equal(&highest->manifest.digest, &new.digest, sizeof new.digest);
    g_autoptr(IngotStoreEntry) remote = find(store, "host:5000/web:dev", NULL);
    assert_string_equal(remote->name, "host:5000/web");
    g_autofree char *digest = ingot_digest_to_text(&old.digest);
    g_autofree char *by_digest = g_strdup_printf("web@%s", digest);
    g_autoptr(IngotStoreEntry) exact = find(store, by_digest, NULL);
    assert_memory_equal(&exact->manifest.digest, &old.digest, sizeof old.digest);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) without = ingot_reference_parse("web:1.9.0", NULL);
    assert_null(ingot_store_image_by_digest(store, without, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    g_clear_error(&error);
    assert_null(find(store, "wbe:1.9.0", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, "web:1.9.0"));
    g_clear_error(&error);
    assert_null(find(store, "web:1.90.0", &error));
    assert_string_equal(error->message, "web has no tag '1.90.0' in the store (it has 1.9.0, 1.10.0)");
    g_clear_error(&error);
    assert_null(find(store, "host:5000/web", &error)); /* a channel stands for no missing tag */
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_string_equal(error->message, "host:5000/web has no version in the store: say which tag (it has dev)");
}

static void removing_frees_what_nobody_needs(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor kept = add_image(state, store, "a", "1.0.0", "shared");
    assert_true(ingot_store_attach(store, &kept, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, NULL));
    guint before = count_blobs(store);
    IngotDescriptor gone = add_image(state, store, "b", "1.0.0", "own");
    assert_true(ingot_store_attach(store, &gone, INGOT_TYPE_SPDX, "application/json", "{\"a\":1}", 7, NULL));
    assert_true(ingot_store_tag(store, "c", "2.0.0", &kept, NULL));
    assert_true(count_blobs(store) > before);
    IngotRemoval removal;
    g_autoptr(IngotStoreEntry) entry = find(store, "b:1.0.0", NULL);
    assert_true(ingot_store_remove(store, entry, &removal, NULL));
    assert_true(removal.freed > 0);
    assert_int_equal(count_blobs(store), before);
    /* One of two names: nothing goes. */
    g_autoptr(IngotStoreEntry) name = find(store, "a:1.0.0", NULL);
    assert_true(ingot_store_remove(store, name, &removal, NULL));
    assert_int_equal(removal.freed, 0);
    g_autoptr(IngotReference) reference = ingot_reference_parse("c:2.0.0", NULL);
    IngotImage *image = ingot_store_image(store, reference, NULL);
    assert_non_null(image);
    ingot_image_free(image);
    g_autoptr(GBytes) report = ingot_store_attached(store, &kept, INGOT_TYPE_JUNIT, NULL);
    assert_int_equal(g_bytes_get_size(report), 4);
}

/* An image gets its name last: what is attached to it before is not taken for an orphan's, but goes with it. */
static void attachments_wait_for_the_name(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor new = add_image(state, store, NULL, NULL, "new");
    assert_true(ingot_store_attach(store, &new, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, NULL));
    g_autoptr(GPtrArray) reports = ingot_store_attachments(store, &new, NULL);
    assert_int_equal(reports->len, 1);
    const IngotDescriptor *report = g_ptr_array_index(reports, 0);
    assert_true(ingot_store_attach(store, report, INGOT_TYPE_SPDX, "text/plain", "signed", 6, NULL));
    g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
    assert_int_equal(list->len, 0);
    guint before = count_blobs(store);
    add_image(state, store, "old", "1.0.0", "old");
    g_autoptr(IngotStoreEntry) old = find(store, "old:1.0.0", NULL);
    assert_true(ingot_store_remove(store, old, NULL, NULL));
    assert_int_equal(count_blobs(store), before);
    assert_true(ingot_store_tag(store, "web", "1.0.0", &new, NULL));
    g_autoptr(GBytes) text = ingot_store_attached(store, &new, INGOT_TYPE_JUNIT, NULL);
    g_autoptr(GBytes) nested = ingot_store_attached(store, report, INGOT_TYPE_SPDX, NULL);
    assert_non_null(text);
    assert_non_null(nested);
    g_autoptr(IngotStoreEntry) web = find(store, "web:1.0.0", NULL);
    assert_true(ingot_store_remove(store, web, NULL, NULL));
    assert_int_equal(count_blobs(store), 0);
}

/* An image whose name another takes can be had by its digest until it is collected; one that gets a name again stays.
 */
static void a_replaced_image_waits_for_the_collection(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor first = add_image(state, store, "web", "1.0.0", "first");
    guint one = count_blobs(store);
    IngotDescriptor second = add_image(state, store, "web", "1.0.0", "second");
    g_autofree char *digest = ingot_digest_to_text(&first.digest), *text = g_strdup_printf("web@%s", digest);
    g_autoptr(IngotStoreEntry) former = find(store, text, NULL), now = find(store, "web:1.0.0", NULL);
    assert_true(former->former && ingot_digest_equal(&former->manifest.digest, &first.digest));
    assert_true(ingot_digest_equal(&now->manifest.digest, &second.digest));
    IngotGarbage garbage;
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.images, 1);
    assert_true(garbage.freed > 0);
    assert_int_equal(count_blobs(store), one);
    assert_null(find(store, text, NULL));
    add_image(state, store, "web", "1.0.0", "first");
    assert_true(ingot_store_tag(store, "web", "old", &second, NULL));
    g_autoptr(GPtrArray) none = ingot_store_list_former(store, NULL);
    assert_int_equal(none->len, 0);
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.images + garbage.blobs, 0);
}

/* By digest alone, each image of a name is its own. */
static void images_by_digest_do_not_replace_each_other(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor first = add_image(state, store, "host/web", NULL, "first");
    add_image(state, store, "host/web", NULL, "second");
    g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
    assert_int_equal(list->len, 2);
    g_autofree char *digest = ingot_digest_to_text(&first.digest), *text = g_strdup_printf("host/web@%s", digest);
    g_autoptr(IngotStoreEntry) entry = find(store, text, NULL);
    assert_true(ingot_store_remove(store, entry, NULL, NULL));
    g_autoptr(GPtrArray) left = ingot_store_list(store, NULL);
    assert_int_equal(left->len, 1);
}

/* What a damaged image needs cannot be told: nothing goes for another's sake, until the damaged one itself goes. */
static void a_damaged_manifest_keeps_all_blobs(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor hurt = add_image(state, store, "hurt", "1.0.0", "same");
    add_image(state, store, "web", "2.0.0", "other");
    g_autofree char *path = ingot_store_blob_path(store, &hurt.digest);
    assert_true(ingot_file_replace(path, "{}", 2, 0644, NULL));
    guint before = count_blobs(store);
    IngotGarbage garbage;
    g_autoptr(GError) collecting = NULL, removing = NULL;
    g_autoptr(IngotStoreEntry) web = find(store, "web:2.0.0", NULL), damaged = find(store, "hurt:1.0.0", NULL);
    assert_false(ingot_store_collect(store, &garbage, &collecting));
    assert_non_null(strstr(collecting->message, "hurt:1.0.0"));
    assert_false(ingot_store_remove(store, web, NULL, &removing));
    assert_non_null(strstr(removing->message, "hurt:1.0.0"));
    assert_null(find(store, "web:2.0.0", NULL));
    assert_int_equal(count_blobs(store), before);
    assert_true(ingot_store_remove(store, damaged, NULL, NULL));
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(count_blobs(store), 0);
}

/* What has no name and can't be read keeps nothing from going, whether it is attached or was replaced; it has gone once
 * its manifest has. */
static void what_is_attached_and_damaged_is_passed_over(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(state, store, "web", "1.0.0", "web");
    assert_true(ingot_store_attach(store, &web, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, NULL));
    g_autoptr(GPtrArray) reports = ingot_store_attachments(store, &web, NULL);
    const IngotDescriptor *report = g_ptr_array_index(reports, 0);
    IngotDescriptor first = add_image(state, store, "tip", "1.0.0", "first");
    assert_true(ingot_store_attach(store, &first, INGOT_TYPE_JUNIT, "application/xml", "<y/>", 4, NULL));
    add_image(state, store, "tip", "1.0.0", "second");
    add_image(state, store, "old", "1.0.0", "old");
    g_autofree char *path = ingot_store_blob_path(store, &report->digest);
    g_autofree char *replaced = ingot_store_blob_path(store, &first.digest);
    assert_true(ingot_file_replace(path, "", 0, 0644, NULL) && ingot_file_replace(replaced, "", 0, 0644, NULL));
    IngotRemoval removal;
    IngotGarbage garbage;
    g_autoptr(IngotStoreEntry) old = find(store, "old:1.0.0", NULL), named = find(store, "web:1.0.0", NULL);
    g_autoptr(IngotStoreEntry) tip = find(store, "tip:1.0.0", NULL);
    assert_true(ingot_store_remove(store, old, &removal, NULL));
    assert_true(removal.unread > 0 && removal.freed > 0);
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.unread, 1);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_true(ingot_store_remove(store, named, &removal, NULL));
    assert_int_equal(removal.unread, 0);
    assert_true(ingot_store_remove(store, tip, NULL, NULL));
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(count_blobs(store), 0);
}

/* What killed commands leave goes; what others are busy with stays. */
static void a_collection_takes_what_nothing_names(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autofree char *leftover = g_build_filename(ingot_store_path(store), ".index.json.ABCDEF", NULL);
    IngotDescriptor web = add_image(state, store, "web", "1.0.0", "web"), out;
    guint before = count_blobs(store);
    IngotGarbage garbage;
    gboolean fresh;
    {
        g_autoptr(IngotStore) other = open_store(state);
        assert_true(ingot_store_put(other, "loose", 5, &out, NULL));
        IngotDescriptor unnamed = add_image(state, other, NULL, NULL, "unnamed");
        assert_true(ingot_store_attach(other, &unnamed, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, NULL));
        IngotStoreFile *partial = ingot_store_resume(other, &web.digest, &fresh, NULL);
        assert_true(ingot_store_collect(store, &garbage, NULL));
        assert_int_equal(garbage.blobs + garbage.partials, 0);
        assert_true(ingot_store_tag(other, "late", "1.0.0", &unnamed, NULL));
        ingot_store_suspend(partial);
    }
    assert_true(ingot_file_replace(leftover, "x", 1, 0644, NULL));
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.blobs, 1);
    assert_int_equal(garbage.partials, 1);
    assert_int_not_equal(access(leftover, F_OK), 0);
    g_autoptr(IngotStoreEntry) late = find(store, "late:1.0.0", NULL);
    g_autoptr(GBytes) report = ingot_store_attached(store, &late->manifest, INGOT_TYPE_JUNIT, NULL);
    assert_non_null(report);
    assert_true(ingot_store_remove(store, late, NULL, NULL));
    assert_int_equal(count_blobs(store), before);
}

/* An image is named only where it is whole; what is put again heals. */
static void damage_heals_by_putting_again(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor out, again;
    assert_true(ingot_store_put(store, "some bytes", 10, &out, NULL));
    g_autofree char *path = ingot_store_blob_path(store, &out.digest);
    assert_true(ingot_file_replace(path, "some bites", 10, 0644, NULL));
    assert_true(ingot_store_put(store, "some bytes", 10, &again, NULL));
    g_autoptr(GBytes) bytes = ingot_store_read(store, &out.digest, 100, NULL);
    assert_non_null(bytes);
    IngotDescriptor web = add_image(state, store, "web", "1.0.0", "web");
    g_autoptr(IngotReference) reference = ingot_reference_parse("web:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
    g_autoptr(GError) error = NULL;
    unlink(ingot_image_part(image, 0)->path);
    assert_false(ingot_store_tag(store, "web", "2.0.0", &web, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    add_image(state, store, "web", "1.0.0", "web");
    assert_true(ingot_store_tag(store, "web", "2.0.0", &web, NULL));
}

static gpointer check_store(gpointer path)
{
    g_autoptr(IngotStore) store = ingot_store_open_lazy(path);
    return ingot_store_check(store, NULL);
}

/* A lease on a blob stops the check where it opens that, until another image has gone. */
static void what_is_removed_while_it_is_checked_is_no_fault(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    add_image(state, store, "a", "1.0.0", "first");
    add_image(state, store, "b", "1.0.0", "second");
    g_autoptr(IngotReference) reference = ingot_reference_parse("a:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
    g_auto(IngotFd) fd = open(ingot_image_part(image, 0)->path, O_RDWR | O_CLOEXEC);
    signal(SIGIO, SIG_IGN);
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0) {
        skip();
    }
    GThread *thread = g_thread_new("check", check_store, (gpointer)ingot_store_path(store));
    while (fcntl(fd, F_GETLEASE) == F_WRLCK) {
        g_usleep(1000);
    }
    g_autoptr(IngotStoreEntry) entry = find(store, "b:1.0.0", NULL);
    assert_true(ingot_store_remove(store, entry, NULL, NULL));
    assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    g_autoptr(GPtrArray) faults = g_thread_join(thread);
    assert_int_equal(faults->len, 0);
}

/* Several processes name images at once: no name is lost. */
static void writers_do_not_lose_names(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor manifest = add_image(state, store, "busy", "0.0.0", "busy");
    pid_t children[6];
    for (guint i = 0; i < G_N_ELEMENTS(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            gboolean done = TRUE;
            for (guint n = 0; done && n < 8; n++) {
                g_autofree char *tag = g_strdup_printf("1.%u.%u", i, n);
                done = ingot_store_tag(store, "busy", tag, &manifest, NULL);
            }
            _exit(done ? 0 : 1);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(children); i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
    assert_int_equal(list->len, 49);
}

static void half_written_blobs_are_swept(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    pid_t child = fork();
    if (child == 0) {
        IngotStoreFile *file = ingot_store_create(store, NULL);
        _exit(file != NULL && write(file->fd, "half", 4) == 4 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    g_autofree char *path = g_build_filename(ingot_store_path(store), "tmp", NULL);
    IngotStoreFile *own = ingot_store_create(store, NULL); /* in use: stays */
    g_autofree char *own_name = g_path_get_basename(own->path);
    g_autoptr(IngotStore) again = open_store(state);
    assert_non_null(again);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint found = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        found += strcmp(name, own_name) != 0;
    }
    assert_int_equal(found, 0);
    assert_true(g_file_test(own->path, G_FILE_TEST_EXISTS));
    ingot_store_discard(own);
}

static void partial_downloads_stay(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDigest digest;
    ingot_digest_of("some bytes", 10, &digest);
    gboolean fresh;
    IngotStoreFile *file = ingot_store_resume(store, &digest, &fresh, NULL);
    assert_true(fresh);
    assert_int_equal(write(file->fd, "some ", 5), 5);
    ingot_store_suspend(file);
    g_autoptr(IngotStore) again = open_store(state);
    file = ingot_store_resume(again, &digest, &fresh, NULL);
    assert_false(fresh);
    assert_int_equal(lseek(file->fd, 0, SEEK_END), 5);
    assert_int_equal(write(file->fd, "bytes", 5), 5);
    assert_true(ingot_store_adopt(again, file, &digest, NULL));
    g_autoptr(GBytes) bytes = ingot_store_read(store, &digest, 100, NULL);
    assert_memory_equal(g_bytes_get_data(bytes, NULL), "some bytes", 10);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_store_read(store, &digest, 5, &error));
}

static void a_partial_download_that_nobody_is_busy_with_is_dropped(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDigest digest;
    gboolean fresh;
    ingot_digest_of("some bytes", 10, &digest);
    ingot_store_drop_partial(store, &digest); /* there is none */
    for (guint i = 0; i < 2; i++) {
        IngotStoreFile *file = ingot_store_resume(store, &digest, &fresh, NULL);
        assert_true(fresh);
        assert_int_equal(write(file->fd, "some ", 5), 5);
        ingot_store_drop_partial(store, &digest);
        assert_int_equal(access(file->path, F_OK), 0);
        ingot_store_suspend(file);
        ingot_store_drop_partial(store, &digest);
    }
}

/* What can't be made a blob now may be later: it has come whole. */
static void a_download_that_is_not_adopted_stays(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDigest digest;
    ingot_digest_of("some bytes", 10, &digest);
    g_autofree char *path = ingot_store_blob_path(store, &digest);
    gboolean fresh;
    IngotStoreFile *file = ingot_store_resume(store, &digest, &fresh, NULL);
    assert_int_equal(write(file->fd, "some bytes", 10), 10);
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    assert_false(ingot_store_adopt(store, file, &digest, NULL));
    assert_int_equal(rmdir(path), 0);
    file = ingot_store_resume(store, &digest, &fresh, NULL);
    assert_false(fresh);
    assert_true(ingot_store_adopt(store, file, &digest, NULL));
    g_autoptr(GBytes) bytes = ingot_store_read(store, &digest, 100, NULL);
    assert_non_null(bytes);
}

/* An image without its disk, or with a part of it, is one that a registry is asked for. */
static void an_image_without_its_disk_is_not_there(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    add_image(state, store, "web", "1.0.0", "web");
    g_autoptr(IngotReference) reference = ingot_reference_parse("web:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(
            i == 0 ? truncate(ingot_image_part(image, 0)->path, 10) : unlink(ingot_image_part(image, 0)->path), 0);
        assert_null(ingot_store_image(store, reference, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
        assert_non_null(strstr(error->message, "web@sha256:"));
    }
}

/* What can't be removed is said, and counted as nothing; the rest goes. */
static void what_can_not_be_collected_is_an_error(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    add_image(state, store, "web", "1.0.0", "first");
    add_image(state, store, "web", "1.0.0", "second");
    IngotDigest digest;
    ingot_digest_of("folder", 6, &digest);
    g_autofree char *path = ingot_store_blob_path(store, &digest);
    guint before = count_blobs(store);
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    IngotGarbage garbage;
    g_autoptr(GError) error = NULL;
    assert_false(ingot_store_collect(store, &garbage, &error));
    assert_non_null(strstr(error->message, path));
    assert_int_equal(garbage.images, 1);
    assert_int_equal(garbage.blobs, before + 1 - count_blobs(store));
    assert_true(garbage.blobs > 0);
    assert_int_equal(rmdir(path), 0);
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.blobs, 0);
}

static void a_damaged_list_is_named(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"schemaVersion\":2}",
                                        "{\"schemaVersion\":2,\"manifests\":3}",
                                        "\xff\xfe",
                                        "{\"schemaVersion\":2,\"manifests\":[]}x"};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(IngotStore) store = open_store(state);
        add_image(state, store, "web", "1.0.0", "web");
        g_autofree char *path = g_build_filename(ingot_store_path(store), "index.json", NULL), *before = NULL;
        assert_true(g_file_get_contents(path, &before, NULL, NULL));
        assert_true(ingot_file_replace(path, texts[i], strlen(texts[i]), 0600, NULL));
        g_autoptr(GError) error = NULL;
        assert_null(ingot_store_list(store, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "index.json"));
        /* A command that would write does not make it worse. */
        IngotDescriptor manifest = {.size = 2};
        assert_false(ingot_store_tag(store, "x", "1.0.0", &manifest, NULL));
        g_autofree char *after = NULL;
        assert_true(g_file_get_contents(path, &after, NULL, NULL));
        assert_string_equal(after, texts[i]);
        assert_true(ingot_file_replace(path, before, strlen(before), 0600, NULL));
    }
}

static char *table_of(const IngotStore *store, const IngotDigest *blob)
{
    g_autofree char *text = ingot_digest_to_text(blob);
    return g_build_filename(ingot_store_path(store), "frames", strchr(text, ':') + 1, NULL);
}

/* 1 MiB that begins with the text. */
static IngotPacked *pack(void **state, IngotStore *store, const char *text)
{
    g_autofree guint8 *bytes = g_malloc(1 << 20);
    for (gsize i = 0; i < 1 << 20; i++) {
        bytes[i] = (guint8)(i / 4096 * 7 + i % 11 + 1);
    }
    memcpy(bytes, text, strlen(text));
    g_autofree char *raw = ingot_workdir_file(*state, "frames.raw");
    assert_true(ingot_file_replace(raw, bytes, 1 << 20, 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, "raw", NULL);
    IngotPackOptions options = {.threads = 2};
    IngotPacked *packed = ingot_store_pack(store, blocks, &options, NULL);
    assert_non_null(packed);
    return packed;
}

static void frames_are_taken_from_earlier_packs(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(IngotPacked) first = pack(state, store, "first");
    g_autoptr(IngotPacked) second = pack(state, store, "second");
    assert_int_equal(first->taken, 0);
    assert_true(second->taken > 0 && second->taken < second->data);
    /* What the frames of a damaged blob are replaced by is whole, and so is the blob that comes of it. */
    g_autofree char *one = ingot_store_blob_path(store, &first->digest);
    g_autofree char *other = ingot_store_blob_path(store, &second->digest);
    g_autofree char *zeros = g_malloc0(first->size);
    assert_true(ingot_file_replace(one, zeros, first->size, 0644, NULL));
    unlink(other);
    g_autoptr(IngotPacked) again = pack(state, store, "second");
    assert_int_equal(again->taken, 0);
    assert_memory_equal(&again->digest, &second->digest, sizeof again->digest);
    IngotDigest found;
    assert_true(ingot_digest_of_file(other, &found, NULL, NULL));
    assert_memory_equal(&found, &second->digest, sizeof found);
}

/* A table goes with its blob, whoever removes that. */
static void tables_of_frames_go_with_their_blobs(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(IngotPacked) first = pack(state, store, "first");
    g_autoptr(IngotPacked) second = pack(state, store, "second");
    const IngotPackedDisk disk = {{first->digest, first->size}, first->index};
    IngotDescriptor manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", 1 << 20);
    assert_true(ingot_store_add_image(store, "a", "1.0.0", config, NULL, &disk, 1, &manifest, NULL));
    g_autofree char *one = table_of(store, &first->digest), *other = table_of(store, &second->digest);
    assert_int_equal(access(one, F_OK), 0);
    g_autoptr(IngotStoreEntry) entry = find(store, "a:1.0.0", NULL);
    assert_true(ingot_store_remove(store, entry, NULL, NULL));
    assert_int_not_equal(access(one, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    g_autofree char *blob = ingot_store_blob_path(store, &second->digest);
    unlink(blob);
    g_autoptr(IngotPacked) third = pack(state, store, "third");
    assert_int_not_equal(access(other, F_OK), 0);
    assert_int_equal(third->taken, 0);
}

static char *digests_of(const IngotStore *store, const IngotDigest *blob)
{
    g_autofree char *text = ingot_digest_to_text(blob);
    return g_build_filename(ingot_store_path(store), "frame-digests", strchr(text, ':') + 1, NULL);
}

/* Each is that of the bytes which stand in the blob. */
static void check_digests(IngotStore *store, const IngotDigest *blob, const IngotIndex *index)
{
    g_autofree char *path = ingot_store_blob_path(store, blob), *bytes = NULL;
    assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    assert_int_equal(index->frames->len, index->chunks->len);
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        IngotDigest digest;
        ingot_digest_of(bytes + chunk->stored_offset, chunk->stored_length, &digest);
        assert_memory_equal(&g_array_index(index->frames, IngotDigest, i), &digest, sizeof digest);
    }
}

/* A later pack, which takes frames, knows their digests as well as the first; what is damaged is as if it were not
 * there; they go with their blob. */
static void digests_of_frames_are_kept(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(IngotPacked) other = pack(state, store, "other"), packed = pack(state, store, "one");
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", 1 << 20);
    assert_true(packed->taken > 0);
    assert_true(ingot_store_add_image(store, "a", "1.0.0", config, NULL, &disk, 1, &manifest, NULL));
    g_autoptr(IngotReference) reference = ingot_reference_parse("a:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
    assert_null(ingot_image_part(image, 0)->index->frames);
    assert_true(ingot_store_load_frames(store, &disk.blob.digest, ingot_image_part(image, 0)->index));
    check_digests(store, &disk.blob.digest, ingot_image_part(image, 0)->index);
    g_autofree char *path = digests_of(store, &disk.blob.digest), *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    for (gsize at = 0; at < size; at += 13) {
        bytes[at] ^= 1;
        assert_true(ingot_file_replace(path, bytes, size, 0644, NULL));
        assert_false(ingot_store_load_frames(store, &disk.blob.digest, ingot_image_part(image, 0)->index));
        bytes[at] ^= 1;
    }
    assert_true(ingot_file_replace(path, bytes, size - 1, 0644, NULL));
    assert_false(ingot_store_load_frames(store, &disk.blob.digest, ingot_image_part(image, 0)->index));
    ingot_store_keep_frames(store, &disk.blob.digest, ingot_image_part(image, 0)->index);
    assert_true(ingot_store_load_frames(store, &disk.blob.digest, ingot_image_part(image, 0)->index));
    assert_true(ingot_store_remove(store, image->entry, NULL, NULL));
    assert_int_not_equal(access(path, F_OK), 0);
    g_autofree char *left = digests_of(store, &other->digest);
    assert_int_equal(access(left, F_OK), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void put(IngotStore *store, const void *data, gsize size, IngotDescriptor *out)
{
    g_autoptr(GError) error = NULL;
    assert_true(ingot_store_put(store, data, size, out, &error));
    assert_null(error);
}

/* Of more chunks, in a longer index, than any that is packed now. */
static void an_image_of_an_older_release_is_read(void **state)
{
    const guint chunks = 3300000;
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(json_t) config = ingot_config_new("amd64", (guint64)chunks * INGOT_BLOCK_SIZE);
    g_autofree char *config_text = ingot_json_canonical(config);
    g_autofree guint8 *disk = g_malloc0(chunks * 10);
    g_autoptr(GBytes) index = index_of_many(chunks, 0);
    assert_true(g_bytes_get_size(index) > INGOT_INDEX_MAX);
    OneDisk parts = {0};
    put(store, config_text, strlen(config_text), &parts.config);
    put(store, g_bytes_get_data(index, NULL), g_bytes_get_size(index), &parts.index);
    put(store, disk, chunks * 10, &parts.disk);
    g_autofree char *text = one_disk_text(&parts, NULL);
    IngotDescriptor manifest;
    put(store, text, strlen(text), &manifest);
    assert_true(ingot_store_tag(store, "old", "1.0.0", &manifest, NULL));
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse("old:1.0.0", NULL);
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, &error);
    assert_null(error);
    assert_int_equal(ingot_image_part(image, 0)->index->chunks->len, chunks);
}

/* --- several disks --- */

static IngotPacked *pack_text(IngotStore *store, const char *text, gsize size)
{
    g_autofree char *path = g_build_filename(ingot_store_path(store), "..", "raw", NULL);
    g_autofree char *bytes = g_malloc0(size);
    memcpy(bytes, text, strlen(text));
    assert_true(ingot_file_replace(path, bytes, size, 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    return ingot_store_pack(store, blocks, &(IngotPackOptions){.threads = 1}, NULL);
}

static IngotImage *image_of_two(IngotStore *store, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_parse("two:1.0.0", NULL);
    return ingot_store_image(store, reference, error);
}

static void add_two(IngotStore *store)
{
    g_autoptr(IngotPacked) first = pack_text(store, "first", 8192), second = pack_text(store, "second", 12288);
    g_autoptr(json_t) config = ingot_config_new("amd64", 8192);
    const IngotPackedDisk disks[] = {{{first->digest, first->size}, first->index},
                                     {{second->digest, second->size}, second->index}};
    IngotDescriptor manifest;
    ingot_config_add_disk(config, 12288);
    assert_true(ingot_store_add_image(store, "two", "1.0.0", config, NULL, disks, 2, &manifest, NULL));
}

static void an_image_has_two_disks(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(GError) error = NULL;
    char text[7] = "";
    add_two(store);
    g_autoptr(IngotImage) image = image_of_two(store, &error);
    assert_null(error);
    assert_int_equal(ingot_image_size(image), 8192 + 12288);
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, NULL);
    assert_int_equal(ingot_disk_count(disk), 2);
    assert_true(ingot_disk_read(disk, ingot_disk_base(disk, 1), text, 6, NULL));
    assert_string_equal(text, "second");
    assert_null(ingot_image_only_disk(image, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(ingot_store_hold_image(store, image));
}

/* What reads a whole image remembers of each disk that it is right. */
static void two_disks_are_remembered(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    add_two(store);
    g_autoptr(IngotImage) image = image_of_two(store, NULL);
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, NULL);
    assert_true(ingot_disk_verify(disk, NULL, NULL));
    ingot_image_remember(image, disk);
    for (guint i = 0; i < 2; i++) {
        assert_true(g_file_test(ingot_image_part(image, i)->checked_path, G_FILE_TEST_EXISTS));
    }
}

/* Each of the two disks, and each index, is needed; what is left when the image goes is nothing. */
static void two_disks_live_and_go_together(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    add_two(store);
    g_autoptr(IngotImage) image = image_of_two(store, NULL);
    IngotGarbage garbage;
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.blobs, 0);
    for (guint i = 0; i < 2; i++) {
        const IngotDiskPair *pair = ingot_manifest_disk(image->manifest, i);
        const IngotDigest *const blobs[] = {&pair->index.digest, &pair->disk.digest};
        for (guint k = 0; k < G_N_ELEMENTS(blobs); k++) {
            g_autofree char *path = ingot_store_blob_path(store, blobs[k]), *away = g_strconcat(path, "-", NULL);
            g_autoptr(GError) error = NULL;
            assert_int_equal(rename(path, away), 0);
            assert_null(image_of_two(store, &error));
            assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
            assert_false(ingot_store_tag(store, "again", "1", &image->entry->manifest, NULL));
            g_autoptr(GPtrArray) faults = ingot_store_check(store, NULL);
            assert_true(faults->len > 0);
            assert_int_equal(rename(away, path), 0);
        }
    }
    assert_true(ingot_store_remove(store, image->entry, NULL, NULL));
    for (guint i = 0; i < 2; i++) {
        assert_false(g_file_test(ingot_image_part(image, i)->path, G_FILE_TEST_EXISTS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_find_images),
        TEST(removing_frees_what_nobody_needs),
        TEST(writers_do_not_lose_names),
        TEST(half_written_blobs_are_swept),
        TEST(attachments_wait_for_the_name),
        TEST(partial_downloads_stay),
        TEST(a_partial_download_that_nobody_is_busy_with_is_dropped),
        TEST(a_download_that_is_not_adopted_stays),
        TEST(an_image_without_its_disk_is_not_there),
        TEST(what_can_not_be_collected_is_an_error),
        TEST(a_damaged_list_is_named),
        TEST(a_store_that_is_read_is_not_made),
        TEST(a_list_that_cannot_be_read_is_an_error),
        TEST(what_is_no_folder_is_no_empty_store),
        TEST(frames_are_taken_from_earlier_packs),
        TEST(tables_of_frames_go_with_their_blobs),
        TEST(digests_of_frames_are_kept),
        TEST(a_replaced_image_waits_for_the_collection),
        TEST(images_by_digest_do_not_replace_each_other),
        TEST(a_damaged_manifest_keeps_all_blobs),
        TEST(what_is_attached_and_damaged_is_passed_over),
        TEST(a_collection_takes_what_nothing_names),
        TEST(damage_heals_by_putting_again),
        TEST(what_is_removed_while_it_is_checked_is_no_fault),
        TEST(an_image_has_two_disks),
        TEST(two_disks_are_remembered),
        TEST(two_disks_live_and_go_together),
        cmocka_unit_test_setup_teardown(an_image_of_an_older_release_is_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
