/* Gates: each first refuses, then passes; evidence that is hostile, or of another image, never counts and is told. */
#include "../fixture.h"

#include "evidence/provenance.h"
#include "evidence/testresult.h"
#include "server/auth/users.h"
#include "server/channel/gate.h"
#include "server/storage/records.h"
#include "trust/bundle.h"
#include "trust/intoto.h"

#define NOW 1796000000 /* 2026-11-30, a Monday, 01:33:20 UTC */

static Accounts *accounts; /* NULL: there are no users */

/* Each has a manifest of its own, whatever it holds. */
static void attach(Storage *storage, const IngotDigest *subject, const char *type, const char *text)
{
    static guint count;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text));
    IngotDigest blob = push(storage, "a", bytes), digest;
    g_autofree char *named = ingot_digest_to_text(&blob);
    g_autofree char *json =
        g_strdup_printf("{\"layers\":[{\"digest\":\"%s\",\"size\":%u}],\"annotations\":{\"count\":\"%u\"}}", named,
                        bytes->len, count++);
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    Mention mention = {.digest = blob};
    g_array_append_val(mentions, mention);
    const StorageManifest manifest = {.data = json,
                                      .size = strlen(json),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .artifact = type,
                                      .subject = subject,
                                      .mentions = mentions};
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, "a", &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
}

static void report(Storage *storage, const IngotDigest *image, const IngotDigest *about, const char *result,
                   const char *recipe, const char *finished, const TrustKey *key)
{
    g_autoptr(json_t) predicate = json_pack("{s:s, s:[{s:s}], s:{s:s}}", "result", result, "configuration", "name",
                                            recipe, "ingot", "finished", finished);
    g_autofree char *text = intoto_write(about, "a", TEST_RESULT_PREDICATE, predicate);
    g_autofree char *bundle = key == NULL ? NULL : trust_bundle_sign(key, text, NULL);
    attach(storage, image, key == NULL ? STATEMENT_TYPE : TRUST_BUNDLE_TYPE, key == NULL ? text : bundle);
}

/* Fails unless the verdict is so, with that text in it. */
static void judged(Storage *storage, const IngotDigest *image, const char *gate, const json_t *settings, gint64 now,
                   gboolean passed, const char *text)
{
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    const GateCase its = {storage, "a", "prod", *image, "alice", now, none, .accounts = accounts};
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    GateVerdict verdict = {0};
    if (!gate_find(gate)->check(settings, path, &error) || !gate_find(gate)->judge(&its, settings, &verdict, &error)) {
        fail_msg("%s: %s", path->str, error->message);
    }
    if (verdict.passed != passed || verdict.why == NULL || strstr(verdict.why, text) == NULL ||
        (verdict.mend == NULL) != passed) {
        fail_msg("%s: %d: %s / %s", gate, verdict.passed, verdict.why, verdict.mend);
    }
    g_free(verdict.why);
    g_free(verdict.mend);
}

