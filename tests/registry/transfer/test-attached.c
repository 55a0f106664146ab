/* What is attached to an image of the store, and how much of it a registry is sent. */
#include "../remote/serve.h"

#include <dlfcn.h>
#include <fcntl.h>

#include <ingot/manifest.h>

#include "base/file.h"
#include "store/attached.h"
#include "transfer/attachments.h"
#include "transfer/cosign.h"

#define IMAGE "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"

static const char *unreadable; /* the end of a path; NULL: none */

/* In the place of the system's. */
int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    }
    if (unreadable != NULL && g_str_has_suffix(path, unreadable)) {
        errno = EMFILE;
        return -1;
    }
    return real(path, flags, mode);
}

/* It has all blobs, and takes each manifest. */
static char *answer(const char *request, gsize sent, gpointer user)
{
    GPtrArray *manifests = user;
    const char *at = strstr(request, "/manifests/");
    (void)sent;
    if (g_str_has_prefix(request, "PUT ") && at != NULL) {
        g_ptr_array_add(manifests, g_strndup(at + strlen("/manifests/"), INGOT_DIGEST_TEXT_SIZE - 1));
        return serve_text("201 Created", "OCI-Subject: sha256:0\r\n", "");
    }
    return serve_text("200 OK", "", "");
}

static IngotDescriptor attach(IngotStore *store, const IngotDescriptor *image, const char *text)
{
    g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));
    IngotDescriptor attached;
    assert_true(attached_put(store, image, "text/mark", "text/plain", NULL, content, &attached, NULL));
    return attached;
}

/* A report is sent as soon as it is made: that sends nothing else that the store has of the image. */
static void one_goes_without_the_others(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor image;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &image, NULL));
    attach(store, &image, "of old");
    const IngotDescriptor attached = attach(store, &image, "new");
    attach(store, &attached, "about the new one");
    g_autofree char *digest = ingot_digest_to_text(&attached.digest);
    g_autoptr(GPtrArray) manifests = g_ptr_array_new_with_free_func(g_free);
    Serve *serve = serve_new(answer, manifests);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(GError) error = NULL;
    assert_true(attachment_push(store, remote, "team/web", &image, &attached, &error));
    assert_int_equal(manifests->len, 1);
    assert_string_equal(g_ptr_array_index(manifests, 0), digest);
    g_autofree char *left = NULL;
    assert_true(attachments_push(store, remote, "team/web", &image, TRUE, NULL, &left, &error));
    serve_free(serve);
    assert_null(left);
    assert_int_equal(manifests->len, 1 + 3);
}

static json_t *signatures(const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);
    json_t *layers = json_array();
    for (guint i = 0; *words != '\0' && list[i] != NULL; i++) {
        json_array_append_new(layers, json_pack("{s:s, s:{s:s}}", "digest", "sha256:0", "annotations", "by", list[i]));
    }
    return json_pack("{s:o}", "layers", layers);
}

/* Which of two lists of signatures may stand for the other. */
static void a_list_holds_what_another_has(void **state)
{
    static const struct {
        const char *one, *other;
        gboolean holds;
    } cases[] = {
        {"a", "a", TRUE},  {"a b", "a", TRUE}, {"b a", "a b", TRUE}, {"a", "a b", FALSE},
        {"a", "b", FALSE}, {"", "a", FALSE},   {"a", "", FALSE}, /* nobody knows what that is */
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) one = signatures(cases[i].one), other = signatures(cases[i].other);
        assert_int_equal(attached_holds(one, other), cases[i].holds);
    }
    g_autoptr(json_t) some = signatures("a");
    assert_false(attached_holds(NULL, some));
    assert_false(attached_holds(some, NULL));
}

/* A list of signatures, each a layer, and its digest. */
static IngotDescriptor put_list(IngotStore *store, const char *words)
{
    IngotDescriptor put, blob;
    g_autoptr(json_t) list = signatures(words);
    assert_true(ingot_store_put(store, "payload", strlen("payload"), &blob, NULL));
    g_autofree char *digest = ingot_digest_to_text(&blob.digest);
    for (size_t i = 0; i < json_array_size(json_object_get(list, "layers")); i++) {
        json_object_set_new(json_array_get(json_object_get(list, "layers"), i), "digest", json_string(digest));
    }
    g_autofree char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    assert_true(ingot_store_put(store, text, strlen(text), &put, NULL));
    return put;
}

