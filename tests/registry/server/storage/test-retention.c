/* Retention: which tags, manifests and blobs go, by policies and by graces, and that nothing which is needed does. */
#include "../fixture.h"

#include <sqlite3.h>

#include "server/storage/collect.h"
#include "server/storage/keep.h"
#include "server/storage/pulls.h"

#define DAY (24 * 3600)
#define OLD 1000 /* days that have gone since pulls were noted first */

/* Changes the catalogue as only time can. */
static void catalogue(void **state, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void catalogue(void **state, const char *format, ...)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    va_list values;
    va_start(values, format);
    g_autofree char *sql = g_strdup_vprintf(format, values);
    va_end(values);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 10000);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    }
    sqlite3_close(handle);
}

static CollectReport collect(Storage *storage, const CollectOptions *options)
{
    CollectReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_collect(storage, options, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

static Storage *open_old(void **state)
{
    Storage *storage = open_storage(state);
    catalogue(state, "UPDATE used_since SET at=at-%d", OLD * DAY);
    return storage;
}

/* A tag of a manifest of its own. */
static IngotDigest put_tag(Storage *storage, const char *name, const char *tag)
{
    return put_manifest(storage, name, tag, tag, NULL, 0);
}

static void put_back(void **state, const char *tag, guint days)
{
    catalogue(state,
              "UPDATE tags SET made=made-%d WHERE name='%s'; UPDATE links SET made=made-%d WHERE blob IN (SELECT blob"
              " FROM tags WHERE name='%s')",
              days * DAY, tag, days * DAY, tag);
}

/* --- policies --- */

static void good_and_bad_policies(void **state)
{
    (void)state;
    static const char *const good[] = {"a=0",
                                       "a=5",
                                       "team/*=10,30d",
                                       "*=10,age=30d",
                                       "*=age=1h,pulled=90d",
                                       "*=2,tags=nightly-*",
                                       "*=tags=v*,pulled=5s",
                                       "*=3,channel=1d"};
    static const char *const bad[] = {"",
                                      "a",
                                      "=5",
                                      "a=",
                                      "a=x",
                                      "a=-1",
                                      "a=5,x",
                                      "a=age=",
                                      "a=age=x",
                                      "a=tags=x",
                                      "a=channel=5d",
                                      "a=5,tags=",
                                      "a=5,,",
                                      "a=age=1d,7",
                                      "a=5,1d,2d",
                                      "a=5,kept=3d",
                                      "a=5,tags=a,tags=b"};
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GArray) keeps = keeps_new();
        g_autoptr(GError) error = NULL;
        if (!keeps_add(keeps, good[i], &error)) {
            fail_msg("%s", error->message);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GArray) keeps = keeps_new();
        g_autoptr(GError) error = NULL;
        if (keeps_add(keeps, bad[i], &error)) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_int_equal(keeps->len, 0);
    }
}

/* tags: "TAG", "TAG@DAYS" (since the push), "TAG<DAYS" (since a pull), "TAG=OTHER" (the same manifest), in the order of
 * the pushes. */
typedef struct {
    const char *policies, *tags, *left;
} Row;

static void put_spec(void **state, Storage *storage, const char *spec)
{
    gsize length = strcspn(spec, "@<=");
    g_autofree char *tag = g_strndup(spec, length);
    char kind = spec[length];
    IngotDigest digest = put_manifest(storage, "r", tag, kind == '=' ? spec + length + 1 : tag, NULL, 0);
    if (kind == '@') {
        put_back(state, tag, (guint)atoi(spec + length + 1));
    } else if (kind == '<') {
        put_back(state, tag, OLD / 2);
        pulls_note(storage, "r", &digest);
        assert_true(pulls_flush(storage, NULL));
        catalogue(state,
                  "UPDATE used SET at=at-%d WHERE manifest IN (SELECT digest FROM blobs JOIN tags ON blob=id"
                  " WHERE name='%s')",
                  atoi(spec + length + 1) * DAY, tag);
    }
}

