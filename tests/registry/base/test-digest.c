/* Digests against the vectors of FIPS 180-4 (NIST's SHA256ShortMsg and the example of a million 'a'). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/digest.h>
#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION_A "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void assert_digest(const IngotDigest *digest, const char *expected)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    assert_string_equal(text, expected);
}

static void test_vectors(void **state)
{
    IngotDigest digest;

    (void)state;
    ingot_digest_of("", 0, &digest);
    assert_digest(&digest, EMPTY);
    ingot_digest_of("abc", 3, &digest);
    assert_digest(&digest, ABC);
}

static void test_pieces(void **state)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    g_autofree char *piece = g_strnfill(1000, 'a');
    IngotDigest digest;

    (void)state;
    for (int i = 0; i < 1000; i++)
        ingot_hasher_add(hasher, piece, 1000);
    ingot_hasher_finish(hasher, &digest);
    assert_digest(&digest, MILLION_A);
}

static void test_file(void **state)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "a");
    g_autofree char *content = g_strnfill(1000000, 'a');
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    guint64 size;

    (void)state;
    assert_true(ingot_file_replace(path, content, 1000000, 0600, &error));
    assert_true(ingot_digest_of_file(path, &digest, &size, &error));
    assert_digest(&digest, MILLION_A);
    assert_int_equal(size, 1000000);

    g_autofree char *missing = ingot_workdir_file(workdir, "missing");
    assert_false(ingot_digest_of_file(missing, &digest, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, missing));
}

static void test_parse(void **state)
{
    static const char *const bad[] = {
        "",
        "sha256:",
        ABC "0",
        "sha512:ba7816",
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        " " ABC,
    };
    IngotDigest parsed, computed;

    (void)state;
    ingot_digest_of("abc", 3, &computed);
    assert_true(ingot_digest_parse(ABC, &parsed, NULL));
    assert_true(ingot_digest_equal(&parsed, &computed));
    assert_int_equal(ingot_digest_hash(&parsed), ingot_digest_hash(&computed));
    computed.bytes[INGOT_DIGEST_SIZE - 1] ^= 1;
    assert_false(ingot_digest_equal(&parsed, &computed));

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_digest_parse(bad[i], &parsed, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

/* Nothing breaks off a read of a file but a look at whether to go on. In a child, since it is interrupted for good. */
static void test_interrupted(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        g_autoptr(GError) error = NULL;
        IngotDigest digest;
        ingot_interrupt_raise("enough");
        gboolean read = ingot_digest_of_file("/proc/self/exe", &digest, NULL, &error);
        _exit(!read && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_pieces),      cmocka_unit_test(test_file),
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
