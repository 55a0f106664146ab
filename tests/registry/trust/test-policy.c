/* Policies: the most specific scope decides, what is not understood fails, and a signature counts for its name alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>

#include "trust/base64.h"
#include "trust/key.h"
#include "trust/policy.h"

#define ACCEPT "[{\"type\":\"insecureAcceptAnything\"}]"
#define REJECT "[{\"type\":\"reject\"}]"
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static Policy *parsed(const char *text)
{
    g_autoptr(GError) error = NULL;
    Policy *policy = policy_parse(text, strlen(text), "/etc/p/policy.json", &error);
    if (policy == NULL) {
        fail_msg("%s: %s", text, error->message);
    }
    return policy;
}

/* What the policy says of an image, by its first demand. */
static int says(const Policy *policy, const char *reference)
{
    g_autofree char *scope = NULL;
    g_autoptr(IngotReference) image = ingot_reference_parse(reference, NULL);
    assert_non_null(image);
    const GPtrArray *demands = policy_find(policy, image, &scope);
    assert_int_equal(demands == NULL, scope == NULL);
    return demands == NULL ? DEMAND_NOTHING : (int)((const Demand *)g_ptr_array_index(demands, 0))->kind;
}

/* Each scope in turn accepts, where the default rejects. */
static void the_most_specific_scope_decides(void **state)
{
    (void)state;
    const struct {
        const char *scope, *accepted, *rejected;
    } all[] = {
        {"r.example:5000/a/b:1", "r.example:5000/a/b:1", "r.example:5000/a/b:2"},
        {"r.example/a/b@sha256:" HEX, "r.example/a/b@sha256:" HEX, "r.example/a/b:1"},
        {"r.example/a/b", "r.example/a/b:1", "r.example/a/bb:1"},
        {"r.example/a/b", "r.example/a/b@sha256:" HEX, "r.example/a:1"},
        {"r.example/a", "r.example/a/b:1", "r.example/ab/b:1"},
        {"r.example:5000", "r.example:5000/a/b:1", "r.example/a/b:1"},
        {"R.example/a", "r.EXAMPLE/a/b:1", "r.example/b:1"},
        {"*.example", "r.example:5000/a:1", "example.org/a:1"},
        {"*.example", "a.b.example/a:1", "example:5000/a:1"},
        {"", "r.example/a:1", "r.example/a:1"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        gboolean is_all = *all[i].scope == '\0';
        g_autofree char *text =
            g_strdup_printf("{\"default\":" REJECT ",\"transports\":{\"docker\":{\"%s\":" ACCEPT "}}}", all[i].scope);
        g_autoptr(Policy) policy = parsed(text);
        assert_int_equal(says(policy, all[i].accepted), DEMAND_NOTHING);
        assert_int_equal(says(policy, all[i].rejected), is_all ? DEMAND_NOTHING : DEMAND_REJECT);
    }
    g_autoptr(Policy) nested = parsed("{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"r.example/a\":" REJECT
                                      ",\"r.example/a/b\":" ACCEPT ",\"r.example/a/b:bad\":" REJECT "}}}");
    assert_int_equal(says(nested, "r.example/a/c:1"), DEMAND_REJECT);
    assert_int_equal(says(nested, "r.example/a/b:1"), DEMAND_NOTHING);
    assert_int_equal(says(nested, "r.example/a/b:bad"), DEMAND_REJECT);
    assert_int_equal(says(nested, "r.example/c:1"), DEMAND_NOTHING);
}

/* Whoever asks for an image by its digest may have found it by a tag. */
static void tags_are_known_by_their_name(void **state)
{
    (void)state;
    g_autoptr(Policy) policy =
        parsed("{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"R.example/a/b:prod\":" REJECT
               ",\"r.example/a/b:dev\":" ACCEPT ",\"r.example/c\":" REJECT "}}}");
    const struct {
        const char *reference;
        gboolean tag, tags;
    } all[] = {
        {"r.example/a/b:prod", TRUE, TRUE}, {"r.example/a/b:dev", FALSE, TRUE}, {"r.example/a/b:Prod", FALSE, TRUE},
        {"r.example/a/bb:1", FALSE, FALSE}, {"r.example/a:prod", FALSE, FALSE}, {"r.example/c:1", FALSE, FALSE},
        {"a/b:prod", FALSE, FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(IngotReference) image = ingot_reference_parse(all[i].reference, NULL);
        assert_int_equal(demands_ask(policy_find_tag(policy, image)), all[i].tag);
        assert_int_equal(policy_asks_of_tags(policy, image), all[i].tags);
    }
    g_autoptr(Policy) none = parsed("{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"r.example\":" ACCEPT "}}}");
    assert_true(policy_asks(policy));
    assert_false(policy_asks(none));
}

static void what_is_made_here_is_asked_for_by_its_own_transport(void **state)
{
    (void)state;
    g_autoptr(Policy) plain = parsed("{\"default\":" REJECT ",\"transports\":{\"docker\":{\"\":" REJECT "}}}");
    assert_int_equal(says(plain, "team/web:1"), DEMAND_NOTHING);
    g_autoptr(Policy) strict = parsed("{\"default\":" ACCEPT ",\"transports\":{\"containers-storage\":{\"\":" REJECT
                                      ",\"team/web\":" ACCEPT "}}}");
    assert_int_equal(says(strict, "team/db:1"), DEMAND_REJECT);
    assert_int_equal(says(strict, "team/web:1"), DEMAND_NOTHING);
    assert_int_equal(says(strict, "r.example/team/db:1"), DEMAND_NOTHING);
}

static void a_tag_keeps_its_case(void **state)
{
    (void)state;
    g_autoptr(Policy) local = parsed(
        "{\"default\":" ACCEPT ",\"transports\":{\"containers-storage\":{\"web:RC1\":" REJECT ",\"web:rc1\":" ACCEPT
        ",\"web\":" ACCEPT ",\"db:RC1\":" ACCEPT ",\"db\":" REJECT ",\"APP:RC1\":" REJECT "}}}");
    assert_int_equal(says(local, "web:RC1"), DEMAND_REJECT);
    assert_int_equal(says(local, "web:rc1"), DEMAND_NOTHING);
    assert_int_equal(says(local, "db:RC1"), DEMAND_NOTHING);
    assert_int_equal(says(local, "db:rc1"), DEMAND_REJECT);
    assert_int_equal(says(local, "app:RC1"), DEMAND_REJECT);
    g_autoptr(Policy) remote =
        parsed("{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"R.example:5000/web:RC1\":" REJECT
               ",\"S.example:5000\":" REJECT "}}}");
    assert_int_equal(says(remote, "r.example:5000/web:RC1"), DEMAND_REJECT);
    assert_int_equal(says(remote, "r.example:5000/web:rc1"), DEMAND_NOTHING);
    assert_int_equal(says(remote, "s.EXAMPLE:5000/web:1"), DEMAND_REJECT);
}

/* What machines have for other tools fails no more than what it is about. */
static void what_is_not_checked_here_is_met_by_nothing(void **state)
{
    (void)state;
    g_autoptr(Policy) policy = parsed(
        "{\"default\":" ACCEPT ",\"transports\":{"
        "\"docker\":{\"r.example\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPaths\":[\"/k\"]}],"
        "\"s.example\":[{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"/c\"},\"rekorPublicKeyPath\":\"/r\"}],"
        "\"t.example\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"rekorPublicKeyPath\":\"/r\"}],"
        "\"u.example\":[{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"}}]},"
        "\"docker-daemon\":{\"\":" ACCEPT "},\"dir\":{\"/Some*thing\":" REJECT "}}}");
    assert_int_equal(says(policy, "r.example/a:1"), DEMAND_BEYOND);
    assert_int_equal(says(policy, "s.example/a:1"), DEMAND_BEYOND);
    assert_int_equal(says(policy, "t.example/a:1"), DEMAND_BEYOND);
    assert_int_equal(says(policy, "u.example/a:1"), DEMAND_BEYOND);
    assert_int_equal(says(policy, "v.example/a:1"), DEMAND_NOTHING);
}

