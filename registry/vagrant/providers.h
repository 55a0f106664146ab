/* What Vagrant calls the programs that run machines, beside our own words for the formats of their boxes. */
#pragma once

#include <glib.h>

/* A provider, and the format in which an image is a box for it. */
typedef struct {
    const char *provider, *format, *file; /* "libvirt", "vagrant-libvirt", "libvirt.box" */
} VagrantForm;
#define VAGRANT_FORMS 4u
extern const VagrantForm vagrant_forms[VAGRANT_FORMS];

/* By any name that a box's metadata has for the provider ("vmware_fusion"); NULL: images are no boxes for that. */
const VagrantForm *vagrant_form_of(const char *provider);
/* By the format's name. */
const VagrantForm *vagrant_form_of_format(const char *format);
