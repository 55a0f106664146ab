/* A store whose list of images is damaged or gone says so, and is brought back; what stands in the place of its files
 * is neither followed nor waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../image/onedisk.h"
#include "base/file.h"
#include "base/json.h"
#include "store/attached.h"
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
    return ingot_store_open_lazy(path);
}

/* An image of a few zeros, which the text tells from others. */
static IngotDescriptor add_image(IngotStore *store, const char *name, const char *tag, const char *text)
{
    g_autoptr(json_t) config = ingot_config_new("amd64", 4096);
    IngotDescriptor manifest;
    OneDisk parts = {0};
    ingot_json_set_string(config, "text", text);
    g_autofree char *bytes = ingot_json_canonical(config);
    assert_true(ingot_store_put(store, bytes, strlen(bytes), &parts.config, NULL));
    assert_true(ingot_store_put(store, text, strlen(text), &parts.index, NULL)); /* nobody reads it here */
    assert_true(ingot_store_put(store, "a disk", 6, &parts.disk, NULL));
    g_autofree char *whole = one_disk_text(&parts, NULL);
    assert_true(ingot_store_put(store, whole, strlen(whole), &manifest, NULL));
    assert_true(ingot_store_tag(store, name, tag, &manifest, NULL));
    return manifest;
}

static char *index_path(IngotStore *store)
{
    return g_build_filename(ingot_store_path(store), "index.json", NULL);
}

static void check_name(IngotStore *store, const char *text, const IngotDescriptor *manifest)
{
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, &error);
    if (entry == NULL) {
        fail_msg("%s", error->message);
    }
    assert_true(ingot_digest_equal(&entry->manifest.digest, &manifest->digest));
}

/* What may become of it: a file of that text; a folder, a pipe, a link to something, nothing at all. */
static void spoil(const char *path, guint how)
{
    static const char *const texts[] = {"", "{", "[]", "{\"manifests\":3}", "{\"manifests\":[{}]}"};
    unlink(path);
    rmdir(path);
    if (how < G_N_ELEMENTS(texts)) {
        assert_true(ingot_file_replace(path, texts[how], strlen(texts[how]), 0644, NULL));
    } else if (how == G_N_ELEMENTS(texts)) {
        assert_int_equal(mkdir(path, 0755), 0);
    } else if (how == G_N_ELEMENTS(texts) + 1) {
        assert_int_equal(mkfifo(path, 0644), 0);
    } else if (how == G_N_ELEMENTS(texts) + 2) {
        assert_int_equal(symlink("oci-layout", path), 0);
    }
}
#define SPOILED 9u /* ways: the last is that it is gone */
#define ROW_SPOILED 4u

static void recover(IngotStore *store, guint names, guint images)
{
    g_auto(IngotStoreRecovery) found = {0}, done = {0}, again = {0};
    assert_true(ingot_store_look(store, &found, NULL));
    assert_true(ingot_store_recover(store, &done, NULL));
    assert_non_null(strstr(done.problem, "index.json"));
    assert_string_equal(done.problem, found.problem);
    assert_int_equal(done.names, names);
    assert_int_equal(done.images, images);
    assert_int_equal(found.names, names);
    assert_int_equal(found.images, images);
    assert_true(ingot_store_recover(store, &again, NULL));
    assert_null(again.problem);
}

