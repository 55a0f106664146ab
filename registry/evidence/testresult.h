/* A test report: the predicate "test result" of in-toto (in-toto/attestation, spec/predicates/test-result.md), with
 * what Ingot knows besides in a member of its own, "ingot". Names of tests and the JUnit document are anybody's text.
 */
#pragma once

#include "evidence/statement.h"

#define TEST_RESULT_PREDICATE "https://in-toto.io/attestation/test-result/v0.1"

/* What was run: a recipe's tests. */
typedef struct {
    char *name; /* of the recipe's file */
    IngotDigest digest;
    gboolean has_digest;
} TestRecipe;

typedef struct {
    gboolean passed;    /* "PASSED"; anything else is not */
    GPtrArray *recipes; /* of TestRecipe */
    GPtrArray *good;    /* of char *: names of tests that passed */
    GPtrArray *bad;     /* … and that failed */
    char *junit;        /* the whole report as JUnit XML; NULL: it has none */
    char *environment;  /* where the tests were run, as the tester calls it; NULL: it did not say */
    char *finished;     /* RFC 3339; NULL: it did not say */
    json_t *variables;  /* {name: text}, secrets as "***": what the recipe's tests were run with otherwise than with its
                           defaults, so that its digest is left out; NULL: nothing is said of that */
} TestResult;

TestResult *test_result_new(void);
/* Takes copies. digest may be NULL. */
void test_result_add_recipe(TestResult *result, const char *name, const IngotDigest *digest);
void test_result_free(TestResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestResult, test_result_free)

/* CORRUPT: the statement's predicate is not a test result. A report with a failed test in it has not passed, whatever
 * its "result" says. */
TestResult *test_result_read(const Statement *statement, GError **error);
/* The predicate. */
json_t *test_result_write(const TestResult *result);
