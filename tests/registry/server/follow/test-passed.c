/* What an image without a version came behind, by the moves of its channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/follow/passed.h"
#include "server/storage/moves.h"

/* The digest of an image that is called so. */
static IngotDigest digest_of(const char *word)
{
    IngotDigest digest;
    ingot_digest_of(word, strlen(word), &digest);
    return digest;
}

/* Moves in their order, each a version or another word, "<" in front of one that was rolled back to, "-" where the
 * channel was removed: what the image "x" came behind. */
static void assert_passed(const char *told, const char *expected)
{
    g_auto(GStrv) words = g_strsplit(told, " ", -1);
    g_autoptr(GArray) moves = g_array_new(FALSE, TRUE, sizeof(StorageMove));
    g_autoptr(GHashTable) versions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; words[i] != NULL; i++) {
        gboolean back = words[i][0] == '<';
        const char *word = words[i] + (back ? 1 : 0);
        StorageMove move = {
            .digest = digest_of(word), .gone = strcmp(word, "-") == 0, .how = (char *)(back ? "rollback" : "promote")};
        g_array_prepend_val(moves, move);
        if (g_ascii_isdigit(word[0])) {
            g_hash_table_insert(versions, ingot_digest_to_text(&move.digest), (char *)word);
        }
    }
    IngotDigest x = digest_of("x");
    const char *passed = passed_version(moves, versions, &x);
    if (g_strcmp0(passed, expected) != 0) {
        fail_msg("%s: %s, not %s", told, passed == NULL ? "none" : passed, expected == NULL ? "none" : expected);
    }
}

static void it_is_what_was_named_before(void **state)
{
    (void)state;
    assert_passed("1.0.0 1.4.0 x", "1.4.0");
    assert_passed("1.0.0 1.4.0 x 2.0.0", "1.4.0");
    assert_passed("1.4.0 1.0.0 x", "1.4.0"); /* the newest, whatever was last */
    assert_passed("1.4.0 y x", "1.4.0");
    assert_passed("1.4.0 - x", "1.4.0");
    assert_passed("x 1.4.0", NULL);
    assert_passed("1.0.0 1.4.0", NULL); /* it never came there */
    assert_passed("-", NULL);
}

static void it_is_as_old_as_when_it_came_first(void **state)
{
    (void)state;
    assert_passed("1.0.0 x 1.4.0 x", "1.0.0");
    assert_passed("1.0.0 x 1.4.0 <x 2.0.0", "1.0.0");
    assert_passed("<x 1.4.0 x", "1.4.0"); /* when it came is too long ago to be known */
}

static void what_was_rolled_back_was_not_passed(void **state)
{
    (void)state;
    assert_passed("1.0.0 2.0.0 <1.0.0 x", "1.0.0");
    assert_passed("1.0.0 2.0.0 <1.0.0 1.4.0 x", "1.4.0");
    assert_passed("2.0.0 <1.0.0 x", "2.0.0"); /* nor is that known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_was_named_before),
        cmocka_unit_test(it_is_as_old_as_when_it_came_first),
        cmocka_unit_test(what_was_rolled_back_was_not_passed),
    };
    return cmocka_run_group_tests_name("passed", tests, NULL, NULL);
}
