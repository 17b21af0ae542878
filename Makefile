# netleash: build, check, install.
#
#   make [VARIANT=release|debug|asan|tsan|cov|torture] [V=1] [WERROR=1] [CC=clang]
#
# release is built in build/, the other variants in build/VARIANT/.

CC		?= gcc
PREFIX		?= /usr/local
LIBDIR		?= $(PREFIX)/lib/netleash
BINDIR		?= $(PREFIX)/bin
MANDIR		?= $(PREFIX)/share/man
DOCDIR		?= $(PREFIX)/share/doc/netleash
VARIANT		?= release
PKG_CONFIG	?= pkg-config

ifeq ($(VARIANT),release)
B		:= build
else
B		:= build/$(VARIANT)
endif

ifeq ($(V),1)
Q		:=
say		= @:
else
Q		:= @
say		= @printf '  %-7s %s\n'
endif

MACHINE		:= $(shell $(CC) -dumpmachine | cut -d- -f1)

WARN		:= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
		   -Wformat=2 -Wvla -Wswitch-enum -Wpointer-arith -Wwrite-strings
ifeq ($(WERROR),1)
WARN		+= -Werror
endif
COMMON		:= -std=c11 -D_GNU_SOURCE -I. -g -fvisibility=hidden -fexceptions -fno-strict-aliasing \
		   -fstack-protector-strong -MMD -MP $(WARN)
OPT.release	:= -O2
OPT.debug	:= -O0
OPT.asan	:= -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# torture: see below, and scripts/check-torture.sh
OPT.torture	:= -O1 -fno-omit-frame-pointer
OPT.tsan	:= -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT.cov		:= -O0 --coverage
OPT		:= $(OPT.$(VARIANT))
CFLAGS		?=
LDFLAGS		?=
ALL_CFLAGS	= $(COMMON) $(OPT) $(CPPFLAGS) $(CFLAGS)

# In the program's process: position independent, initial-exec storage (the object is preloaded,
# never opened late), no fortified calls into names that are themselves hooked.
SHIM_CFLAGS	= $(ALL_CFLAGS) -fPIC -ftls-model=initial-exec -U_FORTIFY_SOURCE -fno-builtin-printf
# posix_spawn under both of its nodes (hooks.md R5); aarch64 has one.
SHIM_CFLAGS	+= $(if $(filter x86_64,$(MACHINE)),-DLEASH_SPAWN_NODES)
# Frames are bounded where a hook may run on a small signal stack (hooks.md N3).
HOOK_CFLAGS	= -Wframe-larger-than=1024

# Linked statically where Debian's -dev packages have the archives: `netleash run` then starts
# 0.2 ms sooner (measured: +0.34 ms against +0.11 ms over an empty process).
STATIC_LIBS	:= -Wl,-Bstatic -lconfig -ljansson -lidn2 -lunistring -Wl,-Bdynamic
COMPILE_LIBS	:= $(shell echo 'int main(void){return 0;}' | $(CC) -x c -o /dev/null - $(STATIC_LIBS) 2>/dev/null \
		   && echo '$(STATIC_LIBS)' || $(PKG_CONFIG) --libs libconfig jansson libidn2 2>/dev/null \
		   || echo -lconfig -ljansson -lidn2)
COMPILE_CFLAGS	:= $(shell $(PKG_CONFIG) --cflags libconfig jansson libidn2 2>/dev/null)

# Where everything is there as an archive, libc too, the command that starts programs needs no loader; the parts
# that do are in netleash-full (shim/launch/short/short.c).
SHORT_LIBS	:= -lconfig -ljansson -lidn2 -lunistring
FULL		:=
ifneq ($(filter release debug,$(VARIANT)),)
FULL		:= $(shell echo 'int main(void){return 0;}' | $(CC) -static-pie -x c -o /dev/null - $(SHORT_LIBS) 2>/dev/null \
		   && echo '$(B)/netleash-full')
endif

