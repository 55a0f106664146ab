/* Pulls from registries whose manifest is not true, or that send other bytes than they should. */
#include "../remote/serve.h"

#include <ingot/index.h>
#include <ingot/manifest.h>
#include <ingot/store.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "../image/many.h"
#include "../image/onedisk.h"
#include "base/file.h"
#include "base/json.h"
#include "image/encoder.h"
#include "image/oldindex.h"

typedef struct {
    char *manifest, *config;
} Registry;

static char *answer(const char *request, gsize sent, gpointer user)
{
    const Registry *registry = user;
    (void)sent;
    return strstr(request, "/manifests/") != NULL
               ? serve_text("200 OK", "Content-Type: " INGOT_TYPE_MANIFEST "\r\n", registry->manifest)
               : serve_text("200 OK", "", registry->config);
}

/* Pulls an image whose manifest gives its config so many bytes more than it has. */
static void pull_config(gint64 more, const char *told)
{
    g_autoptr(json_t) config = ingot_config_new("amd64", 4096);
    g_autofree char *text = ingot_json_canonical(config);
    OneDisk parts = {.config.size = (guint64)((gint64)strlen(text) + more), .index.size = 1, .disk.size = 1};
    ingot_digest_of(text, strlen(text), &parts.config.digest);
    g_autofree char *manifest = one_disk_text(&parts, NULL);
    Registry registry = {.manifest = manifest, .config = text};
    Serve *serve = serve_new(answer, &registry);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    g_autofree char *whole = g_strdup_printf("%s/team/web:1.0.0", serve->where + strlen("http://"));
    g_autoptr(IngotReference) reference = ingot_reference_parse(whole, NULL);
    g_autoptr(GError) error = NULL;
    IngotDescriptor got;
    assert_false(ingot_transfer_pull(store, reference, NULL, &got, NULL, &error));
    serve_free(serve);
    if (strstr(error->message, told) == NULL) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(ingot_store_has(store, &parts.config.digest), more == 0);
    /* What has failed holds nothing, though its handle is not freed: others don't wait for it. */
    IngotGarbage garbage;
    g_autoptr(IngotStore) other = ingot_store_open(ingot_workdir_path(folder), NULL);
    assert_true(ingot_store_collect(other, &garbage, NULL));
    assert_int_equal(garbage.held, 0);
    assert_int_equal(garbage.blobs, more == 0 ? 1 : 0);
}

static void sizes_are_what_the_manifest_gives(void **state)
{
    (void)state;
    pull_config(1, "but it has another size");
    pull_config(-1, "but it has another size");
    pull_config(1 << 30, "more than such a blob has");
    pull_config(0, ""); /* its config is taken, and its index is none */
}

#define FRAMES 8u
#define CHUNK 65536u

/* An image of random chunks, and what a registry does to its disk. */
typedef struct {
    char *manifest, *config;
    GBytes *index;
    GByteArray *disk;
    IngotDescriptor blob;
    guint64 places[FRAMES + 1]; /* of the frames */
    guint half;                 /* the request for the disk that gets half of what it asks for; 0: none */
    guint whole_from;           /* that from which on Range is ignored; 0: none */
    guint wrong_from, wrong_to; /* those that get another byte in the frame... */
    guint wrong;                /* ...of this number */
    guint asked;                /* for the disk: requests */
    guint64 sent;               /* bytes of it */
    const char *second;         /* the index of a second disk; NULL: there is none */
} Image;