static void test_tested(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    IngotDigest other = put_manifest(storage, "a", "1.0.1", "two", NULL, 0);
    g_autoptr(json_t) cis = json_pack("{s:[s]}", "recipes", "cis.yaml");
    g_autoptr(json_t) hashed =
        json_pack("{s:[s]}", "recipes", "sha256:0000000000000000000000000000000000000000000000000000000000000000");
    judged(storage, &image, "tested", NULL, NOW, FALSE, "no test report");
    attach(storage, &image, STATEMENT_TYPE, "{\"_type\":");
    judged(storage, &image, "tested", NULL, NOW, FALSE, "does not count: sha256:");
    report(storage, &image, &other, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", NULL);
    judged(storage, &image, "tested", NULL, NOW, FALSE, "another image");
    report(storage, &image, &image, "PASSED", "web.yaml", "2027-01-01T00:00:00Z", NULL);
    judged(storage, &image, "tested", NULL, NOW, FALSE, "in the future");
    report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", NULL);
    judged(storage, &image, "tested", NULL, NOW, TRUE, "passed");
    judged(storage, &image, "tested", cis, NOW, FALSE, "cis.yaml");
    judged(storage, &image, "tested", hashed, NOW, FALSE, "sha256:0000");
    report(storage, &image, &image, "FAILED", "web.yaml", "2026-11-02T00:00:00Z", NULL);
    judged(storage, &image, "tested", NULL, NOW, FALSE, "says that it failed");
    report(storage, &image, &image, "PASSED", "cis.yaml", "2026-11-03T00:00:00Z", NULL);
    report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-04T00:00:00Z", NULL);
    report(storage, &image, &image, "FAILED", "cis.yaml", "", NULL);
    judged(storage, &image, "tested", cis, NOW, FALSE, "says that it failed, and not when");
}

static json_t *keys_of(const TrustKey *one, const TrustKey *two)
{
    g_autofree char *first = trust_key_public_pem(one), *second = trust_key_public_pem(two);
    return json_pack("{s:[s, s]}", "keys", first, second);
}

static void test_signed(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    IngotDigest other = put_manifest(storage, "a", "1.0.1", "two", NULL, 0);
    g_autoptr(TrustKey) mine = trust_key_generate(NULL), yours = trust_key_generate(NULL);
    g_autoptr(TrustKey) foreign = trust_key_generate(NULL);
    g_autoptr(json_t) settings = keys_of(mine, yours), tests = keys_of(mine, yours);
    g_autoptr(json_t) empty = json_object();
    g_autofree char *statement = intoto_write(&image, NULL, TRUST_SIGNED_PREDICATE, empty);
    g_autofree char *about_other = intoto_write(&other, NULL, TRUST_SIGNED_PREDICATE, empty);
    g_autofree char *by_foreign = trust_bundle_sign(foreign, statement, NULL);
    g_autofree char *replayed = trust_bundle_sign(mine, about_other, NULL);
    g_autofree char *by_me = trust_bundle_sign(mine, statement, NULL);
    g_autofree char *again = trust_bundle_sign(mine, statement, NULL);
    g_autofree char *by_you = trust_bundle_sign(yours, statement, NULL);
    judged(storage, &image, "signed", settings, NOW, FALSE, "0 of the 2 keys");
    attach(storage, &image, TRUST_BUNDLE_TYPE, by_foreign);
    attach(storage, &image, TRUST_BUNDLE_TYPE, replayed);
    attach(storage, &image, TRUST_BUNDLE_TYPE, "{}");
    report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", mine);
    judged(storage, &image, "signed", settings, NOW, FALSE, "0 of the 2 keys");
    judged(storage, &image, "signed", settings, NOW, FALSE, "do not count");
    judged(storage, &image, "tested", tests, NOW, TRUE, "passed");
    attach(storage, &image, TRUST_BUNDLE_TYPE, by_me);
    judged(storage, &image, "signed", settings, NOW, TRUE, "1 of the 2 keys");
    json_object_set_new(settings, "count", json_integer(2));
    attach(storage, &image, TRUST_BUNDLE_TYPE, again);
    judged(storage, &image, "signed", settings, NOW, FALSE, "1 of the 2 keys");
    attach(storage, &image, TRUST_BUNDLE_TYPE, by_you);
    judged(storage, &image, "signed", settings, NOW, TRUE, "2 of the 2 keys");
}

#define SPDX_TYPE "application/spdx+json"
#define SPDX(packages) "{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[" packages "]}"
#define DEB(name, version)                                                                                             \
    "{\"name\":\"" name "\",\"versionInfo\":\"" version "\",\"externalRefs\":[{\"referenceType\":\"purl\","            \
    "\"referenceLocator\":\"pkg:deb/debian/x@1\"}]}"

/* A type that only begins like the one that a gate looks for is another one. */
static void test_types(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autoptr(TrustKey) mine = trust_key_generate(NULL), yours = trust_key_generate(NULL);
    g_autoptr(json_t) settings = keys_of(mine, yours), provenance = keys_of(mine, yours), empty = json_object();
    g_autoptr(json_t) list = json_loads(SPDX(DEB("telnetd", "1")), 0, NULL);
    g_autoptr(json_t) deny = json_pack("{s:[s]}", "deny", "telnetd");
    const char *const others[] = {TRUST_SIGNED_PREDICATE "-notes", TRUST_SIGNED_PREDICATE "/notes",
                                  PROVENANCE_PREDICATE "x"};
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *text = intoto_write(&image, NULL, others[i], empty);
        g_autofree char *bundle = trust_bundle_sign(mine, text, NULL);
        attach(storage, &image, TRUST_BUNDLE_TYPE, bundle);
    }
    judged(storage, &image, "signed", settings, NOW, FALSE, "0 of the 2 keys");
    judged(storage, &image, "provenance", provenance, NOW, FALSE, "no provenance about it counts");
    g_autofree char *alike = intoto_write(&image, NULL, "https://spdx.dev/Documents/v2.3", list);
    attach(storage, &image, STATEMENT_TYPE, alike);
    judged(storage, &image, "packages", deny, NOW, FALSE, "no list of its packages");
    const char *const versions[] = {"https://spdx.dev/Document", "https://spdx.dev/Document/v2.3"};
    for (guint i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autofree char *tag = g_strdup_printf("1.1.%u", i);
        IngotDigest told = put_manifest(storage, "a", tag, versions[i], NULL, 0);
        g_autofree char *text = intoto_write(&told, NULL, versions[i], list);
        attach(storage, &told, STATEMENT_TYPE, text);
        judged(storage, &told, "packages", deny, NOW, FALSE, "it has telnetd 1");
    }
}

