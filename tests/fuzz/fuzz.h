/* What a harness defines.
 *
 * A harness is one file tests/fuzz/fuzz-NAME.c with this function, which gives one input to our code and asserts what
 * must hold for every input; its seeds are the files of tests/fuzz/seeds/NAME, and tests/fuzz/NAME.dict may name the
 * words of its grammar. Makefile and tests/run find it by its name. `make fuzz` makes inputs by libFuzzer; the unit
 * tests run over the seeds alone (replay.c). An input that crashed something becomes a seed. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
