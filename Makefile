# SPDX-License-Identifier: GPL-2.0
#
# make           build the module for Debian's stock kernel, in build/stock
# make KDIR=...  build it here for the kernel tree KDIR, with your own compilers
# make run       boot that kernel in a virtual machine and run the demo
# make test      boot it and run the selftests [KERNEL=stock|debug|kcsan|i386] [TESTS=pattern]
# make test-control  prove that the tests of the promises fail where there are none
# make model     check the models of the protocol with spin [MODEL=pattern] [BIG=1]
# make soak      torture the module for MINUTES=10 [KERNEL=stock]
# make suites    run other people's test suites there and on tmpfs, and compare [SUITES=pattern]
# make bench     measure it beside tmpfs and others [KERNEL=stock]
# make check     formatting, lints and the tests that need no kernel
# make fuzz      fuzz the version store [SECONDS=60]
# make host-long the long tests of it that need no kernel [SECONDS=600]
# make clean     remove what was built
#
# All but KDIR=... needs root and no more: compilers, kernel and QEMU are put
# in a cache, see scripts/prepare. Kbuild has a file of its own.

KERNEL ?= stock
TESTS ?=
MINUTES ?= 10
SUITES ?=

.PHONY: all run test test-control model soak fuzz host-long suites bench check clean
.DEFAULT_GOAL := all

ifdef KDIR
all:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules
else
all:
	@scripts/build $(KERNEL)
endif

run:
	@scripts/build $(KERNEL) >/dev/null
	@scripts/build-samples $(KERNEL)
	@scripts/vm --kernel $(KERNEL) -- sh /samples/demo/run.sh

test:
	@set -f; scripts/test --kernel $(KERNEL) $(TESTS)

test-control:
	@set -f; scripts/test --kernel $(KERNEL) --control $(TESTS)

model:
	@set -f; scripts/model $(if $(BIG),--big) $(MODEL)

soak:
	@scripts/soak --kernel $(KERNEL) $(MINUTES)

suites:
	@set -f; scripts/suites --kernel $(KERNEL) $(SUITES)

bench:
	@scripts/bench --kernel $(KERNEL)

check:
	@scripts/check

fuzz:
	@scripts/host fuzz $(or $(SECONDS),60)

host-long:
	@scripts/host long $(or $(SECONDS),600)

clean:
	rm -rf build
	$(MAKE) -s -C samples clean
	find Kbuild Module.symvers modules.order .module-common.o rust include \
		\( -name '*.o' -o -name '.*.cmd' -o -name '*_generated.rs' -o -name Module.symvers \
		-o -name modules.order \) -exec rm -f {} + 2>/dev/null || true
	rm -f *.ko *.mod *.mod.c *.mod.o *.o .*.cmd