static void a_damaged_list_is_brought_back(void **state)
{
    for (guint how = 0; how < SPOILED; how++) {
        g_autoptr(IngotStore) store = open_store(state);
        IngotDescriptor one = add_image(store, "web", "1.0.0", "one");
        IngotDescriptor hub = add_image(store, "index.docker.io/x", "1.0.0", "hub");
        assert_true(ingot_store_attach(store, &one, INGOT_TYPE_JUNIT, "application/xml", "<x/>", 4, NULL));
        IngotDescriptor two = add_image(store, "web", "2.0.0", "two"); /* the last good list lacks it */
        g_autofree char *path = index_path(store), *kept = NULL;
        assert_true(g_file_get_contents(path, &kept, NULL, NULL));
        spoil(path, how);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) list = ingot_store_list(store, &error);
        assert_true(how == ROW_SPOILED ? list->len == 0 : list == NULL && strstr(error->message, "ingot fsck") != NULL);
        g_clear_error(&error);
        assert_false(ingot_store_tag(store, "x", "1", &(IngotDescriptor){.size = 2}, NULL));
        IngotGarbage garbage;
        assert_false(ingot_store_collect(store, &garbage, &error));
        if (how == ROW_SPOILED) { /* what can be read of it counts, not the last good one */
            recover(store, 0, 3);
        } else {
            recover(store, 2, 1);
            check_name(store, "web:1.0.0", &one);
            check_name(store, "docker.io/library/x:1.0.0", &hub);
        }
        g_autofree char *digest = ingot_digest_to_text(&two.digest);
        g_autofree char *name = g_strdup_printf("recovered:%.12s", digest + strlen("sha256:"));
        check_name(store, name, &two);
        g_autoptr(GBytes) report = ingot_store_attached(store, &one, INGOT_TYPE_JUNIT, NULL);
        assert_non_null(report);
        g_autoptr(GPtrArray) faults = ingot_store_check(store, NULL);
        assert_int_equal(faults->len, 0);
        g_autofree char *folder = g_strdup(ingot_store_path(store));
        assert_true(ingot_file_remove_tree(folder, NULL));
    }
}

/* An image that was removed does not come back by the last good list. */
static void what_is_gone_stays_gone(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor one = add_image(store, "web", "1.0.0", "one"), two = add_image(store, "web", "2.0.0", "two");
    g_autoptr(IngotReference) reference = ingot_reference_parse("web:1.0.0", NULL);
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, NULL);
    assert_true(ingot_store_remove(store, entry, NULL, NULL));
    assert_false(ingot_store_has(store, &one.digest));
    g_autofree char *path = index_path(store);
    spoil(path, 0);
    recover(store, 1, 0);
    check_name(store, "web:2.0.0", &two);
}

/* A store that has no images is not one that lost its list. */
static void an_empty_store_is_whole(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    g_autoptr(GPtrArray) none = ingot_store_list(store, NULL);
    assert_int_equal(none->len, 0);
    g_auto(IngotStoreRecovery) found = {0};
    assert_true(ingot_store_look(store, &found, NULL));
    assert_null(found.problem);
}

/* Whatever stands in the place of a blob: reading it ends with an error, putting the blob again heals. */
static void what_stands_in_a_blobs_place(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), out;
    g_autofree char *path = ingot_store_blob_path(store, &web.digest), *other = ingot_workdir_file(*state, "other");
    g_autofree char *bytes = NULL, *left = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    for (guint how = 0; how < 2; how++) {
        unlink(path);
        assert_true(ingot_file_replace(other, bytes, size, 0644, NULL));
        assert_int_equal(how == 0 ? mkfifo(path, 0644) : symlink(other, path), 0);
        assert_false(ingot_store_has(store, &web.digest));
        assert_false(ingot_store_hold(store, &web.digest));
        assert_null(ingot_store_read(store, &web.digest, 1000, NULL));
        g_autoptr(GPtrArray) faults = ingot_store_check(store, NULL);
        assert_int_equal(faults->len, 1);
        assert_true(ingot_store_put(store, bytes, size, &out, NULL));
        assert_true(ingot_store_has(store, &web.digest));
        g_autoptr(GPtrArray) healed = ingot_store_check(store, NULL);
        assert_int_equal(healed->len, 0);
    }
    assert_true(g_file_get_contents(other, &left, NULL, NULL));
    assert_string_equal(left, bytes);
    /* A download goes into a file of its own, wherever a link leads. */
    gboolean fresh;
    IngotDigest digest = {{1}};
    g_autofree char *text = ingot_digest_to_text(&digest);
    g_autofree char *partial = g_strdup_printf("%s/tmp/partial-%s", ingot_store_path(store), text + strlen("sha256:"));
    assert_int_equal(symlink(other, partial), 0);
    assert_null(ingot_store_resume(store, &digest, &fresh, NULL));
    IngotGarbage garbage;
    assert_true(ingot_store_collect(store, &garbage, NULL));
    IngotStoreFile *file = ingot_store_resume(store, &digest, &fresh, NULL);
    assert_true(file != NULL && fresh);
    ingot_store_discard(file);
    g_autofree char *lock = g_build_filename(ingot_store_path(store), ".lock", NULL);
    unlink(lock);
    assert_int_equal(symlink("../elsewhere", lock), 0);
    assert_false(ingot_store_collect(store, &garbage, NULL));
    g_autofree char *elsewhere = ingot_workdir_file(*state, "elsewhere");
    assert_int_not_equal(access(elsewhere, F_OK), 0);
}

