# SPDX-License-Identifier: GPL-2.0
#
# Run by scripts/build-tests in the directory that gets the programs, with FROM,
# KDIR, KSRC and CHECKOUT set.

main := \b(TEST_HARNESS_MAIN|main\()
programs := $(patsubst $(FROM)/%.c,%,$(shell grep -slE '$(main)' $(FROM)/*.c))
# What takes more than a compiler has a NAME.build, which leaves it in a directory.
built := $(patsubst $(FROM)/%.build,%,$(wildcard $(FROM)/*.build))
copies := $(filter-out %.c %.h %.build,$(notdir $(wildcard $(FROM)/*)))

CC := gcc
CFLAGS := -O2 -g -std=gnu11 -pthread -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
CPPFLAGS := -D_GNU_SOURCE -I$(CHECKOUT)/include/uapi -I$(KSRC)/tools/testing/selftests \
	-isystem $(KDIR)/usr/include
LDFLAGS := -static

all: $(programs) $(built) $(copies)
	@for file in *; do \
		case " $(programs) $(built) $(copies) " in \
		*" $$file "*) ;; \
		*) rm -rf "$$file" ;; \
		esac; \
	done

$(programs): %: $(FROM)/%.c $(MAKEFILE_LIST)
	@echo '  CC      $@'
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -MT $@ -MF .$@.d $(LDFLAGS) -o $@ $< -luring

$(built): %: $(FROM)/%.build
	@echo '  BUILD   $@'
	@$< $(CURDIR)

$(copies): %: $(FROM)/%
	@cp -p $< $@

.PHONY: all
-include $(patsubst %,.%.d,$(programs))