static void check_row(void **state, const Row *row)
{
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GArray) keeps = keeps_new();
    g_auto(GStrv) policies = g_strsplit(row->policies, ";", -1), specs = g_strsplit(row->tags, " ", -1);
    for (guint i = 0; policies[i] != NULL; i++) {
        assert_true(keeps_add(keeps, policies[i], NULL));
    }
    for (guint i = 0; specs[i] != NULL; i++) {
        put_spec(state, storage, specs[i]);
    }
    const CollectOptions options = {.keeps = keeps}, dry = {.keeps = keeps, .dry_run = TRUE};
    CollectReport would = collect(storage, &dry), does = collect(storage, &options);
    g_auto(GStrv) left = storage_tags(storage, "r", NULL);
    g_autofree char *text = left == NULL ? g_strdup("") : g_strjoinv(" ", left);
    if (strcmp(text, row->left) != 0) {
        fail_msg("%s of %s leaves %s, not %s", row->policies, row->tags, text, row->left);
    }
    assert_int_equal(would.tags, does.tags);
    assert_int_equal(would.manifests, does.manifests);
    assert_int_equal(would.blobs, does.blobs);
    assert_int_equal(would.pieces, does.pieces);
    assert_int_equal(would.bytes, does.bytes);
}

static void what_policies_leave(void **state)
{
    static const Row rows[] = {
        /* Versions by number, not by text, whatever the order of their pushes. */
        {"r=3", "1.0.0-1 1.0.0-9 1.0.0-10 1.0.0-12 1.0.0-11 1.0.0-2", "1.0.0-10 1.0.0-11 1.0.0-12"},
        {"r=2", "1.0.0-rc.2 1.0.0-rc.12 1.0.0-rc.9", "1.0.0-rc.12 1.0.0-rc.9"},
        {"r=1", "1.9.0 1.10.0 1.10.0-rc.1 latest", "1.10.0 latest"},
        {"r=0", "1.0.0 latest", "latest"},
        {"s=0", "1.0.0", "1.0.0"},
        /* By age, by the last pull; any rule that says so is enough. */
        {"r=age=30d", "1.0.0@40 1.1.0@20 1.2.0", "1.1.0 1.2.0"},
        {"r=1,age=30d", "3.0.0@40 1.1.0@20 1.2.0@60", "1.1.0 3.0.0"},
        {"r=pulled=30d", "1.0.0@40 1.1.0<20 1.2.0<50 1.3.0@20", "1.1.0 1.3.0"},
        {"r=0,pulled=30d", "1.0.0<20 1.1.0@20 2.0.0<40", "1.0.0 1.1.0"},
        /* What a channel names, whatever else. */
        {"r=1", "1.0.0 2.0.0 3.0.0 prod=1.0.0", "1.0.0 3.0.0 prod"},
        {"r=0,tags=*", "1.0.0 prod=1.0.0 dev@900 test@900 x", "1.0.0 dev prod test"},
        {"r=0,1d", "1.0.0 prod=1.0.0 prod=2.0.0 2.0.0 3.0.0", "1.0.0 2.0.0 prod"},
        {"r=0,channel=1d", "1.0.0 prod=1.0.0 prod=2.0.0 2.0.0 3.0.0", "1.0.0 2.0.0 prod"},
        {"r=0", "1.0.0 prod=1.0.0 prod=2.0.0 2.0.0 3.0.0", "2.0.0 prod"},
        /* Other tags: only those that a policy speaks of, the newest by their push. */
        {"r=2,tags=nightly-*", "nightly-9@3 nightly-10@2 nightly-11@1 other@99 1.0.0@99",
         "1.0.0 nightly-10 nightly-11 other"},
        {"r=1,tags=*", "a@3 b@9 1.0.0@99 2.0.0@100", "2.0.0 a"},
        /* The first that speaks of the tag counts. */
        {"r=1,tags=n-*;r=1", "n-1@2 n-2@1 1.0.0 2.0.0", "2.0.0 n-2"},
        {"r=2;*=0", "1.0.0 2.0.0 3.0.0", "2.0.0 3.0.0"},
        {"x*=0;r=1", "1.0.0 2.0.0", "2.0.0"},
        {"r=1;r=0,tags=*", "1.0.0 2.0.0 junk", "2.0.0"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        check_row(state, &rows[i]);
        ingot_workdir_free(*state);
        *state = ingot_workdir_new(NULL);
    }
}

/* --- what nothing names --- */

static void old_manifests(void **state, guint days)
{
    catalogue(state, "UPDATE links SET made=made-%d; UPDATE history SET until=until-%d", days * DAY, days * DAY);
}

/* A tag that is pushed each night: the room of the older ones comes back, after the grace. */
static void overwritten_tags_give_room_back(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {.untagged_grace = 7 * DAY};
    IngotDigest manifests[5];
    for (guint i = 0; i < G_N_ELEMENTS(manifests); i++) {
        g_autoptr(GByteArray) bytes = noise(i, 100000);
        g_autofree char *text = g_strdup_printf("%u", i);
        IngotDigest blob = push(storage, "r", bytes);
        manifests[i] = put_manifest(storage, "r", "nightly", text, &blob, 1);
    }
    assert_int_equal(collect(storage, &options).manifests, 0);
    old_manifests(state, 8);
    pulls_note(storage, "r", &manifests[2]); /* somebody pulls it by its digest */
    CollectReport report = collect(storage, &options);
    assert_int_equal(report.manifests, 3);
    assert_int_equal(report.bytes / 100000, 3);
    assert_true(storage_has_manifest(storage, "r", &manifests[4]) && storage_has_manifest(storage, "r", &manifests[2]));
    assert_true(packed_bytes(state) < 250000);
    assert_true(storage_remove_tag(storage, NULL, "r", "nightly", NULL));
    assert_int_equal(collect(storage, &options).manifests, 0);
    const CollectOptions none = {0};
    assert_int_equal(collect(storage, &none).manifests, 2);
    assert_int_equal(stats_of(storage).pieces, 0);
}

typedef struct {
    Storage *storage;
    const IngotDigest *blob;
} Asking;

static gboolean asks_in_between(gpointer user)
{
    const Asking *asking = user;
    pulls_ask(asking->storage, "r", asking->blob);
    return FALSE;
}

/* A push asks for blobs before it brings those that are not there; its manifest comes last. */
static void what_a_push_asked_for_stays(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GByteArray) one = noise(1, 100000), two = noise(2, 100000);
    IngotDigest asked = push(storage, "r", one), other = push(storage, "r", two);
    Asking asking = {.storage = storage, .blob = &asked};
    const CollectOptions grace = {.grace = DAY};
    const CollectOptions late = {.grace = DAY, .stop = asks_in_between, .user = &asking};
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    pulls_ask(storage, "r", &asked);
    pulls_ask(storage, "s", &asked); /* where it is not */
    assert_int_equal(collect(storage, &grace).links, 1);
    assert_true(storage_has(storage, "r", &asked) && !storage_has(storage, "r", &other));
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    assert_int_equal(collect(storage, &late).links, 0); /* while it is being collected */
    pull(storage, "r", one);
    assert_true(pulls_flush(storage, NULL));
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    assert_int_equal(collect(storage, &grace).links, 1);
}

