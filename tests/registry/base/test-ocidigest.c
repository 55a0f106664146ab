/* Digests of both algorithms: their grammar, and that a key stands for one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "base/ocidigest.h"

/* FIPS 180-2, appendix C.1. */
#define ABC                                                                                                            \
    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d44236" \
    "43ce80e2a9ac94fa54ca49f"

static void texts_of_both_algorithms_are_read(void **state)
{
    (void)state;
    OciDigest digest, short_one;
    IngotDigest sha256;
    assert_true(oci_digest_parse(ABC, &digest, NULL));
    assert_true(digest.is_sha512);
    assert_true(oci_digest_fits(&digest, "abc", 3));
    assert_false(oci_digest_fits(&digest, "abd", 3));
    g_autofree char *text = oci_digest_to_text(&digest);
    assert_string_equal(text, ABC);
    ingot_digest_of("abc", 3, &sha256);
    g_autofree char *other = ingot_digest_to_text(&sha256);
    assert_true(oci_digest_parse(other, &short_one, NULL));
    assert_false(short_one.is_sha512);
    assert_true(oci_digest_fits(&short_one, "abc", 3));
    g_autofree char *again = oci_digest_to_text(&short_one);
    assert_string_equal(again, other);
    assert_false(oci_digest_equal(&digest, &short_one));
}

static void what_is_no_digest_is_refused(void **state)
{
    (void)state;
    g_autofree char *upper = g_ascii_strup(ABC, -1), *longer = g_strconcat(ABC, "0", NULL);
    g_autofree char *shorter = g_strndup(ABC, strlen(ABC) - 1), *half = g_strndup(ABC, strlen("sha512:") + 64);
    g_autofree char *mixed = g_strdup(ABC), *as256 = g_strconcat("sha256:", ABC + strlen("sha512:"), NULL);
    mixed[20] = 'F';
    const char *const wrong[] = {"",   "sha512:", "sha512", upper,      longer,      shorter,
                                 half, mixed,     as256,    "md5:0123", "sha384:00", "sha512:zz"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        OciDigest digest;
        g_autoptr(GError) error = NULL;
        assert_false(oci_digest_parse(wrong[i], &digest, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "sha256:"));
        assert_non_null(strstr(error->message, "sha512:"));
    }
}

static void two_algorithms_are_taken(void **state)
{
    (void)state;
    gboolean is_sha512;
    assert_true(oci_algorithm_parse("sha512", &is_sha512, NULL) && is_sha512);
    assert_true(oci_algorithm_parse("sha256", &is_sha512, NULL) && !is_sha512);
    assert_false(oci_algorithm_parse("sha384", &is_sha512, NULL));
    assert_false(oci_algorithm_parse("", &is_sha512, NULL));
}

/* No bytes whose SHA-256 is the key are known: not the SHA-512 itself, nor its text. */
static void a_key_is_the_digest_of_nothing_known(void **state)
{
    (void)state;
    OciDigest digest;
    IngotDigest found;
    assert_true(oci_digest_parse(ABC, &digest, NULL));
    ingot_digest_of(digest.sha512, SHA512_SIZE, &found);
    assert_false(ingot_digest_equal(&found, &digest.key));
    ingot_digest_of(ABC, strlen(ABC), &found);
    assert_false(ingot_digest_equal(&found, &digest.key));
    assert_memory_not_equal(digest.key.bytes, digest.sha512, INGOT_DIGEST_SIZE);
}

static void pieces_make_the_whole(void **state)
{
    (void)state;
    OciDigest wanted, found;
    g_autoptr(Sha512) sha512 = sha512_new();
    sha512_add(sha512, "a", 1);
    sha512_add(sha512, "", 0);
    sha512_add(sha512, "bc", 2);
    sha512_finish(sha512, &found);
    assert_true(oci_digest_parse(ABC, &wanted, NULL));
    assert_true(oci_digest_equal(&wanted, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_both_algorithms_are_read),
        cmocka_unit_test(what_is_no_digest_is_refused),
        cmocka_unit_test(two_algorithms_are_taken),
        cmocka_unit_test(a_key_is_the_digest_of_nothing_known),
        cmocka_unit_test(pieces_make_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
