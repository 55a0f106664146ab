# Ingot's build. `make help` lists the targets.
B ?= build
PREFIX ?= /usr/local
VERSION := 0.1.0
soname := libingot.so.0
SAN ?=
FUZZ ?=
FUZZ_SECONDS ?= 600

libraries := glib-2.0 gio-2.0 gio-unix-2.0 jansson libzstd libdeflate libcrypto libxxhash libarchive libisal libcurl libnbd
builder_libraries := libfyaml libssh libguestfs ext2fs com_err
# What the public headers include: who builds against them needs its headers too.
public_libraries := glib-2.0 jansson
server_libraries := libmicrohttpd gnutls nettle libsystemd sqlite3 libjwt libcrypt libdpkg

CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wpointer-arith -Wno-missing-field-initializers -fstack-protector-strong
override CPPFLAGS += -Iinclude -Iregistry -Ibuilder -DINGOT_VERSION='"$(VERSION)"' -DINGOT_PREFIX='"$(PREFIX)"'
# Where they are installed, ccache compiles only what is new, and mold links the unit tests: each has all of the library in it.
ifeq ($(origin CC),default)
CC := $(if $(shell command -v ccache),ccache )$(CC)
endif
quick_link := $(if $(FUZZ),,$(if $(shell command -v mold),-fuse-ld=mold))
ifneq ($(SAN),)
ifeq ($(SAN),thread)
B := build-tsan
sanitizers := thread
annotations := tests/tsan.c
else
B := build-san
sanitizers := address,undefined
endif
override CFLAGS += -fsanitize=$(sanitizers) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(sanitizers)
endif
# FUZZ=1, which `make fuzz` sets: the harnesses with libFuzzer, which clang alone has. To clang a variable that is there
# for its cleanup is unused.
ifneq ($(FUZZ),)
B := build-fuzz
CC := clang
override CFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	-Wno-unused-variable
override LDFLAGS += -fsanitize=fuzzer,address,undefined
endif