static gint64 at(const char *text)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
    return g_date_time_to_unix(time);
}

static void test_window(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autoptr(json_t) work = json_pack("{s:[s, s, s, s, s], s:s, s:s, s:s}", "days", "mon", "tue", "wed", "thu", "fri",
                                       "from", "09:00", "to", "17:00", "zone", "Europe/Berlin");
    /* In winter Berlin is an hour ahead, in summer two. */
    judged(storage, &image, "window", work, at("2026-11-30T07:59:59Z"), FALSE, "it is");
    judged(storage, &image, "window", work, at("2026-11-30T08:00:00Z"), TRUE, "it is");
    judged(storage, &image, "window", work, at("2026-07-06T07:00:00Z"), TRUE, "it is");
    judged(storage, &image, "window", work, at("2026-11-30T16:00:00Z"), FALSE, "it is");
    judged(storage, &image, "window", work, at("2026-11-29T10:00:00Z"), FALSE, "Sunday");
    g_autoptr(json_t) night = json_pack("{s:[s], s:s, s:s}", "days", "fri", "from", "22:00", "to", "04:00");
    judged(storage, &image, "window", night, at("2026-11-28T03:59:00Z"), TRUE, "Saturday");
    judged(storage, &image, "window", night, at("2026-11-27T03:59:00Z"), FALSE, "Friday");
}

static void test_packages(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) deny = json_pack("{s:[s, s]}", "deny", "telnetd", "openssl<3.0.17");
    g_autoptr(json_t) exact = json_pack("{s:[s]}", "deny", "openssl=3.0.16");
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    judged(storage, &image, "packages", deny, NOW, FALSE, "no list of its packages");
    attach(storage, &image, SPDX_TYPE, SPDX(""));
    judged(storage, &image, "packages", deny, NOW, FALSE, "no list of its packages");
    attach(storage, &image, SPDX_TYPE, SPDX(DEB("openssl", "3.0.17") "," DEB("bash", "5")));
    judged(storage, &image, "packages", deny, NOW, TRUE, "no package that is denied");
    IngotDigest old = put_manifest(storage, "a", "1.0.1", "two", NULL, 0);
    attach(storage, &old, SPDX_TYPE, SPDX(DEB("openssl", "3.0.16") "," DEB("telnetd", "1")));
    judged(storage, &old, "packages", deny, NOW, FALSE, "it has openssl 3.0.16 (openssl<3.0.17), telnetd 1");
    /* A list that does not say which version it is. */
    IngotDigest unsaid = put_manifest(storage, "a", "1.0.2", "three", NULL, 0);
    attach(storage, &unsaid, SPDX_TYPE, SPDX("{\"name\":\"telnetd\"}"));
    judged(storage, &unsaid, "packages", deny, NOW, FALSE, "it has telnetd");
    judged(storage, &unsaid, "packages", exact, NOW, TRUE, "");
    attach(storage, &unsaid, SPDX_TYPE, SPDX("{\"name\":\"openssl\",\"versionInfo\":\"NOASSERTION\"}"));
    judged(storage, &unsaid, "packages", exact, NOW, FALSE, "openssl of an unknown version (openssl=3.0.16)");
    IngotDigest rpm = put_manifest(storage, "a", "1.0.3", "four", NULL, 0);
    attach(storage, &rpm, SPDX_TYPE, SPDX("{\"name\":\"openssl\",\"versionInfo\":\"4\"}"));
    judged(storage, &rpm, "packages", deny, NOW, FALSE, "openssl 4, which can't be compared (openssl<3.0.17)");
    judged(storage, &rpm, "packages", exact, NOW, TRUE, "");
}

