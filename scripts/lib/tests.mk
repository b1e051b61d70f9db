# SPDX-License-Identifier: GPL-2.0
#
# Run by scripts/build-tests in the directory that gets the programs, with FROM,
# KDIR, KSRC and CHECKOUT set, and ROOT32 for 32-bit programs.

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
ifneq ($(ROOT32),)
CC += -m32
# The harness has pointers and numbers in the same macro.
CFLAGS += -Wno-pointer-to-int-cast
CPPFLAGS += -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -idirafter $(ROOT32)/usr/include
LDFLAGS += -L$(ROOT32)/usr/lib/i386-linux-gnu
endif

all: $(programs) $(built) $(copies)
	@for file in *; do \
		case " $(programs) $(built) $(copies) " in \
		*" $$file "*) ;; \
		*) rm -rf "$$file" ;; \
		esac; \
	done

# What does not compile is not to pass as what it was.
$(programs): %: $(FROM)/%.c $(MAKEFILE_LIST)
	@echo '  CC      $@'
	@rm -f $@
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -MT $@ -MF .$@.d $(LDFLAGS) -o $@ $< -luring

$(built): %: $(FROM)/%.build
	@echo '  BUILD   $@'
	@rm -f $@
	@$< $(CURDIR)

$(copies): %: $(FROM)/%
	@cp -p $< $@

.PHONY: all
-include $(patsubst %,.%.d,$(programs))
