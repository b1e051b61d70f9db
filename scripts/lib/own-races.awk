# SPDX-License-Identifier: GPL-2.0
#
# Kernel messages without KCSAN's reports of races that have nothing to do with
# the module: the kernel has many. A report is the module's if one of the two
# accesses is made by it, or by what it calls at most two calls deep.

{
	line = $0
	sub(/\r$/, "", line)
	sub(/^(<[0-9]+>)?\[ *[0-9.]+\] /, "", line)
}

line ~ /^=+$/ {
	if (inside) {
		if (own || !race)
			print report $0
		inside = 0
	} else {
		inside = 1
		report = $0 "\n"
		own = race = near = 0
	}
	next
}

inside {
	report = report $0 "\n"
	if (line ~ /^BUG: KCSAN: /)
		race = 1
	else if (line ~ / 0x[0-9a-f]+ of [0-9]+ bytes by /)
		near = 3
	else if (near > 0) {
		near--
		if (line ~ /\[snapmapfs\]/)
			own = 1
	}
	next
}

{ print }

END {
	if (inside)
		printf "%s", report
}
