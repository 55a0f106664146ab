/* Vagrant's catalogue of a repository: GET /vagrant/NAME, in the format that `vagrant box add URL` reads (Vagrant's
 * documentation, "Box Repository", "Box Metadata"). NAME@CHANNEL has those versions alone that the channel named, up to
 * the one that it names now: so `vagrant box update` follows a channel, back too. GET /api/v2/vagrant/NAME is the same:
 * what Vagrant asks for since 2.4 where VAGRANT_SERVER_URL is the registry's address and the box is "team/web" to it.
 * GET /vagrant/authenticate tells `vagrant cloud auth login` whether its token is good. */
#pragma once

#include "server/http/request.h"

extern const Route vagrant_routes[];