/* What an index whose tag goes by a policy needs goes with it, but for what was pushed, or asked for, within the grace:
 * another index may be on its way that names it. */
static void what_was_pushed_anew_outlives_its_index(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GArray) keeps = keeps_new();
    const CollectOptions options = {.keeps = keeps, .grace = DAY};
    assert_true(keeps_add(keeps, "r=1", NULL));
    IngotDigest part = put_manifest(storage, "r", NULL, "part", NULL, 0);
    IngotDigest other = put_manifest(storage, "r", NULL, "other", NULL, 0), both[] = {part, other};
    put_manifest(storage, "r", "1.0.0", "index", both, 2);
    put_tag(storage, "r", "2.0.0");
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    put_manifest(storage, "r", NULL, "part", NULL, 0);
    CollectReport report = collect(storage, &options);
    assert_int_equal(report.tags, 1);
    assert_int_equal(report.manifests, 2);
    assert_true(storage_has_manifest(storage, "r", &part) && !storage_has_manifest(storage, "r", &other));
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    pulls_count_on(storage, "r", &part);
    assert_int_equal(collect(storage, &options).manifests, 0);
    catalogue(state, "UPDATE links SET made=made-%d", 2 * DAY);
    assert_int_equal(collect(storage, &options).manifests, 1);
}