POLICY_SRC	:= $(wildcard policy/*.c)
COMPILE_SRC	:= $(wildcard policy/compile/*.c)
WIRE_SRC	:= $(wildcard shim/wire/*.c)
HTTP_SRC	:= $(wildcard shim/http/*.c)
EVENT_SRC	:= shim/events/line.c
SHIM_SRC	:= $(wildcard shim/core/*.c shim/events/*.c shim/life/*.c shim/conn/*.c shim/hooks/*.c shim/tls/*.c)
SHIM_ASM	:= $(wildcard shim/hooks/*_$(MACHINE).S)
VERIFY_SRC	:= $(wildcard shim/tls/verifier/*.c)
LAUNCH_SRC	:= $(wildcard shim/launch/*.c)

obj		= $(patsubst %.c,$(B)/obj/%.o,$(1))
pic		= $(patsubst %.c,$(B)/pic/%.o,$(patsubst %.S,$(B)/pic/%.o,$(1)))

SHIM_OBJ	:= $(call pic,$(SHIM_SRC) $(SHIM_ASM) $(POLICY_SRC) $(WIRE_SRC) $(HTTP_SRC))
NOT_SHORT	:= $(call obj,shim/launch/cmd_cert.c shim/launch/cert_look.c shim/launch/cert_tell.c shim/launch/focus.c)
COMMAND_OBJ	:= $(call obj,$(LAUNCH_SRC) $(POLICY_SRC) $(COMPILE_SRC) $(WIRE_SRC) $(EVENT_SRC) shim/core/carry.c)

UNIT_SRC	:= $(wildcard tests/unit/test_*.c)
UNIT_BIN	:= $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
# What unit tests may call: the pure parts, and those of the engine that need no preload.
UNIT_LIB_OBJ	:= $(call obj,$(POLICY_SRC) $(COMPILE_SRC) $(WIRE_SRC) $(HTTP_SRC) $(EVENT_SRC) $(wildcard shim/core/carry.c) shim/life/deadline.c \
		   $(wildcard tests/unit/guard.c))
SNIP_SRC	:= $(wildcard tests/snip/*.c)
SNIP_BIN	:= $(patsubst tests/snip/%.c,$(B)/snip/%,$(SNIP_SRC))
FUZZ_SRC	:= $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN	:= $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

.PHONY: all check check-unit check-e2e check-asan check-torture layers hooks fuzz fuzz-smoke bench lint \
	snips install uninstall clean help
all: $(B)/libnetleash.so $(B)/libnetleash-verify.so $(B)/netleash $(FULL)

$(B)/obj/%.o: %.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(COMPILE_CFLAGS) -c -o $@ $<

$(B)/pic/shim/hooks/%.o: shim/hooks/%.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CFLAGS) $(HOOK_CFLAGS) -c -o $@ $<

$(B)/pic/%.o: %.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CFLAGS) -c -o $@ $<

$(B)/pic/%.o: %.S
	$(say) AS $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CFLAGS) -c -o $@ $<

$(B)/libnetleash.map: shim/hooks.def shim/tls/tls.def scripts/gen-map.sh
	@mkdir -p $(@D)
	$(Q)CC="$(CC)" scripts/gen-map.sh shim/hooks.def > $@.new && mv $@.new $@

# A sanitized object leaves the runtime to the program (style.md: -z defs only where it can hold).
ifeq ($(filter asan tsan torture,$(VARIANT)),)
SHIM_DEFS	:= -Wl,-z,defs
endif
# In a sanitized program the object starts before the sanitizer does, and is called by it while it
# starts: only what touches the bytes of requests can be sanitized as well.
ifeq ($(VARIANT),torture)
$(call pic,$(HTTP_SRC) $(WIRE_SRC) $(filter shim/tls/% shim/conn/exchange% shim/conn/plain% shim/conn/tasks%,$(SHIM_SRC))): \
	OPT = $(OPT.asan)
endif
$(B)/libnetleash.so: $(SHIM_OBJ) $(B)/libnetleash.map
	$(say) LD $@
	$(Q)$(CC) -shared -nostartfiles $(OPT) -Wl,-soname,libnetleash.so -Wl,--version-script=$(B)/libnetleash.map \
		-Wl,-z,now,-z,relro,-z,initfirst,-z,nodelete,-z,noseparate-code,-Bsymbolic,--hash-style=gnu,-O1 $(SHIM_DEFS) \
		-Wl,--as-needed $(LDFLAGS) -o $@ $(SHIM_OBJ)

# The certificate verifier: its own libssl and libcrypto, static and hidden (tls-http.md section 4).
$(B)/libnetleash-verify.so: $(call pic,$(VERIFY_SRC))
	$(say) LD $@
	@printf '{ global: leash_verifier_entry; local: *; };\n' > $(B)/libnetleash-verify.map
	$(Q)$(CC) -shared $(OPT) -Wl,-soname,libnetleash-verify.so -Wl,--version-script=$(B)/libnetleash-verify.map \
		-Wl,-z,now,-z,relro,-z,nodelete,-Bsymbolic,--hash-style=gnu,--gc-sections,-O1 $(SHIM_DEFS) \
		-Wl,--exclude-libs,ALL,--as-needed $(LDFLAGS) -o $@ $^ -l:libssl.a -l:libcrypto.a

ifeq ($(FULL),)
$(B)/netleash: $(COMMAND_OBJ)
	$(say) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -Wl,-z,now,-z,relro -o $@ $(COMMAND_OBJ) $(COMPILE_LIBS)
else
$(B)/netleash: $(filter-out $(NOT_SHORT),$(COMMAND_OBJ)) $(call obj,shim/launch/short/short.c)
	$(say) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -static-pie -Wl,-z,now,-z,relro,--gc-sections -o $@ $^ $(SHORT_LIBS)

$(B)/netleash-full: $(COMMAND_OBJ)
	$(say) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -Wl,-z,now,-z,relro -o $@ $(COMMAND_OBJ) $(COMPILE_LIBS)
endif

$(B)/libunit.a: $(UNIT_LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libunit.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $< $(B)/libunit.a -lcmocka $(UNIT_LIBS) $(COMPILE_LIBS)

# Another parser to compare with; without it the test says that it is skipped.
$(B)/unit/test_http_oracle: UNIT_LIBS = $(shell echo '\#include <http_parser.h>' \
	| $(CC) -E -x c - >/dev/null 2>&1 && echo -lhttp_parser)

# Both open the object, as programs do.
$(B)/unit/test_verifier $(B)/unit/test_suites: | $(B)/libnetleash-verify.so
# Snippets are ordinary programs; "/* build: FLAGS */" in the first line adds flags.
$(B)/snip/%: tests/snip/%.c
	$(say) SNIP $@
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -g -O1 -w -MMD -MP -MF $@.d -o $@ $< $$(sed -n '1s,^/\* build: \(.*\) \*/$$,\1,p' $<)
snips: $(SNIP_BIN)

$(B)/torture: $(wildcard tests/torture/*.[ch])
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Wshadow $(OPT.asan) -o $@ $(filter %.c,$^) -lssl -lcrypto

$(B)/fuzz/%: tests/fuzz/%.c $(POLICY_SRC) $(WIRE_SRC) $(HTTP_SRC) $(EVENT_SRC)
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		$(COMPILE_CFLAGS) -o $@ $< $(POLICY_SRC) $(WIRE_SRC) $(HTTP_SRC) $(EVENT_SRC) \
		$$(sed -n '1s,^/\* build: \(.*\) \*/$$,\1,p' $<)
fuzz: $(FUZZ_BIN)

fuzz-smoke: fuzz
	$(Q)scripts/fuzz-smoke.sh $(B)/fuzz

check: layers hooks check-unit check-e2e

check-unit:
	$(Q)scripts/check-unit.sh $(VARIANT)

check-asan:
	$(Q)scripts/check-unit.sh asan

unit: $(UNIT_BIN)

check-torture:
	$(Q)scripts/check-torture.sh

check-e2e: all snips
	$(Q)scripts/check-e2e.sh

layers:
	$(Q)scripts/check-layers.sh

hooks: $(B)/libnetleash.so
	$(Q)scripts/check-hooks.sh $(B)/libnetleash.so

bench: all
	$(Q)tests/bench/run --quick

lint:
	$(Q)shellcheck -x scripts/*.sh scripts/setup scripts/demo scripts/test .ci/run tests/lab/*.sh
	$(Q)cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,portability -I. policy shim

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(DOCDIR)
	install -m 755 $(B)/netleash $(DESTDIR)$(LIBDIR)/netleash
	$(if $(FULL),install -m 755 $(FULL) $(DESTDIR)$(LIBDIR)/netleash-full)
	install -m 755 $(B)/libnetleash.so $(DESTDIR)$(LIBDIR)/libnetleash.so
	install -m 755 $(B)/libnetleash-verify.so $(DESTDIR)$(LIBDIR)/libnetleash-verify.so
	ln -sfn ../lib/netleash/netleash $(DESTDIR)$(BINDIR)/netleash
	install -m 644 shim/launch/netleash.1 $(DESTDIR)$(MANDIR)/man1/netleash.1
	install -m 644 policy/netleash.cfg.5 $(DESTDIR)$(MANDIR)/man5/netleash.cfg.5
	install -m 644 policy/example.cfg README.md LICENSE $(DESTDIR)$(DOCDIR)/

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/netleash $(DESTDIR)$(LIBDIR)/netleash $(DESTDIR)$(LIBDIR)/netleash-full \
		$(DESTDIR)$(LIBDIR)/libnetleash.so \
		$(DESTDIR)$(LIBDIR)/libnetleash-verify.so \
		$(DESTDIR)$(MANDIR)/man1/netleash.1 $(DESTDIR)$(MANDIR)/man5/netleash.cfg.5 \
		$(DESTDIR)$(DOCDIR)/example.cfg $(DESTDIR)$(DOCDIR)/README.md $(DESTDIR)$(DOCDIR)/LICENSE
	-rmdir $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DOCDIR) 2>/dev/null

clean:
	rm -rf build

help:
	@sed -n '2,6s/^# \{0,1\}//p' Makefile
	@echo 'Targets: all check check-unit check-e2e check-asan check-torture layers hooks fuzz fuzz-smoke bench lint snips install uninstall clean'

# Objects made on the way stay.
.SECONDARY:
-include $(shell find $(B)/obj $(B)/pic $(B)/snip -name '*.d' 2>/dev/null)
