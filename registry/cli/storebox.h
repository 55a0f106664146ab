/* Boxes of a catalogue (import/boximport.h) as images of the local store.
 *
 * The image of a version that has one box is called NAME:VERSION; where there are several, each has its provider behind
 * that, and its architecture where the provider has several of these: NAME:VERSION-libvirt-arm64. What has its name
 * already is not taken again. */
#pragma once

#include <ingot/store.h>

#include "import/boximport.h"

typedef struct {
    IngotStore *store;
    const BoxImport *import; /* which of a version's boxes are wanted */
    json_t *images;          /* array: {"image", "digest"} of each that is taken */
} StoreBoxes;
/* The functions of a sink; its user is a StoreBoxes. */
BoxSink store_boxes_sink(StoreBoxes *boxes);