#define SIGNED(members) "{\"default\":[{\"type\":\"sigstoreSigned\"," members "}]}"
#define IDENTITY(members) SIGNED("\"keyPath\":\"/k\",\"signedIdentity\":{" members "}")

static void bad_files_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *text, *why;
    } all[] = {
        {"", "policy.json"},
        {"[]", "object"},
        {"{}", "default"},
        {"{\"default\":[]}", "one requirement"},
        {"{\"default\":{}}", "one requirement"},
        {"{\"default\":[{}]}", "unknown type ''"},
        {"{\"default\":[1]}", "unknown type ''"},
        {"{\"default\":[{\"type\":\"rejectt\"}]}", "unknown type 'rejectt'"},
        {"{\"default\":[{\"type\":\"reject\",\"x\":1}]}", "unknown member 'x'"},
        {"{\"default\":" ACCEPT ",\"default\":" REJECT "}", "policy.json"},
        {"{\"default\":" ACCEPT ",\"transport\":{}}", "unknown member 'transport'"},
        {"{\"default\":" ACCEPT ",\"transports\":[]}", "object"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"docker\":[]}}", "object"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a\":[]}}}", "transports, docker, 'a'"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"dir\":{\"/a\":[{\"type\":\"x\"}]}}}", "unknown type 'x'"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a*.b\":" REJECT "}}}", "'*'"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"*.b/c\":" REJECT "}}}", "'*'"},
        {"{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a.b\":" REJECT ",\"A.b\":" ACCEPT "}}}", "twice"},
        {SIGNED("\"signedIdentity\":{\"type\":\"matchExact\"}"), "one of keyPath"},
        {SIGNED("\"keyPath\":\"/a\",\"keyPaths\":[\"/b\"]"), "one of keyPath"},
        {SIGNED("\"keyPath\":\"/a\",\"fulcio\":{}"), "one of keyPath"},
        {SIGNED("\"keyPath\":\"\""), "path of a key"},
        {SIGNED("\"keyPaths\":[]"), "'keyPaths'"},
        {SIGNED("\"keyPaths\":[1]"), "path of a key"},
        {SIGNED("\"keyData\":\"%\""), "base64"},
        {SIGNED("\"keyPath\":\"/a\",\"keyType\":\"GPGKeys\""), "unknown member 'keyType'"},
        {IDENTITY(""), "unknown type ''"},
        {IDENTITY("\"type\":\"matchAny\""), "unknown type 'matchAny'"},
        {IDENTITY("\"type\":\"matchExact\",\"dockerReference\":\"a.b/c:1\""), "unknown member 'dockerReference'"},
        {IDENTITY("\"type\":\"exactReference\""), "dockerReference"},
        {IDENTITY("\"type\":\"exactReference\",\"dockerReference\":\"a.b/c\""), "neither a tag nor"},
        {IDENTITY("\"type\":\"exactRepository\",\"dockerRepository\":\"a.b/c:1\""), "without a tag"},
        {IDENTITY("\"type\":\"remapIdentity\",\"prefix\":\"a.b\""), "signedPrefix"},
        {IDENTITY("\"type\":\"remapIdentity\",\"prefix\":\"a.b/c:1\",\"signedPrefix\":\"d.e\""), "beginning of a name"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Policy) policy = policy_parse(all[i].text, strlen(all[i].text), "/etc/p/policy.json", &error);
        if (policy != NULL || !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID) ||
            strstr(error->message, all[i].why) == NULL || strstr(error->message, "policy.json") == NULL) {
            fail_msg("%s: %s, not: %s", all[i].text, error == NULL ? "taken" : error->message, all[i].why);
        }
    }
}