/* An older Ingot's rows, and those of other tools. */
static void names_of_the_hub_are_one(void **state)
{
    static const char *const spellings[] = {"docker.io/x:1.0.0", "docker.io/library/x:1.0.0", "index.docker.io/x:1.0.0",
                                            "registry-1.docker.io/library/x:1.0.0"};
    for (guint i = 0; i < G_N_ELEMENTS(spellings); i++) {
        g_autoptr(IngotStore) store = open_store(state);
        g_autofree char *name = g_strndup(spellings[i], strlen(spellings[i]) - strlen(":1.0.0"));
        IngotDescriptor image = add_image(store, name, "1.0.0", "one");
        for (guint j = 0; j < G_N_ELEMENTS(spellings); j++) {
            check_name(store, spellings[j], &image);
        }
        g_autoptr(GPtrArray) list = ingot_store_list(store, NULL);
        assert_int_equal(list->len, 1);
        assert_string_equal(((IngotStoreEntry *)g_ptr_array_index(list, 0))->name, "docker.io/library/x");
    }
}

/* A manifest that names several layers, or none, or is an index: listed as it is, with all that it names; by its row,
 * it goes with its image even where it is damaged. */
static void foreign_attachments_are_kept_as_they_are(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), layer, child, own;
    assert_true(ingot_store_put(store, "content", 7, &layer, NULL));
    g_autofree char *layer_digest = ingot_digest_to_text(&layer.digest), *subject = ingot_digest_to_text(&web.digest);
    g_autofree char *below = g_strdup_printf(
        "{\"layers\":[{\"digest\":\"%s\",\"size\":7}, {\"digest\":\"%s\",\"size\":7}]}", layer_digest, layer_digest);
    assert_true(ingot_store_put(store, below, strlen(below), &child, NULL));
    g_autofree char *child_digest = ingot_digest_to_text(&child.digest);
    g_autofree char *index =
        g_strdup_printf("{ \"manifests\" : [{\"digest\":\"%s\",\"size\":1}], \"subject\":{\"digest\":"
                        "\"%s\"} }\n",
                        child_digest, subject);
    assert_true(ingot_store_put(store, index, strlen(index), &own, NULL));
    assert_true(attached_add(store, &web.digest, NULL, &own, NULL));
    assert_true(attached_add(store, &web.digest, "sha256-x.sig", &own, NULL));
    assert_true(attached_add(store, &web.digest, NULL, &own, NULL));
    g_autoptr(GPtrArray) list = attached_list(store, &web.digest, NULL);
    assert_int_equal(list->len, 2);
    assert_null(((Attached *)g_ptr_array_index(list, 0))->tag);
    assert_string_equal(((Attached *)g_ptr_array_index(list, 1))->tag, "sha256-x.sig");
    ingot_store_let_go(store, &child.digest);
    ingot_store_let_go(store, &layer.digest);
    ingot_store_let_go(store, &own.digest);
    IngotGarbage garbage;
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.blobs, 0);
    assert_true(ingot_store_has(store, &layer.digest));
    g_autofree char *path = ingot_store_blob_path(store, &own.digest);
    assert_true(ingot_file_replace(path, "x", 1, 0644, NULL));
    g_autoptr(GPtrArray) faults = ingot_store_check(store, NULL);
    const IngotStoreFault *fault = g_ptr_array_index(faults, 0);
    assert_true(fault->attached);
    assert_string_equal(fault->entry->name, "web");
    IngotRemoval removal;
    assert_true(ingot_store_remove(store, fault->entry, &removal, NULL));
    assert_int_equal(removal.unread, 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* A manifest that names one thing, as one of its layers or, of an index, of its manifests. */
static IngotDescriptor put_manifest(IngotStore *store, const char *key, const IngotDescriptor *named)
{
    IngotDescriptor manifest;
    g_autofree char *digest = ingot_digest_to_text(&named->digest);
    g_autofree char *text =
        g_strdup_printf("{\"%s\":[{\"digest\":\"%s\",\"size\":%" G_GUINT64_FORMAT "}]}", key, digest, named->size);
    assert_true(ingot_store_put(store, text, strlen(text), &manifest, NULL));
    return manifest;
}

/* What somebody names as a layer may be a manifest of somebody else, which has its own content. */
static void a_layer_that_is_a_manifest_keeps_its_content(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), layer;
    assert_true(ingot_store_put(store, "content", 7, &layer, NULL));
    IngotDescriptor child = put_manifest(store, "layers", &layer), index = put_manifest(store, "manifests", &child);
    IngotDescriptor alien = put_manifest(store, "layers", &child);
    assert_true(attached_add(store, &web.digest, NULL, &alien, NULL));
    assert_true(attached_add(store, &web.digest, NULL, &index, NULL));
    ingot_store_let_go(store, &layer.digest);
    IngotGarbage garbage;
    assert_true(ingot_store_collect(store, &garbage, NULL));
    assert_int_equal(garbage.blobs, 0);
    assert_true(ingot_store_has(store, &layer.digest));
}

