/* Boxes of a catalogue (import/boximport.h) as images of the local store.
 *
 * The image of a version that has one box is called NAME:VERSION; where the catalogue has several of it, each has its
 * provider behind that, and its architecture where the provider has several of these: NAME:VERSION-libvirt-arm64. So a
 * box has one name, whichever are wanted. What the store has as a box for the same provider and architecture is not
 * taken again, also where the catalogue listed other boxes beside it when it came; another image of that name is an
 * error. The checksum that the catalogue said is kept with the image: one that says another later is told. */
#pragma once

#include <ingot/store.h>

#include "import/boximport.h"

typedef struct {
    IngotStore *store;
    const BoxImport *import; /* whose progress it is */
    json_t *images;          /* array: {"image", "digest"} of each that is taken */
} StoreBoxes;
/* The functions of a sink; its user is a StoreBoxes. */
BoxSink store_boxes_sink(StoreBoxes *boxes);
