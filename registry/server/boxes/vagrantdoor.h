/* Vagrant's catalogue of a repository: GET /vagrant/NAME, in the format that `vagrant box add URL` reads (Vagrant's
 * documentation, "Box Repository", "Box Metadata"). NAME@CHANNEL has those versions alone that the channel named, up to
 * the one that it names now: so `vagrant box update` follows a channel, back too. Where VAGRANT_SERVER_URL is the
 * registry's address alone and the box is "team/web" to it, Vagrant asks for GET /team/web up to 2.3, and since 2.4
 * for GET /api/v2/vagrant/team/web first: both are the same. */
#pragma once

#include "server/http/request.h"

extern const Route vagrant_routes[];
/* GET /ORG/BOX: to be looked at behind all other doors. */
extern const Route vagrant_last_routes[];