static void a_signature_counts_for_its_name(void **state)
{
    (void)state;
    const char *const usual = "\"type\":\"matchRepoDigestOrExact\"", *const any = "\"type\":\"matchRepository\"";
    const char *const other = "\"type\":\"exactRepository\",\"dockerRepository\":\"v.example/web\"";
    const char *const one = "\"type\":\"exactReference\",\"dockerReference\":\"v.example/web:1\"";
    const char *const moved = "\"type\":\"remapIdentity\",\"prefix\":\"m.example/v\",\"signedPrefix\":\"v.example\"";
    const struct {
        const char *identity, *asked, *signed_as;
        gboolean fits;
    } all[] = {
        {usual, "h.example/web:1", "h.example/web:1", TRUE},
        {usual, "h.example/web:1", "h.example/web:2", FALSE},
        {usual, "h.example/web:1", "h.example/web", FALSE},
        {usual, "h.example/web:1", "h.example/db:1", FALSE},
        {usual, "h.example/web:1", "i.example/web:1", FALSE},
        {usual, "h.example/web:1", "web:1", FALSE},
        {usual, "h.example/web:1", "no: name", FALSE},
        {usual, "h.example/web:1", NULL, FALSE},
        {usual, "h.example/web@sha256:" HEX, "h.example/web:2", TRUE},
        {usual, "h.example/web@sha256:" HEX, "h.example/db:2", FALSE},
        {usual, "web:1", "web:1", TRUE},
        {"\"type\":\"matchExact\"", "h.example/web:1", "h.example/web:1", TRUE},
        {"\"type\":\"matchExact\"", "h.example/web@sha256:" HEX, "h.example/web:1", FALSE},
        {any, "h.example/web:prod", "h.example/web:1", TRUE},
        {any, "h.example/web:prod", "h.example/web", TRUE},
        {any, "h.example/web:prod", "h.example/webb", FALSE},
        {any, "h.example/web:prod", NULL, FALSE},
        {other, "h.example/x:1", "v.example/web:2", TRUE},
        {other, "h.example/x:1", "h.example/x:1", FALSE},
        {one, "h.example/x:7", "v.example/web:1", TRUE},
        {one, "h.example/x:7", "v.example/web:2", FALSE},
        {moved, "m.example/v/team/web:1", "v.example/team/web:1", TRUE},
        {moved, "m.example/v/team/web:1", "v.example/team/web:2", FALSE},
        {moved, "m.example/v/team/web:1", "m.example/v/team/web:1", FALSE},
        {moved, "m.example/vv/web:1", "m.example/vv/web:1", TRUE},
        {moved, "m.example/vv/web:1", "v.examplev/web:1", FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *scope = NULL;
        g_autofree char *text = g_strdup_printf(
            "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"signedIdentity\":{%s}}],"
            "\"transports\":{\"containers-storage\":{\"\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\"}]}}}",
            all[i].identity);
        g_autoptr(Policy) policy = parsed(text);
        g_autoptr(IngotReference) asked = ingot_reference_parse(all[i].asked, NULL);
        const Demand *demand = g_ptr_array_index(policy_find(policy, asked, &scope), 0);
        g_autoptr(GError) error = NULL;
        if (signed_identity_fits(&demand->identity, asked, all[i].signed_as, &error) != all[i].fits) {
            fail_msg("%s: %s signed as %s", all[i].identity, all[i].asked, all[i].signed_as);
        }
        assert_true(all[i].fits ? error == NULL : g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    }
}

/* Files with one key and with several, beside the policy, and keys in the policy itself. */
static void keys_are_read_from_files_and_from_the_policy(void **state)
{
    (void)state;
    g_autoptr(TrustKey) a = trust_key_generate(NULL), b = trust_key_generate(NULL);
    g_autofree char *pem_a = trust_key_public_pem(a), *pem_b = trust_key_public_pem(b);
    g_autofree char *both = g_strconcat("# two keys\n", pem_a, "and\n", pem_b, NULL);
    g_autofree char *data = base64_write(pem_b, strlen(pem_b));
    g_autofree char *folder = g_dir_make_tmp("ingot-policy.XXXXXX", NULL);
    g_autofree char *list = g_build_filename(folder, "both.pem", NULL);
    g_autofree char *bad = g_build_filename(folder, "bad.pem", NULL);
    g_autofree char *path = g_build_filename(folder, "policy.json", NULL);
    g_autofree char *damaged = g_strndup(both, strlen(both) - 60);
    g_autofree char *text = g_strdup_printf("{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"both.pem\"},"
                                            "{\"type\":\"sigstoreSigned\",\"keyDatas\":[\"%s\"]},"
                                            "{\"type\":\"sigstoreSigned\",\"keyPaths\":[\"%s\"]},"
                                            "{\"type\":\"sigstoreSigned\",\"keyPath\":\"none.pem\"}]}",
                                            data, bad);
    assert_true(g_file_set_contents(list, both, -1, NULL) && g_file_set_contents(bad, damaged, -1, NULL) &&
                g_file_set_contents(path, text, -1, NULL));
    g_autoptr(GError) error = NULL;
    g_autofree char *scope = NULL;
    g_autoptr(Policy) policy = policy_read(path, &error);
    assert_non_null(policy);
    g_autoptr(IngotReference) image = ingot_reference_parse("h.example/web:1", NULL);
    const GPtrArray *demands = policy_find(policy, image, &scope);
    assert_string_equal(scope, "default");
    g_autoptr(GPtrArray) two = policy_keys(g_ptr_array_index(demands, 0), &error);
    g_autoptr(GPtrArray) one = policy_keys(g_ptr_array_index(demands, 1), &error);
    assert_null(error);
    assert_int_equal(two->len, 2);
    assert_true(ingot_digest_equal(trust_key_fingerprint(g_ptr_array_index(two, 1)), trust_key_fingerprint(b)));
    assert_int_equal(one->len, 1);
    assert_null(policy_keys(g_ptr_array_index(demands, 2), &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    g_clear_error(&error);
    assert_null(policy_keys(g_ptr_array_index(demands, 3), &error));
    assert_non_null(strstr(error->message, "none.pem"));
    g_unlink(list);
    g_unlink(bad);
    g_unlink(path);
    g_rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_scope_decides),
        cmocka_unit_test(what_is_made_here_is_asked_for_by_its_own_transport),
        cmocka_unit_test(a_tag_keeps_its_case),
        cmocka_unit_test(tags_are_known_by_their_name),
        cmocka_unit_test(what_is_not_checked_here_is_met_by_nothing),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(a_signature_counts_for_its_name),
        cmocka_unit_test(keys_are_read_from_files_and_from_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