/* On a full disk a dry run says what would go, though nothing can be written. */
static void a_dry_run_needs_no_room(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GByteArray) bytes = noise(1, 100000);
    const CollectOptions dry = {.dry_run = TRUE}, options = {0};
    push(storage, "r", bytes);
    IngotDigest manifest = put_manifest(storage, "r", "1.0.0", "x", NULL, 0);
    pulls_note(storage, "r", &manifest);
    catalogue(state, "CREATE TRIGGER full BEFORE INSERT ON used BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_int_equal(collect(storage, &dry).links, 1);
    assert_false(pulls_flush(storage, NULL)); /* it is so */
    catalogue(state, "DROP TRIGGER full");
    assert_int_equal(collect(storage, &options).links, 1);
}

/* An index, what it mentions, and what is attached to either. */
static void children_go_with_their_index(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {0};
    g_autoptr(GByteArray) bytes = noise(1, 100000), shared = noise(2, 100000);
    IngotDigest blob = push(storage, "r", bytes), both = push(storage, "r", shared), attached, signature;
    IngotDigest children[] = {put_manifest(storage, "r", NULL, "amd64", &blob, 1),
                              put_manifest(storage, "r", NULL, "arm64", &both, 1)};
    IngotDigest list = put_manifest(storage, "r", "1.0.0", "index", children, 2);
    IngotDigest other = put_manifest(storage, "r", "2.0.0", "other", &children[1], 1);
    assert_true(try_manifest(storage, "r", NULL, "report", NULL, 0, &children[0], &attached, NULL));
    assert_true(try_manifest(storage, "r", NULL, "signature", NULL, 0, &attached, &signature, NULL));
    CollectReport report = collect(storage, &options);
    assert_int_equal(report.manifests + report.links + report.blobs, 0);
    assert_true(storage_remove_manifest(storage, NULL, "r", &list, NULL));
    assert_int_equal(collect(storage, &options).manifests, 3); /* amd64 and the two that hang on it */
    assert_false(storage_has_manifest(storage, "r", &signature));
    assert_false(try_pull(storage, "r", bytes, NULL));
    assert_true(storage_has_manifest(storage, "r", &children[1]) && storage_has_manifest(storage, "r", &other));
    pull(storage, "r", shared);
}

/* An index that is attached to what it mentions: each is needed by the other, and by nobody else. */
static void a_circle_goes(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {0};
    IngotDigest subject = put_tag(storage, "r", "1.0.0"), list;
    assert_true(try_manifest(storage, "r", NULL, "index", &subject, 1, &subject, &list, NULL));
    assert_int_equal(collect(storage, &options).manifests, 0);
    assert_true(storage_remove_tag(storage, NULL, "r", "1.0.0", NULL));
    assert_int_equal(collect(storage, &options).manifests, 2);
}

/* --- companion tags --- */