/* A signature of a report of one image, when another image goes whose attachment names that report as a layer. */
static void what_is_attached_to_a_layer_stays(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), two = add_image(store, "web", "2.0.0", "two");
    IngotDescriptor report = put_manifest(store, "layers", &web), signature = put_manifest(store, "layers", &two);
    IngotDescriptor alien = put_manifest(store, "layers", &report);
    assert_true(attached_add(store, &web.digest, NULL, &report, NULL));
    assert_true(attached_add(store, &report.digest, NULL, &signature, NULL));
    assert_true(attached_add(store, &two.digest, NULL, &alien, NULL));
    ingot_store_let_go(store, &alien.digest);
    ingot_store_let_go(store, &report.digest);
    ingot_store_let_go(store, &signature.digest);
    g_autoptr(IngotReference) reference = ingot_reference_parse("web:2.0.0", NULL);
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, NULL);
    assert_true(ingot_store_remove(store, entry, NULL, NULL));
    assert_false(ingot_store_has(store, &alien.digest));
    g_autoptr(GPtrArray) list = attached_list(store, &report.digest, NULL);
    assert_int_equal(list->len, 1);
    g_autoptr(GPtrArray) first = ingot_store_list(store, NULL);
    g_autoptr(IngotStoreEntry) last = layout_copy_entry(g_ptr_array_index(first, 0));
    assert_true(ingot_store_remove(store, last, NULL, NULL));
    assert_false(ingot_store_has(store, &signature.digest));
}

/* One whose row is damaged is found though another's attachment names it as a layer. */
static void an_image_that_is_a_layer_is_an_image(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), two = add_image(store, "web", "2.0.0", "two");
    IngotDescriptor alien = put_manifest(store, "layers", &two);
    assert_true(attached_add(store, &web.digest, NULL, &alien, NULL));
    g_autofree char *path = index_path(store);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, 1 << 20, NULL);
    g_autoptr(json_t) list = ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
    json_t *rows = json_object_get(list, "manifests");
    assert_int_equal(json_array_size(rows), 3);
    json_object_del(json_array_get(rows, 1), "size"); /* of web:2.0.0 */
    assert_true(ingot_json_save(list, path, 1 << 20, 0644, NULL));
    recover(store, 1, 1);
}