sources = $(sort $(foreach d,$1,$(wildcard $d/*.c)))
folders = $(shell find $1 -type d 2>/dev/null)
library := $(call sources,$(addprefix registry/,base image store remote transfer bundle format trust evidence vagrant import))
# The reader of YAML, for the programs that link libfyaml.
yaml := $(call sources,registry/yaml)
# The program that reads pipelines.
pipeline := $(call sources,registry/pipeline)
client := $(call sources,$(call folders,registry/cli))
server := $(call sources,$(call folders,registry/server))
builder := $(call sources,$(call folders,builder))
unit := $(shell find tests/registry tests/builder -name 'test-*.c' 2>/dev/null | sort)
harnesses := $(sort $(wildcard tests/fuzz/fuzz-*.c))

objects = $(patsubst %.c,$B/%.o,$1)
pc_cflags := $(shell pkg-config --cflags $(libraries) $(builder_libraries) $(server_libraries) 2>/dev/null)
pc_libs = $(shell pkg-config --libs $1)
mains := registry/cli/main.c registry/server/main.c builder/cli/main.c
verbs := build cache plan recipe run shell test validate
programs := $B/ingot $B/ingotd $B/libexec/ingot-pipeline $(addprefix $B/libexec/ingot-,$(verbs)) $B/libexec/front/curl

.PHONY: all deps demo check unit fuzz lint bench install clean help
# The first goal installs what is missing, then builds with it: pkg-config's answers are read anew.
all: deps
	+@$(MAKE) --no-print-directory programs
.PHONY: programs
programs: $(programs) $B/libingot.so

deps:
	@.ci/packages build

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(pc_cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

# Scripts that are part of the program.
$B/builder/ready/ready.o: builder/ready/guest.sh
$B/builder/system/firstboot.o: builder/system/hostkeys.sh builder/system/identities.sh

# The library without what only the programs of this tree need. Only what include/ingot/ declares is seen outside of it.
for_programs := $(addprefix registry/base/,command.c now.c signals.c terminal.c) registry/trust/keyfile.c registry/bundle/% registry/vagrant/% registry/import/%
public := $(call objects,$(filter-out $(for_programs),$(library)) $(annotations))
public_needs := $(filter-out libarchive libisal,$(libraries))
$(call objects,$(library)): override CFLAGS += -fPIC -fvisibility=hidden
$B/libingot.so: $(public) registry/libingot.map
	$(CC) -shared -Wl,-soname,$(soname) -Wl,--version-script=registry/libingot.map -Wl,-z,defs $(LDFLAGS) -o $@ \
		$(public) $(call pc_libs,$(public_needs))
# What the programs of this tree are linked of: the private rooms as well.
$B/libingot.a: $(call objects,$(library) $(annotations))
	@rm -f $@
	ar rcs $@ $^
# The archive for other programs has the names of the shared object alone.
$B/public/libingot.a: $(public)
	@mkdir -p $(@D)
	@rm -f $@
	ld -r -o $(@D)/ingot.o $^
	objcopy --localize-hidden $(@D)/ingot.o
	ar rcs $@ $(@D)/ingot.o
$B/libserver.a: $(call objects,$(filter-out $(mains),$(server)))
	@rm -f $@
	ar rcs $@ $^
$B/libclient.a: $(call objects,$(filter-out $(mains),$(client)))
	@rm -f $@
	ar rcs $@ $^
$B/libbuilder.a: $(call objects,$(filter-out $(mains),$(builder)))
	@rm -f $@
	ar rcs $@ $^
$B/libyaml.a: $(call objects,$(yaml))
	@rm -f $@
	ar rcs $@ $^
$B/ingot: $(call objects,$(client)) $B/libingot.a
	$(CC) $(LDFLAGS) -o $@ $^ $(call pc_libs,$(libraries))
$B/ingotd: $(call objects,registry/server/main.c) $B/libserver.a $B/libingot.a
	$(CC) $(LDFLAGS) -o $@ $^ $(call pc_libs,$(server_libraries) $(libraries))
$B/libexec/ingot-build: $(call objects,builder/cli/main.c) $B/libbuilder.a $B/libyaml.a $B/libingot.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(call pc_libs,$(builder_libraries) $(libraries))
$B/libexec/ingot-pipeline: $(call objects,$(pipeline)) $B/libyaml.a $B/libingot.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(call pc_libs,libfyaml $(libraries))
$B/libexec/ingot-%: $B/libexec/ingot-build
	ln -sf ingot-build $@
# What Vagrant finds in curl's place under `ingot vagrant`.
$B/libexec/front/curl: $B/ingot
	@mkdir -p $(@D)
	ln -sf ../../ingot $@

unit_programs := $(patsubst tests/%.c,$B/tests/%,$(unit))
$B/tests/%: $B/tests/%.o $B/libclient.a $B/libbuilder.a $B/libserver.a $B/libyaml.a $B/libingot.a
	$(CC) $(LDFLAGS) $(quick_link) -o $@ $^ $(call pc_libs,$(server_libraries) $(builder_libraries) $(libraries)) -lcmocka
# A harness runs over its seeds alone, or is run by libFuzzer, which has a main of its own.
harness_programs := $(patsubst tests/%.c,$B/tests/%,$(harnesses))
replay := $(if $(FUZZ),,$B/tests/fuzz/replay.o)
$B/tests/fuzz/fuzz-%: $B/tests/fuzz/fuzz-%.o $(replay) $B/libbuilder.a $B/libserver.a $B/libyaml.a $B/libingot.a
	$(CC) $(LDFLAGS) $(quick_link) -o $@ $^ $(call pc_libs,$(server_libraries) $(builder_libraries) $(libraries))
.SECONDARY:

unit: deps
	+@$(MAKE) --no-print-directory unit-programs
	@B=$B tests/run unit
.PHONY: unit-programs fuzz-programs
unit-programs: $(unit_programs) $(harness_programs) programs
fuzz-programs: $(harness_programs)

# SAN=1: the unit tests and the server's system tests, under AddressSanitizer and UBSan; SAN=thread: the server's, under
# ThreadSanitizer.
check:
	@.ci/packages build check
	+@CCACHE_BASEDIR=$(CURDIR) CCACHE_NOHASHDIR=1 $(MAKE) --no-print-directory unit-programs
	@B=$B SAN=$(SAN) tests/run $(if $(SAN),unit server,lint unit system machines)

# Editors read it; it is made from the tables of keys.
.PHONY: schema
schema:
	+@$(MAKE) --no-print-directory programs
	$B/libexec/ingot-validate --schema >recipes/recipe.schema.json

lint:
	@.ci/packages build check
	@B=$B tests/run lint

fuzz:
	@.ci/packages build fuzz
	+@$(MAKE) --no-print-directory B=build-fuzz FUZZ=1 fuzz-programs
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run

demo:
	@.ci/packages build
	@echo "building"
	+@$(MAKE) --no-print-directory programs >/dev/null
	@B=$B recipes/demo.sh

bench:
	@.ci/packages build check bench
	+@$(MAKE) --no-print-directory programs
	@B=$B tests/bench/run

install: programs $B/public/libingot.a
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/ingot/front $(DESTDIR)$(PREFIX)/include/ingot \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 3 5 8) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/ingot/recipes \
		$(DESTDIR)$(PREFIX)/lib/systemd/system
	install $B/ingot $B/ingotd $(DESTDIR)$(PREFIX)/bin
	install $B/libexec/ingot-build $B/libexec/ingot-pipeline $(DESTDIR)$(PREFIX)/libexec/ingot
	for verb in $(filter-out build,$(verbs)); do ln -sf ingot-build $(DESTDIR)$(PREFIX)/libexec/ingot/ingot-$$verb; done
	ln -sf ../../../bin/ingot $(DESTDIR)$(PREFIX)/libexec/ingot/front/curl
	install -m 644 include/ingot/*.h $(DESTDIR)$(PREFIX)/include/ingot
	install -m 644 $B/public/libingot.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $B/libingot.so $(DESTDIR)$(PREFIX)/lib/libingot.so.$(VERSION)
	ln -sf libingot.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/$(soname)
	ln -sf $(soname) $(DESTDIR)$(PREFIX)/lib/libingot.so
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@VERSION@,$(VERSION),' -e 's,@PUBLIC@,$(public_libraries),' \
		-e 's,@PRIVATE@,$(filter-out $(public_libraries),$(public_needs)),' registry/ingot.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/ingot.pc
	sed 's,@PREFIX@,$(PREFIX),' registry/server/ingotd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/ingotd.service
	install -m 644 registry/server/ingotd.socket $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,@PREFIX@,$(PREFIX),' registry/cli/ingot-follow@.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/ingot-follow@.service
	install -m 644 registry/cli/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 registry/*.3 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 registry/server/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 builder/recipe/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 registry/cli/ingot.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ingot
	cp -R recipes/. $(DESTDIR)$(PREFIX)/share/ingot/recipes

clean:
	rm -rf build build-san build-tsan build-fuzz

help:
	@echo 'make            install what is missing, build'
	@echo 'make demo       bake, serve, pull and boot a real image'
	@echo 'make check      build and run every test (SAN=1, SAN=thread: unit tests and ingotd under sanitizers)'
	@echo 'make unit       only the unit tests'
	@echo 'make fuzz       look for inputs that break what reads them, FUZZ_SECONDS=$(FUZZ_SECONDS) for each harness'
	@echo 'make schema     write recipes/recipe.schema.json from the tables of keys'
	@echo 'make lint       formatting, clang-tidy, cppcheck, shellcheck, codespell'
	@echo 'make bench      measure against the peers; writes $B/bench.json (make check runs it in small)'
	@echo 'make install    DESTDIR= PREFIX=$(PREFIX)'

-include $(shell find $B -name '*.d' -type f 2>/dev/null)
