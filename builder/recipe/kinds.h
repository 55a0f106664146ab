/* The kinds of sources, steps and tests: one line each. What a kind's keys are, and what it does, lies in its one file:
 * source/NAME.c, step/NAME.c, check/NAME.c.
 *
 * The language's tables (keys.c), its schema, and the tables of kinds in those three rooms are made of these. */
#pragma once

#include "recipe/keys.h"

#define RECIPE_SOURCES(KIND)                                                                                           \
    KIND(bootstrap)                                                                                                    \
    KIND(image)                                                                                                        \
    KIND(from)                                                                                                         \
    KIND(recipe)

#define RECIPE_STEPS(KIND)                                                                                             \
    KIND(shell)                                                                                                        \
    KIND(script)                                                                                                       \
    KIND(file)                                                                                                         \
    KIND(reboot)

#define RECIPE_TESTS(KIND)                                                                                             \
    KIND(shell)                                                                                                        \
    KIND(service)                                                                                                      \
    KIND(port)                                                                                                         \
    KIND(package)                                                                                                      \
    KIND(file)                                                                                                         \
    KIND(http)

#define SOURCE(kind) extern const Variant recipe_source_##kind;
#define STEP(kind) extern const Variant recipe_step_##kind;
#define TEST(kind) extern const Variant recipe_test_##kind;
RECIPE_SOURCES(SOURCE)
RECIPE_STEPS(STEP)
RECIPE_TESTS(TEST)
#undef SOURCE
#undef STEP
#undef TEST
