/* A Vagrant box's file as an image: whether it can be one, and what the image's config says of it. */
#pragma once

#include "bundle/bundle.h"
#include "vagrant/providers.h"

/* What is said of the file. */
typedef struct {
    const char *what;         /* the box in messages */
    const char *provider;     /* "libvirt": a box for another one is INVALID */
    const char *architecture; /* as Vagrant calls it; it counts before what the box says. NULL or "unknown": not said */
} BoxFacts;

/* The form in which an image is a box for that provider; NULL and INVALID: in none. */
const VagrantForm *box_image_form(const char *provider, GError **error);
/* INVALID: it is not a box for that provider, or for that architecture, or that is none. */
IngotBundle *box_image_open(const BoxFacts *facts, const char *path, IngotProgress *progress, GError **error);
/* Once its first disk was looked at (bundle.h), and the config has all of its disks. */
void box_image_describe(const BoxFacts *facts, const IngotBundle *bundle, json_t *config);
