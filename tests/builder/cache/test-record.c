/* Records lead to images that are still there, and to nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/file.h>
#include <string.h>

#include "cache/record.h"

static void a_record_is_found_while_its_image_is_there(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "store");
    g_autofree char *cache = ingot_workdir_file(workdir, "cache");
    g_autoptr(IngotStore) store = ingot_store_open(path, NULL);
    IngotDigest key, other;
    IngotDescriptor manifest, found;
    ingot_digest_of("key", 3, &key);
    ingot_digest_of("other", 5, &other);
    assert_true(ingot_store_put(store, "{}", 2, &manifest, NULL));
    assert_false(record_find(cache, store, &key, &found));
    assert_true(record_save(cache, &key, &manifest, NULL));
    assert_true(record_find(cache, store, &key, &found));
    assert_memory_equal(&found.digest, &manifest.digest, sizeof found.digest);
    assert_int_equal(found.size, 2);
    assert_false(record_find(cache, store, &other, &found));

    g_autofree char *hex = ingot_digest_to_text(&key);
    g_autofree char *file = g_strdup_printf("%s/images/%s.json", cache, hex + strlen("sha256:"));
    assert_true(ingot_file_replace(file, "{\"dig", 5, 0644, NULL));
    assert_false(record_find(cache, store, &key, &found));
    assert_true(record_save(cache, &key, &manifest, NULL));
    assert_true(ingot_file_remove_tree(path, NULL));
    g_autoptr(IngotStore) empty = ingot_store_open(path, NULL);
    assert_false(record_find(cache, empty, &key, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_record_is_found_while_its_image_is_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