/* The same large list, attached again and again: the sum is bounded. */
static void test_budget(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) deny = json_pack("{s:[s]}", "deny", "telnetd");
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autofree char *list = g_strdup_printf("%s%*s", SPDX(DEB("bash", "5")), 15 << 20, "");
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    for (guint i = 0; i < 4; i++) {
        attach(storage, &image, SPDX_TYPE, list);
    }
    judged(storage, &image, "packages", deny, NOW, TRUE, "no package that is denied");
    attach(storage, &image, SPDX_TYPE, list);
    const GateCase its = {storage, "a", "prod", image, "alice", NOW, none};
    GateVerdict verdict = {0};
    g_autoptr(GError) error = NULL;
    assert_false(gate_find("packages")->judge(&its, deny, &verdict, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "64 MiB"));
}

/* The newest report may be the one that is damaged. */
static void test_damage(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", NULL);
    report(storage, &image, &image, "FAILED", "damaged.yaml", "2026-11-02T00:00:00Z", NULL);
    g_clear_pointer(&storage, storage_close);
    g_byte_array_append(bytes, (const guint8 *)"damaged.yaml", strlen("damaged.yaml"));
    damage(state, bytes, 3);
    storage = open_storage(state);
    const GateCase its = {storage, "a", "prod", image, "alice", NOW, none};
    GateVerdict verdict = {0};
    g_autoptr(GError) error = NULL;
    assert_false(gate_find("tested")->judge(&its, NULL, &verdict, &error));
    assert_non_null(error);
}