/* A tag of a manifest and a blob of its own, that is about another manifest by its name. */
static char *put_companion(Storage *storage, const char *name, const IngotDigest *subject, const char *suffix)
{
    g_autofree char *digest = ingot_digest_to_text(subject);
    char *tag = g_strdup_printf("sha256-%s%s", digest + strlen("sha256:"), suffix);
    g_autoptr(GByteArray) bytes = noise(g_str_hash(tag), 1000);
    IngotDigest blob = push(storage, name, bytes);
    put_manifest(storage, name, tag, tag, &blob, 1);
    return tag;
}

static gboolean has_tag(Storage *storage, const char *name, const char *tag)
{
    IngotDigest found;
    return storage_find_tag(storage, name, tag, &found, NULL);
}

/* Signatures are no images: policies neither count them nor let them go, and they go with what they sign. */
static void signatures_live_with_their_image(void **state)
{
    static const char *const suffixes[] = {".sig", ".att", ".sbom", ""};
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GArray) keeps = keeps_new();
    g_autoptr(GPtrArray) stay = g_ptr_array_new_with_free_func(g_free), go = g_ptr_array_new_with_free_func(g_free);
    assert_true(keeps_add(keeps, "r=2", NULL) && keeps_add(keeps, "r=1,tags=*", NULL));
    for (guint i = 1; i <= 3; i++) {
        g_autofree char *version = g_strdup_printf("%u.0.0", i);
        IngotDigest image = put_tag(storage, "r", version);
        for (guint k = 0; k < G_N_ELEMENTS(suffixes); k++) {
            g_ptr_array_add(i == 1 ? go : stay, put_companion(storage, "r", &image, suffixes[k]));
        }
    }
    put_tag(storage, "r", "latest");
    const CollectOptions options = {.keeps = keeps, .untagged_grace = 7 * DAY},
                         dry = {.keeps = keeps, .untagged_grace = 7 * DAY, .dry_run = TRUE};
    CollectReport would = collect(storage, &dry), does = collect(storage, &options);
    assert_int_equal(does.tags, 5);
    assert_int_equal(does.manifests, 5);
    assert_int_equal(does.links, 4);
    assert_int_equal(would.tags, does.tags);
    assert_int_equal(would.manifests, does.manifests);
    assert_int_equal(would.bytes, does.bytes);
    for (guint i = 0; i < stay->len; i++) {
        assert_true(has_tag(storage, "r", stay->pdata[i]));
    }
    for (guint i = 0; i < go->len; i++) {
        assert_false(has_tag(storage, "r", go->pdata[i]));
    }
    assert_true(has_tag(storage, "r", "latest"));
}

/* Without a policy too; a signature of the signature goes behind it, and one that is used keeps nothing. */
static void signatures_go_with_an_untagged_image(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {.untagged_grace = 7 * DAY};
    IngotDigest image = put_tag(storage, "r", "1.0.0"), signature;
    assert_true(storage_remove_tag(storage, NULL, "r", "1.0.0", NULL));
    g_autofree char *one = put_companion(storage, "r", &image, ".sig");
    assert_true(storage_find_tag(storage, "r", one, &signature, NULL));
    g_autofree char *two = put_companion(storage, "r", &signature, ".sig");
    old_manifests(state, 6);
    assert_int_equal(collect(storage, &options).tags, 0);
    assert_true(storage_has_manifest(storage, "r", &image));
    old_manifests(state, 2);
    pulls_note(storage, "r", &signature);
    CollectReport report = collect(storage, &options);
    assert_int_equal(report.tags, 2);
    assert_int_equal(report.manifests, 3);
    assert_int_equal(stats_of(storage).pieces, 0);
}