/* whole FALSE: the manifest gives another digest than the frames make. */
static void image_init(Image *image, gboolean whole)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    g_autoptr(IngotEncoder) encoder = ingot_encoder_new();
    g_autoptr(IngotIndex) index = ingot_index_new(ingot_encoder_name(), CHUNK);
    g_autofree guint8 *frame = g_malloc(ingot_encoder_bound(CHUNK));
    g_autofree guint32 *data = g_malloc(CHUNK);
    g_autoptr(json_t) config = ingot_config_new("amd64", FRAMES * CHUNK);
    *image = (Image){.config = ingot_json_canonical(config), .disk = g_byte_array_new()};
    for (guint i = 0; i < FRAMES; i++) {
        IngotDigest digest;
        for (guint k = 0; k < CHUNK / 4; k++) {
            data[k] = g_rand_int(rand);
        }
        gsize size = ingot_encoder_frame(encoder, data, CHUNK, frame);
        ingot_digest_of(data, CHUNK, &digest);
        ingot_index_add(index, &digest, CHUNK, (guint32)size);
        g_byte_array_append(image->disk, frame, (guint)size);
        image->places[i + 1] = image->disk->len;
    }
    g_autoptr(GBytes) table = ingot_seek_table(index);
    g_byte_array_append(image->disk, g_bytes_get_data(table, NULL), (guint)g_bytes_get_size(table));
    image->index = ingot_index_serialize(index);
    OneDisk parts = {.config.size = strlen(image->config),
                     .index.size = g_bytes_get_size(image->index),
                     .disk.size = image->disk->len};
    ingot_digest_of(image->config, strlen(image->config), &parts.config.digest);
    ingot_digest_of(g_bytes_get_data(image->index, NULL), g_bytes_get_size(image->index), &parts.index.digest);
    ingot_digest_of(image->disk->data, image->disk->len - (whole ? 0 : 1), &parts.disk.digest);
    image->manifest = one_disk_text(&parts, NULL);
    image->blob = parts.disk;
}