/* So may be what the catalogue's row of it is. */
static void test_damaged_row(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    report(storage, &image, &image, "FAILED", "web.yaml", "2026-11-02T00:00:00Z", NULL);
    in_catalogue(state, "UPDATE manifests SET sum=sum+1 WHERE artifact='" STATEMENT_TYPE "'");
    report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", NULL);
    const GateCase its = {storage, "a", "prod", image, "alice", NOW, none};
    GateVerdict verdict = {0};
    assert_false(gate_find("tested")->judge(&its, NULL, &verdict, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

/* As a cache has it: the manifest of an attachment alone, by a SHA-256 or a SHA-512. */
static void attach_part(Storage *storage, const IngotDigest *subject, const char *type, const char *layer)
{
    g_autofree char *json = g_strdup_printf("{\"layers\":[{\"digest\":\"%s\"}]}", layer);
    g_autoptr(json_t) root = manifest_parse(json, strlen(json), "the manifest", NULL);
    g_autoptr(GArray) mentions = mentions_read(root);
    const StorageManifest manifest = {.data = json,
                                      .size = strlen(json),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .artifact = type,
                                      .subject = subject,
                                      .mentions = mentions,
                                      .partial = TRUE,
                                      .cached = TRUE};
    IngotDigest digest;
    assert_true(storage_put_manifest(storage, "a", &manifest, &digest, NULL));
}

/* Nor does anybody know what an attachment says of which only the manifest is here. */
static void test_part(void **state)
{
    static const char *const gates[] = {"tested", "provenance", "packages", "signed"};
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(json_t) keys = keys_of(key, key), deny = json_pack("{s:[s]}", "deny", "telnetd");
    g_autoptr(json_t) clean = json_pack("{s:b}", "clean", 1);
    const json_t *settings[] = {NULL, clean, deny, keys};
    const char *kinds[] = {STATEMENT_TYPE, STATEMENT_TYPE, SPDX_TYPE, TRUST_BUNDLE_TYPE};
    for (guint i = 0; i < 2 * G_N_ELEMENTS(gates); i++) {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GPtrArray) none = g_ptr_array_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *zeros = g_strnfill(i < G_N_ELEMENTS(gates) ? 64 : 128, '0');
        g_autofree char *layer = g_strdup_printf("sha%s:%s", i < G_N_ELEMENTS(gates) ? "256" : "512", zeros);
        guint at = i % G_N_ELEMENTS(gates);
        IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
        report(storage, &image, &image, "PASSED", "web.yaml", "2026-11-01T00:00:00Z", NULL);
        attach_part(storage, &image, kinds[at], layer);
        const GateCase its = {storage, "a", "prod", image, "alice", NOW, none};
        GateVerdict verdict = {0};
        if (gate_find(gates[at])->judge(&its, settings[at], &verdict, &error)) {
            fail_msg("%s: %d: %s", gates[at], verdict.passed, verdict.why);
        }
        assert_non_null(strstr(error->message, layer));
        assert_non_null(strstr(error->message, "is not here"));
        g_clear_pointer(&storage, storage_close);
        tear_down(state);
        set_up(state);
    }
}

static IngotDigest put_by(Storage *storage, const char *user, const char *text, const char *type,
                          const IngotDigest *subject)
{
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageActor actor = {.name = user};
    const StorageManifest manifest = {
        .data = text, .size = strlen(text), .type = type, .subject = subject, .mentions = none, .actor = &actor};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, "a", &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

static void approve(Storage *storage, const char *user, const IngotDigest *image)
{
    const StorageActor actor = {.name = user};
    g_autofree char *digest = ingot_digest_to_text(image), *key = g_strdup_printf("prod %s %s", digest, user);
    g_autoptr(json_t) body = json_object();
    assert_true(storage_put_record(storage, &actor, RECORD_APPROVAL, "a", key, body, NULL));
}

/* As the door records it. */
static void approve_as(Storage *storage, const char *user, const IngotDigest *image, gint64 created)
{
    const StorageActor actor = {.name = user};
    g_autofree char *digest = ingot_digest_to_text(image), *key = g_strdup_printf("prod %s %s", digest, user);
    g_autoptr(json_t) body = json_pack("{s:I}", APPROVAL_USER, (json_int_t)created);
    assert_true(storage_put_record(storage, &actor, RECORD_APPROVAL, "a", key, body, NULL));
}

static void add_user(const char *name, const char *scope)
{
    const char *const scopes[] = {scope, NULL};
    assert_true(users_add(accounts, name, "a hash", scopes, NULL));
}

static void open_accounts(void **state)
{
    static const char *const names[] = {"anna", "bert", "mallory", "olga"};
    g_autofree char *path = ingot_workdir_file(*state, "data");
    accounts = accounts_open(path, NULL);
    assert_non_null(accounts);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        add_user(names[i], "promote:*");
    }
}

static int close_accounts(void **state)
{
    g_clear_pointer(&accounts, accounts_close);
    return tear_down(state);
}

/* Nobody who has pushed the image counts: whatever it says that it is attached to, and whoever else pushed it as well.
 */
static void test_approved(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    open_accounts(state);
    g_autoptr(json_t) settings = json_pack("{s:i}", "count", 1);
    const char *type = "application/vnd.oci.image.manifest.v1+json", *other = "application/vnd.docker.manifest.v2+json";
    IngotDigest image = put_by(storage, "anna", "{\"text\":\"one\"}", type, NULL);
    IngotDigest attached = put_by(storage, "mallory", "{\"text\":\"two\"}", type, &image);
    approve(storage, "mallory", &attached);
    judged(storage, &attached, "approved", settings, NOW, FALSE, "0 of 1");
    approve(storage, "olga", &attached);
    judged(storage, &attached, "approved", settings, NOW, TRUE, "by 1 person");

    approve(storage, "anna", &image);
    judged(storage, &image, "approved", settings, NOW, FALSE, "0 of 1");
    put_by(storage, "mallory", "{\"text\":\"one\"}", other, NULL);
    approve(storage, "mallory", &image);
    judged(storage, &image, "approved", settings, NOW, FALSE, "0 of 1");
    assert_true(storage_remove_manifest(storage, NULL, "a", &image, NULL));
    put_by(storage, "bert", "{\"text\":\"one\"}", type, NULL);
    judged(storage, &image, "approved", settings, NOW, FALSE, "0 of 1");
    approve(storage, "olga", &image);
    judged(storage, &image, "approved", settings, NOW, TRUE, "by 1 person");
}

/* An approval is that of a user who is still there and has the right; a name that was given anew is another one's. */
static void test_approved_by_promoters(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) settings = json_pack("{s:i}", "count", 1);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    approve(storage, "olga", &image);
    judged(storage, &image, "approved", settings, NOW, FALSE, "0 of 1");
    open_accounts(state);
    judged(storage, &image, "approved", settings, NOW, TRUE, "by 1 person");
    assert_true(users_remove(accounts, "olga", FALSE, NULL));
    judged(storage, &image, "approved", settings, NOW, FALSE, "no user with the right promote any more");
    add_user("olga", "promote:b");
    judged(storage, &image, "approved", settings, NOW, FALSE, "no user with the right promote any more");
    assert_true(users_remove(accounts, "olga", FALSE, NULL));
    add_user("olga", "promote:*");
    assert_true(database_change(accounts_database(accounts), NULL, NULL,
                                "UPDATE users SET created=created+10 WHERE name='olga'", ""));
    judged(storage, &image, "approved", settings, NOW, FALSE, "no user with the right promote any more");
}

static void user_was_added(const char *name, gint64 at)
{
    assert_true(database_change(accounts_database(accounts), NULL, NULL, "UPDATE users SET created=? WHERE name=?",
                                "it", at, name));
}

/* Whatever the clock said when the user was added. */
static void test_approved_by_any_clock(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) settings = json_pack("{s:i}", "count", 1);
    const gint64 ahead = g_get_real_time() / G_USEC_PER_SEC + 100000;
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    open_accounts(state);
    user_was_added("olga", ahead);
    approve_as(storage, "olga", &image, ahead);
    judged(storage, &image, "approved", settings, NOW, TRUE, "by 1 person");
    user_was_added("olga", 1000); /* the name was given anew, by a clock that was behind */
    judged(storage, &image, "approved", settings, NOW, FALSE, "no user with the right promote any more");
}