static IngotDescriptor put_attachment(IngotStore *store, const IngotDescriptor *subject, const char *key,
                                      const char *value)
{
    IngotDescriptor own;
    g_autofree char *digest = ingot_digest_to_text(&subject->digest);
    g_autofree char *text =
        g_strdup_printf("{\"%s\":\"%s\",\"layers\":[],\"subject\":{\"digest\":\"%s\",\"size\":1}}", key, value, digest);
    assert_true(ingot_store_put(store, text, strlen(text), &own, NULL));
    return own;
}

/* What index.json would hold of it could fill that. */
static void long_types_are_refused(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one");
    g_autofree char *most = g_strnfill(255, 'x'), *more = g_strnfill(256, 'x'), *huge = g_strnfill(3900000, 'x');
    IngotDescriptor taken = put_attachment(store, &web, "artifactType", most);
    assert_true(attached_add(store, &web.digest, NULL, &taken, NULL));
    static const char *const keys[] = {"artifactType", "mediaType"};
    const char *const values[] = {more, huge, "a/b\\r\\nc: d"};
    for (guint i = 0; i < G_N_ELEMENTS(keys) * G_N_ELEMENTS(values); i++) {
        g_autoptr(GError) error = NULL;
        IngotDescriptor own = put_attachment(store, &web, keys[i % 2], values[i / 2]);
        assert_false(attached_add(store, &web.digest, NULL, &own, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        assert_true(strlen(error->message) < 300);
    }
    g_autofree char *path = index_path(store), *last = g_strconcat(path, ".last", NULL);
    assert_int_equal(unlink(path), 0);
    unlink(last);
    IngotStoreRecovery done;
    assert_true(ingot_store_recover(store, &done, NULL));
    ingot_store_recovery_clear(&done);
    g_autoptr(GPtrArray) list = attached_list(store, &web.digest, NULL);
    assert_int_equal(list->len, 1);
}

/* A signature that was made again takes the place of the former one. */
static void a_tag_beside_an_image_is_one_row(void **state)
{
    g_autoptr(IngotStore) store = open_store(state);
    IngotDescriptor web = add_image(store, "web", "1.0.0", "one"), other = add_image(store, "other", "1.0.0", "two");
    for (guint i = 0; i < 3; i++) {
        g_autofree char *text = g_strdup_printf("text/%u", i);
        IngotDescriptor own = put_attachment(store, &web, "artifactType", text);
        assert_true(attached_add(store, &web.digest, "sha256-x.sig", &own, NULL));
        assert_true(attached_add(store, &web.digest, "sha256-x.att", &own, NULL));
        assert_true(attached_add(store, &other.digest, "sha256-x.sig", &own, NULL));
        g_autoptr(GPtrArray) list = attached_list(store, &web.digest, NULL);
        g_autoptr(GPtrArray) others = attached_list(store, &other.digest, NULL);
        assert_int_equal(list->len, 2);
        assert_int_equal(others->len, 1);
        assert_string_equal(((Attached *)g_ptr_array_index(list, 0))->type, text);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_list_is_brought_back),
        TEST(what_is_gone_stays_gone),
        TEST(an_empty_store_is_whole),
        TEST(what_stands_in_a_blobs_place),
        TEST(names_of_the_hub_are_one),
        TEST(foreign_attachments_are_kept_as_they_are),
        TEST(long_types_are_refused),
        TEST(a_tag_beside_an_image_is_one_row),
        TEST(a_layer_that_is_a_manifest_keeps_its_content),
        TEST(an_image_that_is_a_layer_is_an_image),
        TEST(what_is_attached_to_a_layer_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