/* How many manifests the tag has named before; now it names that one. */
static guint beside(IngotStore *store, const IngotDescriptor *image, const IngotDescriptor *now)
{
    g_autoptr(GPtrArray) all = attached_list(store, &image->digest, NULL);
    guint current = 0;
    for (guint i = 0; i < all->len; i++) {
        const Attached *one = g_ptr_array_index(all, i);
        if (!one->before) {
            assert_true(ingot_digest_equal(&one->manifest.digest, &now->digest));
            current++;
        }
    }
    assert_int_equal(current, 1);
    return all->len - current;
}

/* Whoever may write a registry's tag takes no signature from a store that has it. */
static void a_tag_takes_no_signatures_away(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor image;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &image, NULL));
    g_autofree char *sig = cosign_tag(&image.digest, ".sig"), *sbom = cosign_tag(&image.digest, ".sbom");
    const struct {
        const char *words;
        guint before;
    } steps[] = {{"z", 0}, {"y z", 0}, {"w", 1}, {"", 2}, {"w", 1}, {"y z w", 0}};
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        IngotDescriptor list = {0};
        if (*steps[i].words == '\0') { /* nothing that holds a signature */
            const char *none = "{\"config\":{},\"layers\":[]}";
            assert_true(ingot_store_put(store, none, strlen(none), &list, NULL));
        } else {
            list = put_list(store, steps[i].words);
        }
        assert_true(attached_add(store, &image.digest, sig, &list, NULL));
        assert_int_equal(beside(store, &image, &list), steps[i].before);
    }
    for (guint i = 0; i < 20; i++) {
        g_autofree char *word = g_strdup_printf("n%u", i);
        const IngotDescriptor list = put_list(store, word);
        assert_true(attached_add(store, &image.digest, sig, &list, NULL));
        assert_true(beside(store, &image, &list) <= 16);
    }
    const IngotDescriptor one = put_list(store, "one"), two = put_list(store, "two");
    assert_true(attached_add(store, &one.digest, sbom, &image, NULL));
    assert_true(attached_add(store, &one.digest, sbom, &two, NULL));
    assert_int_equal(beside(store, &one, &two), 0); /* others than signatures are replaced */
}

/* That a list can't be read for a moment, the one that the tag names or one of before, does not say that it holds
 * nothing. */
static void what_can_not_be_read_stays(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    IngotDescriptor image;
    assert_true(ingot_store_put(store, IMAGE, strlen(IMAGE), &image, NULL));
    g_autofree char *sig = cosign_tag(&image.digest, ".sig");
    const IngotDescriptor first = put_list(store, "a"), second = put_list(store, "b"), third = put_list(store, "c");
    const IngotDescriptor all = put_list(store, "a b c");
    g_autofree char *digest = ingot_digest_to_text(&first.digest);
    assert_true(attached_add(store, &image.digest, sig, &first, NULL));
    unreadable = strchr(digest, ':') + 1;
    assert_true(attached_add(store, &image.digest, sig, &second, NULL));
    assert_int_equal(beside(store, &image, &second), 1);
    assert_true(attached_add(store, &image.digest, sig, &third, NULL));
    unreadable = NULL;
    assert_int_equal(beside(store, &image, &third), 2);
    assert_true(attached_add(store, &image.digest, sig, &all, NULL));
    assert_int_equal(beside(store, &image, &all), 0);
    assert_true(attached_add(store, &image.digest, sig, &first, NULL));
    assert_int_equal(beside(store, &image, &first), 1);
    g_autofree char *path = ingot_store_blob_path(store, &all.digest);
    assert_int_equal(unlink(path), 0); /* what is lost is not waited for */
    assert_true(attached_add(store, &image.digest, sig, &second, NULL));
    assert_int_equal(beside(store, &image, &second), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_goes_without_the_others),
        cmocka_unit_test(a_list_holds_what_another_has),
        cmocka_unit_test(a_tag_takes_no_signatures_away),
        cmocka_unit_test(what_can_not_be_read_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