/* Those of what was deleted, or has lost its name meanwhile. */
static void orphaned_signatures_go_after_the_grace(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {.untagged_grace = 7 * DAY};
    IngotDigest image = put_tag(storage, "r", "1.0.0"), other = put_tag(storage, "r", "2.0.0"), found;
    g_autofree char *orphan = put_companion(storage, "r", &image, ".sig");
    g_autofree char *kept = put_companion(storage, "r", &other, ".sig");
    g_autofree char *elsewhere = put_companion(storage, "signatures", &image, ".sig");
    assert_true(storage_remove_manifest(storage, NULL, "r", &image, NULL));
    collect(storage, &options);
    assert_true(has_tag(storage, "r", orphan));
    old_manifests(state, 8);
    assert_int_equal(collect(storage, &options).tags, 1);
    assert_false(has_tag(storage, "r", orphan));
    assert_true(has_tag(storage, "r", kept) && storage_find_tag(storage, "r", "2.0.0", &found, NULL));
    /* In a repository of signatures nothing that they sign ever was. */
    assert_true(has_tag(storage, "signatures", elsewhere));
    g_autoptr(GArray) keeps = keeps_new();
    assert_true(keeps_add(keeps, "signatures=0,tags=*", NULL));
    const CollectOptions none = {.keeps = keeps};
    assert_int_equal(collect(storage, &none).tags, 1);
    assert_false(has_tag(storage, "signatures", elsewhere));
}

/* A tag that is called by the digest of what it names is a pin: it holds it like any other. */
static void a_pin_is_an_ordinary_tag(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    g_autoptr(GArray) keeps = keeps_new();
    IngotDigest image = put_tag(storage, "r", "1.0.0"), same;
    g_autofree char *digest = ingot_digest_to_text(&image);
    g_autofree char *pin = g_strdup_printf("sha256-%s", digest + strlen("sha256:"));
    same = put_manifest(storage, "r", pin, "1.0.0", NULL, 0);
    assert_true(ingot_digest_equal(&image, &same));
    assert_true(storage_remove_tag(storage, NULL, "r", "1.0.0", NULL));
    old_manifests(state, 8);
    const CollectOptions options = {0}, all = {.keeps = keeps};
    assert_int_equal(collect(storage, &options).manifests, 0);
    assert_true(keeps_add(keeps, "r=0,tags=sha256-*", NULL));
    assert_int_equal(collect(storage, &all).manifests, 1);
}

/* The image comes again while its signatures are being collected. */
typedef struct {
    Storage *storage;
    guint left;
} Returning;

static gboolean image_comes_again(gpointer user)
{
    Returning *returning = user;
    if (returning->left-- == 0) {
        put_manifest(returning->storage, "r", "1.0.0", "1.0.0", NULL, 0);
    }
    return FALSE;
}

static void a_signature_stays_with_an_image_that_comes_again(void **state)
{
    for (guint when = 0; when < 4; when++) {
        g_autoptr(Storage) storage = open_old(state);
        IngotDigest image = put_tag(storage, "r", "1.0.0");
        g_autofree char *tag = put_companion(storage, "r", &image, ".sig");
        assert_true(when % 2 == 0 ? storage_remove_tag(storage, NULL, "r", "1.0.0", NULL)
                                  : storage_remove_manifest(storage, NULL, "r", &image, NULL));
        old_manifests(state, 8);
        Returning returning = {.storage = storage, .left = when / 2}; /* before the picture is taken, or behind it */
        const CollectOptions options = {.untagged_grace = 7 * DAY, .stop = image_comes_again, .user = &returning};
        collect(storage, &options);
        assert_true(storage_has_manifest(storage, "r", &image));
        if (!has_tag(storage, "r", tag)) {
            fail_msg("%u: the signature of an image that is there has gone", when);
        }
        storage_close(g_steal_pointer(&storage));
        ingot_workdir_free(*state);
        *state = ingot_workdir_new(NULL);
    }
}

/* --- what must not happen --- */

/* A flipped bit of one tag: what it named is not garbage. */
static void a_damaged_row_is_no_garbage(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    const CollectOptions options = {0};
    put_tag(storage, "r", "1.0.0");
    IngotDigest other = put_tag(storage, "s", "1.0.0");
    assert_true(storage_remove_tag(storage, NULL, "s", "1.0.0", NULL));
    catalogue(state, "UPDATE tags SET sum=sum+1");
    CollectReport report = collect(storage, &options);
    assert_int_equal(report.manifests, 1);
    assert_false(storage_has_manifest(storage, "s", &other));
    catalogue(state, "UPDATE tags SET sum=sum-1");
    IngotDigest found;
    assert_true(storage_find_tag(storage, "r", "1.0.0", &found, NULL));
    assert_true(storage_has_manifest(storage, "r", &found));
}

