# npflua: build, test, install. `make help` lists what there is.

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/npflua
DATADIR ?= $(PREFIX)/share/npflua
DESTDIR ?=
FUZZ_SECONDS ?= 60

SWIFT ?= swift
CONFIGURATION := release
BUILD_FLAGS := -c $(CONFIGURATION) --explicit-target-dependency-import-check error
BIN := .build/$(CONFIGURATION)
SOURCES := Package.swift Sources Tests Fuzz Benchmarks

BUILD_PACKAGES := binutils liblua5.4-dev libmnl-dev libnetfilter-queue-dev libpcap-dev pkg-config
RUN_PACKAGES := nftables iptables libpcap0.8
TEST_PACKAGES := ethtool fail2ban lua5.4 iproute2 openssh-server openssh-client iperf3 tcpdump socat procps iputils-ping mandoc
BOX_PACKAGES := debootstrap qemu-system-x86 e2fsprogs

.PHONY: help demo test test-vm build lint format bench fuzz install uninstall setup setup-test setup-box clean

help:
	@printf '%s\n' \
	  'make demo      show the main job on real packets (root: it makes network namespaces)' \
	  'make build     build npfluad and npfctl into $(BIN)' \
	  'make test      run every test, the live ones too (root)' \
	  'make test-vm   run the service in a Debian box under qemu (root, slow)' \
	  'make lint      check format and style' \
	  'make format    format the sources' \
	  'make bench     measure' \
	  'make fuzz      run every fuzz target for FUZZ_SECONDS (60)' \
	  'make install   install below DESTDIR, PREFIX, SYSCONFDIR, UNITDIR' \
	  'make uninstall remove what install put there, except changed configuration'

# Installs those of the given Debian packages that are missing.
define need
	@missing=; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

setup:
	$(call need,$(BUILD_PACKAGES) $(RUN_PACKAGES))

setup-test: setup
	$(call need,$(TEST_PACKAGES))

setup-box: setup-test
	$(call need,$(BOX_PACKAGES))

build: setup
	$(SWIFT) build $(BUILD_FLAGS) --product npfluad
	$(SWIFT) build $(BUILD_FLAGS) --product npfctl

demo: setup-test build
	Tests/Demo/run $(BIN)

test: setup-test
	$(SWIFT) build $(BUILD_FLAGS) --build-tests
	$(SWIFT) test -c $(CONFIGURATION) --skip-build

test-vm: setup-box build
	$(SWIFT) build $(BUILD_FLAGS) --product Traffic
	Tests/Box/run $(BIN)

lint: setup-test
	$(SWIFT) format lint --strict --recursive --parallel $(SOURCES)
	mandoc -T lint -W warning docs/*.[58]
	Tests/lint

format:
	$(SWIFT) format format --in-place --recursive --parallel $(SOURCES)

bench: setup-test build
	for b in LuaBenchmark RuleBenchmark TableBenchmark StateBenchmark; do $(SWIFT) build $(BUILD_FLAGS) --product $$b || exit; done
	Benchmarks/run $(BIN)
	$(BIN)/RuleBenchmark
	$(BIN)/LuaBenchmark
	$(BIN)/TableBenchmark
	$(BIN)/StateBenchmark

fuzz: setup
	Fuzz/run $(FUZZ_SECONDS)

install: $(BIN)/npfluad $(BIN)/npfctl
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SYSCONFDIR)/npf $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
	  $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR) $(DESTDIR)$(DATADIR)/lua-language-server
	install -s -m 755 $(BIN)/npfluad $(BIN)/npfctl $(DESTDIR)$(SBINDIR)
	ln -sf npfctl $(DESTDIR)$(SBINDIR)/luactl
	@for f in npf.conf npf.test npf/filter.lua; do \
	  to=$(DESTDIR)$(SYSCONFDIR)/$$f; \
	  if [ -e $$to ] && ! cmp -s etc/$$f $$to; then echo "kept: $$to (new one: $$to.new)"; to=$$to.new; fi; \
	  install -m 644 etc/$$f $$to; \
	done
	sed -e 's|@SBINDIR@|$(SBINDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' systemd/npfluad.service.in > $(DESTDIR)$(UNITDIR)/npfluad.service
	chmod 644 $(DESTDIR)$(UNITDIR)/npfluad.service
	install -m 644 systemd/npflua.sysusers $(DESTDIR)$(SYSUSERSDIR)/npflua.conf
	install -m 644 docs/npf.conf.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 docs/npfluad.8 docs/npfctl.8 $(DESTDIR)$(MANDIR)/man8
	ln -sf npfctl.8 $(DESTDIR)$(MANDIR)/man8/luactl.8
	install -m 644 README.md LICENSE docs/*.md docs/*.svg $(DESTDIR)$(DOCDIR)
	install -m 644 share/lua-language-server/*.lua $(DESTDIR)$(DATADIR)/lua-language-server

# Configuration that was edited stays: it is the administrator's.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/npfluad $(DESTDIR)$(SBINDIR)/npfctl $(DESTDIR)$(SBINDIR)/luactl \
	  $(DESTDIR)$(UNITDIR)/npfluad.service $(DESTDIR)$(SYSUSERSDIR)/npflua.conf \
	  $(DESTDIR)$(MANDIR)/man5/npf.conf.5 $(DESTDIR)$(MANDIR)/man8/npfluad.8 $(DESTDIR)$(MANDIR)/man8/npfctl.8 \
	  $(DESTDIR)$(MANDIR)/man8/luactl.8
	rm -rf $(DESTDIR)$(DOCDIR) $(DESTDIR)$(DATADIR)
	@for f in npf.conf npf.test npf/filter.lua; do \
	  to=$(DESTDIR)$(SYSCONFDIR)/$$f; \
	  rm -f $$to.new; if cmp -s etc/$$f $$to; then rm -f $$to; elif [ -e $$to ]; then echo "kept: $$to"; fi; \
	done
	@rmdir $(DESTDIR)$(SYSCONFDIR)/npf 2>/dev/null || true

$(BIN)/npfluad $(BIN)/npfctl: Package.swift $(shell find Sources -type f 2>/dev/null)
	$(MAKE) build
	touch $(BIN)/npfluad $(BIN)/npfctl

clean:
	rm -rf .build .build-*
