/* What the sample's cache has, with when each was used last, and how much of it there is. */
#pragma once

#include "sample.h"

#include <utime.h>

#include "bundle/download.h"
#include "cache/house.h"

static inline void used(const char *path, gint64 when)
{
    assert_int_equal(g_utime(path, &(struct utimbuf){when, when}), 0);
}

/* A node without steps, used last at that time. */
static inline void add_node(Sample *sample, const char *name, const char *below, const char *source, gint64 when)
{
    g_autoptr(Plan) plan = sample_plan(sample, "[]");
    sample_node_on(sample, plan, name, below, source, "a");
    g_autofree char *folder = sample_folder(sample, name);
    g_autofree char *lock = g_build_filename(folder, NODE_LOCK, NULL);
    used(lock, when);
    assert_int_equal(house_node(folder).used, when);
}

/* What the cache has of a source, used last at that time. Free the path. */
static inline char *add_source(const Sample *sample, const char *name, gint64 when)
{
    g_autofree char *path = g_build_filename("cache", "sources", name, NULL);
    g_autofree char *use = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL), *use_path = sample_path(sample, use);
    g_autofree char *bytes = g_strnfill(64 << 10, 's');
    sample_write(sample, path, bytes);
    sample_write(sample, use, "");
    used(use_path, when);
    char *absolute = sample_path(sample, path);
    used(absolute, when);
    return absolute;
}

static inline HouseUse measure(const Sample *sample)
{
    HouseUse use;
    assert_true(house_measure(sample->cache, &use, NULL));
    return use;
}

static inline guint64 total(const Sample *sample)
{
    HouseUse use = measure(sample);
    return use.layers + use.memory + use.sources;
}