static gboolean stop_at_once(gpointer user)
{
    guint *left = user;
    return (*left)-- == 0;
}

/* Stopped between two batches it has done a part, and the next one does the rest. */
static void it_can_be_stopped(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    for (guint i = 0; i < 400; i++) {
        g_autofree char *tag = g_strdup_printf("%u.0.0", i);
        put_tag(storage, "r", tag);
    }
    g_autoptr(GArray) keeps = keeps_new();
    assert_true(keeps_add(keeps, "r=0", NULL));
    guint left = 3;
    CollectReport report;
    const CollectOptions options = {.keeps = keeps, .stop = stop_at_once, .user = &left}, rest = {.keeps = keeps};
    g_autoptr(GError) error = NULL;
    assert_false(storage_collect(storage, &options, &report, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    g_auto(GStrv) tags = storage_tags(storage, "r", NULL);
    guint before = tags == NULL ? 0 : g_strv_length(tags);
    assert_true(before > 0 && before < 400);
    assert_int_equal(collect(storage, &rest).tags, before);
    assert_int_equal(stats_of(storage).pieces, 0);
}

/* While another has the writer, a dry run comes to its end. */
static void a_dry_run_waits_for_nobody(void **state)
{
    g_autoptr(Storage) storage = open_old(state);
    put_tag(storage, "r", "1.0.0");
    assert_true(storage_remove_tag(storage, NULL, "r", "1.0.0", NULL));
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    const CollectOptions dry = {.dry_run = TRUE};
    assert_int_equal(collect(storage, &dry).manifests, 1);
    sqlite3_close(handle);
    assert_int_equal(collect(storage, &dry).manifests, 1);
}

/* A channel that moves for years does not fill the catalogue; what it named last stays. */
static void a_history_has_an_end(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const CollectOptions options = {.grace = DAY, .untagged_grace = 100000 * (guint64)DAY};
    g_autoptr(GHashTable) history = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    IngotDigest oldest = put_manifest(storage, "r", "dev", "oldest", NULL, 0);
    IngotDigest newest = put_manifest(storage, "r", "dev", "newest", NULL, 0);
    put_manifest(storage, "r", "dev", "now", NULL, 0);
    put_manifest(storage, "r", "test", "oldest", NULL, 0);
    put_manifest(storage, "r", "test", "now", NULL, 0);
    catalogue(state,
              "UPDATE history SET until=until-5000 WHERE name='dev' AND rowid=1;"
              "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO history"
              " (repository, name, digest, until) SELECT repository, name, randomblob(32), until-i FROM n JOIN history"
              " ON name='dev' AND history.rowid=2",
              1500);
    collect(storage, &options);
    storage_tag_history(storage, "r", "dev", history);
    assert_int_equal(g_hash_table_size(history), 1000);
    assert_true(g_hash_table_contains(history, &newest));
    assert_false(g_hash_table_contains(history, &oldest));
    g_hash_table_remove_all(history);
    storage_tag_history(storage, "r", "test", history);
    assert_int_equal(g_hash_table_size(history), 1);
    assert_true(storage_has_manifest(storage, "r", &oldest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_bad_policies),
        cmocka_unit_test_setup_teardown(what_policies_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overwritten_tags_give_room_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_push_asked_for_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_pushed_anew_outlives_its_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_needs_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(children_go_with_their_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_circle_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signatures_live_with_their_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signatures_go_with_an_untagged_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orphaned_signatures_go_after_the_grace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pin_is_an_ordinary_tag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signature_stays_with_an_image_that_comes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_no_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dry_run_waits_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_history_has_an_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