/* One more disk, of one byte, whose index is that. */
static void image_add_disk(Image *image, const char *index)
{
    g_autoptr(IngotManifest) one = ingot_manifest_parse(image->manifest, strlen(image->manifest), "a test", NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", FRAMES * CHUNK);
    ingot_config_add_disk(config, 4096);
    g_free(image->config);
    image->config = ingot_json_canonical(config);
    IngotDescriptor parts[] = {{.size = strlen(image->config)}, {.size = strlen(index)}, {.size = 1}};
    ingot_digest_of(image->config, strlen(image->config), &parts[0].digest);
    ingot_digest_of(index, strlen(index), &parts[1].digest);
    ingot_digest_of("x", 1, &parts[2].digest);
    g_autoptr(IngotManifest) two = ingot_manifest_new(&parts[0], NULL);
    ingot_manifest_add_disk(two, &ingot_manifest_disk(one, 0)->index, &ingot_manifest_disk(one, 0)->disk);
    ingot_manifest_add_disk(two, &parts[1], &parts[2]);
    g_free(image->manifest);
    image->manifest = ingot_manifest_to_text(two);
    image->second = index;
}

static void image_clear(Image *image)
{
    g_free(image->manifest);
    g_free(image->config);
    g_bytes_unref(image->index);
    g_byte_array_unref(image->disk);
}

static GBytes *answer_head(GString *head, gsize size, const void *body, gsize sent)
{
    g_string_append_printf(head, "Connection: close\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n", size);
    g_string_append_len(head, body, (gssize)sent);
    return g_string_free_to_bytes(head);
}

static GBytes *answer_blob(Image *image, const char *request)
{
    guint64 first = 0, last = image->disk->len - 1;
    guint number = ++image->asked;
    gboolean whole = image->whole_from > 0 && number >= image->whole_from;
    const char *range = whole ? NULL : strstr(request, "Range: bytes=");
    GString *head = g_string_new(range == NULL ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 206 Partial Content\r\n");
    if (range != NULL) {
        assert_int_equal(sscanf(range, "Range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, &first, &last), 2);
        g_string_append_printf(head, "Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%u\r\n", first,
                               last, image->disk->len);
    }
    gboolean wrong = number >= image->wrong_from && number < image->wrong_to;
    guint8 *byte = &image->disk->data[image->places[image->wrong] + CHUNK / 2];
    gsize size = last + 1 - first, sent = number == image->half ? size / 2 : size;
    image->sent += sent;
    *byte ^= wrong ? 1 : 0;
    GBytes *answer = answer_head(head, size, image->disk->data + first, sent);
    *byte ^= wrong ? 1 : 0;
    return answer;
}

static GBytes *answer_image(const char *request, gpointer user)
{
    Image *image = user;
    char disk[INGOT_DIGEST_TEXT_SIZE], config[INGOT_DIGEST_TEXT_SIZE];
    IngotDigest digest;
    ingot_digest_write_text(&image->blob.digest, disk);
    ingot_digest_of(image->config, strlen(image->config), &digest);
    ingot_digest_write_text(&digest, config);
    if (strstr(request, disk) != NULL) {
        return answer_blob(image, request);
    }
    if (strstr(request, "/manifests/") != NULL) {
        return answer_head(g_string_new("HTTP/1.1 200 OK\r\nContent-Type: " INGOT_TYPE_MANIFEST "\r\n"),
                           strlen(image->manifest), image->manifest, strlen(image->manifest));
    }
    char second[INGOT_DIGEST_TEXT_SIZE];
    const char *index = image->second == NULL ? "" : image->second;
    ingot_digest_of(index, strlen(index), &digest);
    ingot_digest_write_text(&digest, second);
    gsize size = strstr(request, second) != NULL ? strlen(index) : strlen(image->config);
    const void *body = strstr(request, second) != NULL   ? index
                       : strstr(request, config) != NULL ? image->config
                                                         : g_bytes_get_data(image->index, &size);
    return answer_head(g_string_new("HTTP/1.1 200 OK\r\n"), size, body, size);
}

/* Into the store at that folder, from a registry that has just begun. */
static gboolean pull_image(Image *image, const char *folder)
{
    g_autoptr(GError) error = NULL;
    IngotDescriptor got;
    image->asked = 0;
    image->sent = 0;
    Serve *serve = serve_new_bytes(answer_image, image);
    g_autoptr(IngotStore) store = ingot_store_open(folder, NULL);
    g_autofree char *name = g_strdup_printf("%s/team/web:1.0.0", serve->where + strlen("http://"));
    g_autoptr(IngotReference) reference = ingot_reference_parse(name, NULL);
    gboolean ok = ingot_transfer_pull(store, reference, NULL, &got, NULL, &error);
    serve_free(serve);
    if (!ok) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_false(ingot_store_has(store, &image->blob.digest));
        return FALSE;
    }
    g_autofree char *path = ingot_store_blob_path(store, &image->blob.digest);
    IngotDigest digest;
    assert_true(ingot_digest_of_file(path, &digest, NULL, NULL));
    assert_true(ingot_digest_equal(&digest, &image->blob.digest));
    return TRUE;
}

/* Half of the disk has come, and is hashed, when the registry begins to send all of it, and another copy. A frame lies
 * on both sides of the half. */
static void what_has_come_stays_as_it_is(void **state)
{
    (void)state;
    Image image;
    image_init(&image, TRUE);
    image.half = 1;
    image.whole_from = image.wrong_from = 2;
    image.wrong_to = G_MAXUINT;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    assert_true(pull_image(&image, ingot_workdir_path(folder)));
    image_clear(&image);
}

static guint64 frame_size(const Image *image, guint i)
{
    return image->places[i + 1] - image->places[i];
}

/* Nothing of the disk is there before, and one frame of it comes with a wrong byte. */
static void one_wrong_frame_is_fetched_again(void **state)
{
    (void)state;
    Image image;
    image_init(&image, TRUE);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    image.wrong_from = 1;
    image.wrong_to = 2;
    image.wrong = 3;
    assert_true(pull_image(&image, ingot_workdir_path(folder)));
    assert_int_equal(image.sent, image.places[FRAMES] + frame_size(&image, 3));
    image_clear(&image);
}

/* It is wrong when it comes again, too. */
static void the_frames_that_are_right_stay(void **state)
{
    (void)state;
    Image image;
    image_init(&image, TRUE);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    image.wrong_from = 1;
    image.wrong_to = G_MAXUINT;
    image.wrong = 3;
    assert_false(pull_image(&image, ingot_workdir_path(folder)));
    assert_int_equal(image.sent, image.places[FRAMES] + frame_size(&image, 3));
    image.wrong_to = 0;
    assert_true(pull_image(&image, ingot_workdir_path(folder)));
    assert_int_equal(image.sent, frame_size(&image, 3));
    image_clear(&image);
}

/* Each frame is what the index says of it, and the disk is not what the manifest says. */
static void what_cannot_be_mended_is_thrown_away(void **state)
{
    (void)state;
    Image image;
    image_init(&image, FALSE);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    for (guint pull = 0; pull < 2; pull++) {
        assert_false(pull_image(&image, ingot_workdir_path(folder)));
        assert_int_equal(image.sent, image.places[FRAMES]);
    }
    image_clear(&image);
}

/* What is wrong with the index of a later disk is known before any disk comes. */
static void all_indexes_come_first(void **state)
{
    (void)state;
    Image image;
    image_init(&image, TRUE);
    image_add_disk(&image, "this is no index");
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    assert_false(pull_image(&image, ingot_workdir_path(folder)));
    assert_int_equal(image.asked, 0);
    image_clear(&image);
}

/* An image whose index is of more chunks than are taken. */
typedef struct {
    char *manifest, *config;
    GBytes *index;
    char digest[INGOT_DIGEST_TEXT_SIZE]; /* of the index */
    gboolean ranges;                     /* the registry knows them */
} Old;

static GBytes *answer_old(const char *request, gpointer user)
{
    const Old *old = user;
    if (strstr(request, "/manifests/") != NULL) {
        return answer_head(g_string_new("HTTP/1.1 200 OK\r\nContent-Type: " INGOT_TYPE_MANIFEST "\r\n"),
                           strlen(old->manifest), old->manifest, strlen(old->manifest));
    }
    if (strstr(request, old->digest) == NULL) {
        return answer_head(g_string_new("HTTP/1.1 200 OK\r\n"), strlen(old->config), old->config, strlen(old->config));
    }
    GString *head = g_string_new(old->ranges ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n");
    if (old->ranges) {
        g_string_append_printf(head, "Content-Range: bytes 0-%u/%u\r\n", OLDINDEX_HEAD - 1, INGOT_INDEX_MAX + 1);
    }
    return answer_head(head, old->ranges ? OLDINDEX_HEAD : INGOT_INDEX_MAX + 1, g_bytes_get_data(old->index, NULL),
                       OLDINDEX_HEAD);
}

static void pull_old(Old *old)
{
    Serve *serve = serve_new_bytes(answer_old, old);
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(IngotStore) store = ingot_store_open(ingot_workdir_path(folder), NULL);
    g_autofree char *whole = g_strdup_printf("%s/team/web:1.0.0", serve->where + strlen("http://"));
    g_autofree char *told = g_strconcat(whole, ": its index has 2400001 chunks; at most 2400000 are taken", NULL);
    g_autoptr(IngotReference) reference = ingot_reference_parse(whole, NULL);
    g_autoptr(GError) error = NULL;
    IngotDescriptor got;
    assert_false(ingot_transfer_pull(store, reference, NULL, &got, NULL, &error));
    serve_free(serve);
    assert_string_equal(error->message, told);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

/* An older release wrote it: its beginning alone says how many chunks it has. */
static void an_index_of_an_older_release_is_not_damaged(void **state)
{
    (void)state;
    g_autoptr(json_t) config = ingot_config_new("amd64", 4096);
    g_autofree char *text = ingot_json_canonical(config);
    g_autoptr(GBytes) index = index_of_many(400000, INGOT_INDEX_CHUNKS_MAX - 399999);
    OneDisk parts = {.config.size = strlen(text), .index.size = INGOT_INDEX_MAX + 1, .disk.size = 1};
    ingot_digest_of(text, strlen(text), &parts.config.digest);
    ingot_digest_of("index", 5, &parts.index.digest);
    g_autofree char *manifest = one_disk_text(&parts, NULL);
    Old old = {.manifest = manifest, .config = text, .index = index};
    ingot_digest_write_text(&parts.index.digest, old.digest);
    pull_old(&old);
    old.ranges = TRUE;
    pull_old(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_what_the_manifest_gives),          cmocka_unit_test(what_has_come_stays_as_it_is),
        cmocka_unit_test(one_wrong_frame_is_fetched_again),           cmocka_unit_test(the_frames_that_are_right_stay),
        cmocka_unit_test(what_cannot_be_mended_is_thrown_away),       cmocka_unit_test(all_indexes_come_first),
        cmocka_unit_test(an_index_of_an_older_release_is_not_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