static void test_check_settings(void **state)
{
    static const struct {
        const char *json, *path; /* NULL: all is well */
    } cases[] = {
        {"{\"url\": \"https://a.example/b?c=d\", \"secret\": \"release\"}", NULL},
        {"{\"url\": \"http://a.example\", \"secret\": \"a.b-c_1\", \"timeout\": \"60s\", \"always\": true}", NULL},
        {"{\"secret\": \"release\"}", ""},
        {"{\"url\": \"https://a.example\"}", ""},
        {"{\"url\": \"ftp://a.example\", \"secret\": \"release\"}", "/url"},
        {"{\"url\": \"https://u:p@a.example\", \"secret\": \"release\"}", "/url"},
        {"{\"url\": [], \"secret\": \"release\"}", "/url"},
        {"{\"url\": \"https://a.example\", \"secret\": \"../x\"}", "/secret"},
        {"{\"url\": \"https://a.example\", \"secret\": {}}", "/secret"},
        {"{\"url\": \"https://a.example\", \"secret\": \"release\", \"timeout\": \"61s\"}", "/timeout"},
        {"{\"url\": \"https://a.example\", \"secret\": \"release\", \"timeout\": \"0s\"}", "/timeout"},
        {"{\"url\": \"https://a.example\", \"secret\": \"release\", \"time\": \"1s\"}", "/time"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) settings = json_loads(cases[i].json, 0, NULL);
        g_autoptr(GString) path = g_string_new(NULL);
        gboolean right = gate_find("check")->check(settings, path, NULL);
        if (right != (cases[i].path == NULL) || (!right && strcmp(path->str, cases[i].path) != 0)) {
            fail_msg("%s: %s", cases[i].json, path->str);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_settings),
        cmocka_unit_test_setup_teardown(test_tested, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_approved, set_up, close_accounts),
        cmocka_unit_test_setup_teardown(test_approved_by_promoters, set_up, close_accounts),
        cmocka_unit_test_setup_teardown(test_approved_by_any_clock, set_up, close_accounts),
        cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("gates", tests, NULL, NULL);
}
