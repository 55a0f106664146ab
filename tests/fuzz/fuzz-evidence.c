/* Evidence, as anybody may push it: what is taken for some has the same meaning once it is written again. */
#include <string.h>

#include "evidence/packages.h"
#include "evidence/provenance.h"
#include "evidence/testresult.h"
#include "fuzz.h"
#include "trust/intoto.h"

static void try_result(const Statement *statement)
{
    g_autoptr(TestResult) result = test_result_read(statement, NULL);
    if (result == NULL) {
        return;
    }
    g_autoptr(json_t) predicate = test_result_write(result);
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    g_autofree char *text = intoto_write(&image, NULL, TEST_RESULT_PREDICATE, predicate);
    g_autoptr(Statement) again = statement_parse(text, strlen(text), NULL);
    g_autoptr(TestResult) read = test_result_read(again, NULL);
    g_assert(read->passed == result->passed);
    g_assert(read->good->len == result->good->len && read->recipes->len == result->recipes->len);
}

static void try_provenance(const Statement *statement)
{
    g_autoptr(Provenance) provenance = provenance_read(statement, NULL);
    if (provenance == NULL) {
        return;
    }
    g_autoptr(json_t) predicate = provenance_write(provenance);
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    g_autofree char *text = intoto_write(&image, NULL, PROVENANCE_PREDICATE, predicate);
    g_autoptr(Statement) again = statement_parse(text, strlen(text), NULL);
    g_autoptr(Provenance) read = provenance_read(again, NULL);
    g_assert(read->clean == provenance->clean);
    g_assert_cmpstr(read->repository, ==, provenance->repository);
    g_assert_cmpstr(read->commit, ==, provenance->commit);
    g_assert_cmpstr(read->base, ==, provenance->base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Statement) statement = statement_parse(data, size, &error);
    g_assert((statement == NULL) == (error != NULL));
    if (statement != NULL) {
        try_result(statement);
        try_provenance(statement);
    }
    g_autoptr(GPtrArray) packages = packages_parse(data, size, NULL);
    for (guint i = 0; packages != NULL && i < packages->len; i++) {
        const Package *one = g_ptr_array_index(packages, i);
        g_assert(one->name != NULL && one->version != NULL);
    }
    return 0;
}
